"""Checkpoints: weights as safetensors, a JSON card beside them. Nothing is ever unpickled."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from audioxai.models.front_end import Classifier
from audioxai.utils.errors import UserError
from audioxai.utils.files import replacing, write_json


@dataclass(frozen=True)
class Card:
    """What a reader must know of a checkpoint.

    Attributes
    ----------
    dataset, stand_in_for, split : str
        What it was trained on; ``stand_in_for`` names the real dataset where this one stands in, else None.
    architecture, resolution, seed
        What was trained; ``resolution`` is the number of rows of the input, or of samples for a waveform.
    accuracy : dict
        Fractions for ``train``, ``validation`` and ``test``.
    samples : dict
        Number of samples in each part.
    class_names : list of str
        Name of every logit.
    domain, config : dict
        Domain and training recipe.
    epochs_run : int
        Epochs until early stopping.
    seconds : float
        Training time.
    data_fingerprint, weights_sha256, git_commit : str
        What exactly it was made from, and what it is.
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


def card_path(weights: Path) -> Path:
    """The card's place: the checkpoint's name with ``.json``."""
    return weights.with_suffix(".json")


def exists(weights: Path) -> bool:
    """Whether the checkpoint was completed: the card is written last."""
    return weights.exists() and card_path(weights).exists()


def save_weights(weights: Path, model: Classifier) -> str:
    """Write the weights in one step and return their SHA-256."""
    with replacing(weights) as temporary:
        save_file({name: value.contiguous().cpu() for name, value in model.state_dict().items()}, temporary)
        return file_sha256(temporary)


def save_card(weights: Path, card: Card) -> None:
    """Write the card, which completes the checkpoint."""
    write_json(card_path(weights), asdict(card))


def read_card(weights: Path) -> Card:
    """Card of a checkpoint.

    Raises
    ------
    UserError
        If it is missing, is not JSON or lacks a field.
    """
    path = card_path(weights)
    try:
        return Card(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise UserError(
            f"checkpoint card {path} does not exist; train the model with scripts/train_models.py"
        ) from error
    except (json.JSONDecodeError, TypeError, UnicodeDecodeError) as error:
        raise UserError(f"checkpoint card {path} is unreadable ({error}); delete it to train the model anew") from error


def load_weights(weights: Path, model: Classifier, card: Card) -> None:
    """Fill ``model`` from a checkpoint.

    Raises
    ------
    UserError
        If the file is unreadable, is not the one its card describes, or is of another architecture or class count.
    """
    if not weights.exists():
        raise UserError(f"checkpoint {weights} does not exist; train the model with scripts/train_models.py")
    try:
        tensors = load_file(weights)
    except (SafetensorError, OSError) as error:
        raise UserError(f"checkpoint {weights} is unreadable ({error}); delete it to train the model anew") from error
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
    if file_sha256(weights) != card.weights_sha256:
        raise UserError(f"checkpoint {weights} is not the file its card describes; delete both to train the model anew")
    model.load_state_dict(tensors)
    model.eval()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
