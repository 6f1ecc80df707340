"""Checkpoints: weights as safetensors, a JSON card next to each. Nothing is ever unpickled."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from audioxai.fused import Kind
from audioxai.models.front_end import Classifier
from audioxai.utils.errors import UserError
from audioxai.utils.files import digest_of_json, replacing, write_json
from audioxai.utils.tensors import DamagedError, require_regular

# Raised whenever a field is added or changes its meaning; cards of the first readable format lack what was added since.
CARD_FORMAT, FIRST_READABLE_FORMAT = 4, 3
TRAIN_ANEW = "delete it to train the model anew"


@dataclass(frozen=True)
class Card:
    """What a reader must know of a checkpoint, as plain data that can be stored with results.

    Attributes
    ----------
    dataset, stand_in_for, split : str
        What it was trained on; ``stand_in_for`` names the real data set where this one stands in, else None.
    architecture, resolution, seed
        What was trained; ``resolution`` is the number of rows of the input, or of samples for a waveform.
    accuracy : dict
        Fractions for ``train``, ``validation`` and ``test``.
    samples : dict
        Number of samples in each part of the split.
    class_names : list of str
        Name of every logit.
    domain, config : dict
        Domain and training recipe.
    epochs_run : int
        Epochs until early stopping.
    seconds : float
        Training time.
    data_fingerprint, weights_sha256, git_commit : str
        Digest of the data, digest of the weights' file, and commit of the code that trained it.
    data : dict
        The data set: name, split, samples and groups of each part, counts of attributes, form, skipped files, label,
        description, origin, licence and root.
    groups : list of dict
        Accuracy by group over test samples: attribute, value, number of groups, clips and correct ones.
    cues : bool
        Whether it was trained to distinguish planted cues instead of what was recorded.
    cue_reliance : dict or None
        For a model of cues, its accuracy with them, without them and after a swap; None for all others.
    fused : dict
        Copies through which forward and gradient passes of its body go, which change no bit, as
        :func:`~audioxai.fused.fastest_copies` chose them; empty for the body itself.
    format : int
        Version of these fields.
    """

    dataset: str
    stand_in_for: str | None
    split: str
    architecture: str
    resolution: int
    seed: int
    accuracy: dict[str, float]
    samples: dict[str, int]
    class_names: list[str]
    domain: dict[str, Any]
    config: dict[str, Any]
    epochs_run: int
    seconds: float
    data_fingerprint: str
    weights_sha256: str
    git_commit: str
    data: dict[str, Any] = field(default_factory=dict)
    groups: list[dict[str, Any]] = field(default_factory=list)
    cues: bool = False
    cue_reliance: dict[str, Any] | None = None
    fused: dict[Kind, str] = field(default_factory=dict)
    format: int = CARD_FORMAT


def card_path(weights: Path) -> Path:
    """The card's place: the checkpoint's name with ``.json``."""
    return weights.with_suffix(".json")


def exists(weights: Path) -> bool:
    """Whether the checkpoint was completed: the card is written last."""
    return weights.exists() and card_path(weights).exists()


def save_weights(weights: Path, model: nn.Module) -> str:
    """Write the weights in one step and return their SHA-256."""
    # Copies, since safetensors refuses tensors that share their memory, as tied weights do.
    copies = {
        name: value.cpu().clone(memory_format=torch.contiguous_format) for name, value in model.state_dict().items()
    }
    with replacing(weights) as temporary:
        save_file(copies, temporary)
        return file_sha256(temporary)


def save_card(weights: Path, card: Card) -> None:
    """Write the card, which completes the checkpoint, with a digest of its content."""
    content = asdict(card)
    write_json(card_path(weights), {**content, "digest": digest_of_json(content)})


def read_card(weights: Path) -> Card:
    """Card of a checkpoint.

    Raises
    ------
    UserError
        If it is missing, unreadable, damaged, lacks a field or is of another version of the format.
    """
    path, content = card_path(weights), _card_content(weights)
    version = content.get("format", 1)
    if isinstance(version, int) and version > CARD_FORMAT:
        raise UserError(f"checkpoint card {path} is of format {version}, newer than {CARD_FORMAT}; update audioxai")
    if not (isinstance(version, int) and version >= FIRST_READABLE_FORMAT):
        raise UserError(
            f"checkpoint card {path} is of format {version}, older than {FIRST_READABLE_FORMAT}; {TRAIN_ANEW}"
        )
    if content.pop("digest", None) != digest_of_json(content):
        raise UserError(f"checkpoint card {path} is damaged or was edited; {TRAIN_ANEW}")
    try:
        return Card(**content)
    except TypeError as error:
        raise UserError(f"checkpoint card {path} is unreadable ({error}); {TRAIN_ANEW}") from error


def _card_content(weights: Path) -> dict[str, Any]:
    path = card_path(weights)
    try:
        require_regular(path)
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"checkpoint card {path} does not exist; train the model with `audioxai train`") from error
    except DamagedError as error:
        raise UserError(f"checkpoint card {path} {error}; {TRAIN_ANEW}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"checkpoint card {path} is unreadable ({error}); {TRAIN_ANEW}") from error
    if not isinstance(content, dict):
        raise UserError(f"checkpoint card {path} is unreadable (it is no mapping); {TRAIN_ANEW}")
    return content


def load_weights(weights: Path, model: Classifier, card: Card) -> None:
    """Fill ``model`` from a checkpoint.

    Raises
    ------
    UserError
        If the file is unreadable, is not the one its card describes, or is of another architecture or class count.
    """
    try:
        require_regular(weights)
        tensors = load_file(weights)
    except FileNotFoundError as error:
        raise UserError(f"checkpoint {weights} does not exist; train the model with `audioxai train`") from error
    except DamagedError as error:
        raise UserError(f"checkpoint {weights} {error}; {TRAIN_ANEW}") from error
    except (SafetensorError, OSError) as error:
        raise UserError(f"checkpoint {weights} is unreadable ({error}); {TRAIN_ANEW}") from error
    own = model.state_dict()
    expected = {name: tuple(value.shape) for name, value in own.items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    if expected.keys() != found.keys():
        raise UserError(
            f"checkpoint {weights} is of another architecture ({card.architecture}) than the model it is loaded into; "
            "name its architecture"
        )
    for name, shape in expected.items():
        if found[name] != shape:
            raise UserError(
                f"checkpoint {weights} holds {name} of shape {found[name]} where the model has {shape}, so it is of "
                "another class count or resolution; load it into a model built from its card"
            )
    require_described(weights, card)
    model.load_state_dict(tensors)
    model.eval()


def require_described(weights: Path, card: Card) -> None:
    """Refuse weights that are not those that a card describes.

    Raises
    ------
    UserError
        Naming the file.
    """
    try:
        require_regular(weights)
    except DamagedError as error:
        raise UserError(f"checkpoint {weights} {error}; {TRAIN_ANEW}") from error
    if file_sha256(weights) != card.weights_sha256:
        raise UserError(f"checkpoint {weights} is not the file its card describes; delete both to train the model anew")


def weights_digest(model: nn.Module) -> str:
    """SHA-256 of a model: its modules' classes and every parameter's and buffer's name, type, shape and bytes.

    The same on every device and in every memory format. Code of the model is not part of it.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name, module in model.named_modules():
        digest.update(f"{name}={type(module).__qualname__}\n".encode())
    for name, value in sorted(tensors_of(model), key=lambda named: named[0]):
        digest.update(f"{name}:{value.dtype}{tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def tensors_of(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers by name, those that do not belong to the state dict included."""
    yield from model.named_parameters()
    yield from model.named_buffers()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
