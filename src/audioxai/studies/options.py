"""Options that every study's command line has: where and on what to compute, and checks that several share."""

from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from audioxai.experiment import RunOptions
from audioxai.models import ARCHITECTURES
from audioxai.models.training import TrainingConfig
from audioxai.utils import configuration
from audioxai.utils.errors import UserError

Config = TypeVar("Config")
# Options that say where and on what to compute, and decide no number.
NO_NUMBERS = tuple(field.name for field in fields(RunOptions))
AUDIO_SHIFT = 0.1


def run_options(config: Any) -> RunOptions:
    """Where and on what a configuration is computed."""
    return RunOptions(Path(config.results), Path(config.checkpoints), config.device, config.threads, config.part)


def context_of(config: Any, profiles: dict[str, Any], command: str) -> dict[str, Any]:
    """Command and options of a configuration, to be stored with its results."""
    options = configuration.options_of(config, profiles, NO_NUMBERS)
    settings = {name: value for name, value in asdict(config).items() if name not in NO_NUMBERS}
    return {"command": f"python {command} {options}", "options": options, "configuration": settings}


def training(architecture: str, epochs: int, seed: int, modality: str) -> TrainingConfig:
    """The recipe of an architecture; sounds are moved in time."""
    return TrainingConfig(
        epochs=epochs,
        learning_rate=ARCHITECTURES[architecture].learning_rate,
        largest_shift=AUDIO_SHIFT if modality == "audio" else 0.0,
        seed=seed,
    )


def spectrogram_architectures() -> list[str]:
    """Architectures that take spectrograms and images."""
    return [name for name, entry in ARCHITECTURES.items() if entry.dimensions == 2]


def require_distinct(config: Any, *names: str) -> None:
    """Refuse lists that are empty or name something twice.

    Raises
    ------
    UserError
        Naming the option.
    """
    for name in names:
        values: Sequence[Any] = getattr(config, name)
        if not values or len(set(values)) != len(values):
            raise UserError(f"{name} is {list(values)}; give at least one, each once")


def require_positive(config: Any, *names: str) -> None:
    """Refuse numbers below 1.

    Raises
    ------
    UserError
        Naming the option.
    """
    for name in names:
        if getattr(config, name) < 1:
            raise UserError(f"{name} is {getattr(config, name)}; it has to be at least 1")


def whole(config: Config) -> Config:
    """The configuration of the whole study."""
    return replace(config, part=None)  # type: ignore[type-var]
