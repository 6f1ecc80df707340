"""Folders and ids of Hugging Face: found, refused in one sentence where they cannot be explained, and read quietly."""

import importlib
import json
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError

from audioxai.models.front_ends import DRAW_SEED
from audioxai.utils.errors import UserError

CONFIGURATION, EXTRACTORS = "config.json", ("preprocessor_config.json", "processor_config.json")
WEIGHTS, PICKLES = "*.safetensors", ("*.bin", "*.pt", "*.pth", "*.ckpt")
DOWNLOADED = ("*.json", "*.txt", "*.model", WEIGHTS)
# Classes of transformers that read a model, and how the classes that they make are called.
CLASSES, FRAMES, EMBEDDINGS = "AutoModelForAudioClassification", "AutoModelForAudioFrameClassification", "AutoModel"
CLASSIFIERS, FRAME_CLASSIFIER = ("ForSequenceClassification", "ForAudioClassification"), "ForAudioFrameClassification"
REGRESSION = "regression"


def library() -> Any:
    """The library.

    Raises
    ------
    UserError
        If it is not installed.
    """
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        raise UserError(
            f"models of Hugging Face need transformers, which does not import ({one_line(error)}); install audioxai[hf]"
        ) from error


def folder_of(source: str | Path, revision: str | None, with_code: bool, with_pickles: bool) -> Path:
    """The folder itself, or that into which the files of an id were downloaded.

    Raises
    ------
    UserError
        If there is no such folder, and no such id or no way to reach it.
    """
    folder = Path(source)
    if folder.is_dir():
        return folder
    hub, errors = (importlib.import_module(f"huggingface_hub{part}") for part in ("", ".errors"))
    wanted = [*DOWNLOADED, *(["*.py"] if with_code else []), *(PICKLES if with_pickles else [])]
    chosen = {"repo_id": str(source), "revision": revision}
    try:
        return Path(hub.snapshot_download(**chosen, allow_patterns=wanted, ignore_patterns=["*/*"]))
    except errors.HFValidationError as error:
        raise UserError(f"there is no folder {str(source)!r}; give a folder with {CONFIGURATION} or an id") from error
    except errors.GatedRepoError as error:
        raise UserError(
            f"model {str(source)!r} asks for an agreement on huggingface.co; agree there, log in with `hf auth login`"
        ) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        at = f" at revision {revision!r}" if revision else ""
        raise UserError(
            f"there is no folder {str(source)!r} and no model of that id{at} on huggingface.co; correct the name"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        # What transformers has downloaded earlier may be all that is needed; what is missing is found out later.
        try:
            return Path(hub.snapshot_download(**chosen, allow_patterns=[CONFIGURATION], local_files_only=True))
        except errors.LocalEntryNotFoundError:
            raise UserError(
                f"there is no folder {str(source)!r}, and huggingface.co cannot be reached for the model of that id; "
                "connect to the network (and unset HF_HUB_OFFLINE), or give a folder"
            ) from error


def stated_in(path: Path, place: str) -> dict[str, Any]:
    """A configuration file as it stands.

    Raises
    ------
    UserError
        If it is missing or no JSON object.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{place} has no {path.name}; give a folder that save_pretrained wrote") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path.name} of {place} is unreadable ({error}); download it again") from error
    if not isinstance(found, dict):
        raise UserError(f"{path.name} of {place} holds no object; download it again")
    return found


def refuse_own_code(folder: Path, place: str) -> None:
    """Refuse a folder whose model or extractor is code that comes with it."""
    for name in (CONFIGURATION, *EXTRACTORS):
        path = folder / name
        if path.is_file() and "auto_map" in json.dumps(stated_in(path, place)):
            raise UserError(
                f"{place} comes with code of its own (auto_map in {name}); read that code, and give "
                "trust_remote_code=True if it may run"
            )


def auto_class_of(stated: dict[str, Any], place: str, with_prompts: bool, for_similarity: bool) -> str:
    """Name of the class of transformers that reads the model.

    Raises
    ------
    UserError
        If the model is of another task than classification, or what its classes are has to be said.
    """
    names = importlib.import_module("transformers.models.auto.modeling_auto")
    kind = str(stated.get("model_type", ""))
    made = "".join(stated.get("architectures") or [])
    own = stated.get("auto_map") or {}
    if for_similarity:
        return EMBEDDINGS
    if kind == "clap":
        if not with_prompts:
            raise UserError(
                f"{place} has no classes of its own; give them as prompts, such as prompts=['Sound of a dog']"
            )
        return EMBEDDINGS
    if with_prompts:
        raise UserError(f"{place} ({made or kind}) takes no prompts; leave them out, or give a CLAP model")
    if stated.get("problem_type") == REGRESSION:
        raise UserError(f"{place} is a regression and has no classes; give a classifier")
    if FRAMES in own or (
        kind in names.MODEL_FOR_AUDIO_FRAME_CLASSIFICATION_MAPPING_NAMES and made.endswith(FRAME_CLASSIFIER)
    ):
        return FRAMES
    if CLASSES in own or (kind in names.MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES and made.endswith(CLASSIFIERS)):
        return CLASSES
    of_sounds = kind in names.MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES
    remedy = (
        "give an audio classifier, or similar_to=clip for its embeddings" if of_sounds else "give an audio classifier"
    )
    raise UserError(f"{place} is no audio classifier but {made or kind or 'of no stated kind'}; {remedy}")


def require_files(folder: Path, place: str, with_pickles: bool) -> None:
    """Refuse a folder without an extractor, or without weights of an allowed kind."""
    if not any((folder / name).is_file() for name in EXTRACTORS):
        raise UserError(f"{place} has no extractor ({EXTRACTORS[0]}); save the one that it was trained with beside it")
    if any(folder.glob(WEIGHTS)):
        return
    pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
    if not pickles:
        raise UserError(
            f"{place} has no weights in safetensors (model.safetensors); give one that has, or pickled_weights=True if "
            "they are pickled and you trust them"
        )
    if not with_pickles:
        raise UserError(
            f"{place} has pickled weights alone ({pickles[0]}), and pickles can run code; convert them to safetensors, "
            "or give pickled_weights=True if you trust them"
        )


@contextmanager
def reading(place: str) -> Iterator[None]:
    """Without the library's messages and draws, and with its errors as one sentence."""
    try:
        with quiet(), seeded():
            yield
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        # It is imported by transformers wherever it is installed, for another torch too.
        if "torchaudio" in "".join(traceback.format_exception(error)):
            raise UserError(
                f"torchaudio is installed but does not import ({one_line(error)}), which breaks transformers' audio "
                "models; install the torchaudio of your torch, or uninstall it"
            ) from error
        raise UserError(f"{place} cannot be read ({one_line(error)}); give a complete folder or id") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Without warnings, messages and progress of transformers, all of which are as before afterwards."""
    messages = importlib.import_module("transformers.utils.logging")
    verbosity, with_progress = messages.get_verbosity(), messages.is_progress_bar_enabled()
    messages.set_verbosity_error()
    messages.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        messages.set_verbosity(verbosity)
        if with_progress:
            messages.enable_progress_bar()


@contextmanager
def seeded() -> Iterator[None]:
    """Global draws of numpy and torch from the stated seed, both as before afterwards."""
    state = np.random.get_state()  # noqa: NPY002 (what extractors draw from)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(DRAW_SEED)
            np.random.seed(DRAW_SEED)  # noqa: NPY002
            yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def one_line(error: Exception) -> str:
    """The message of an error within a sentence."""
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
