"""Options that every study's command line has: where and on what to compute, and checks that several share."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from audioxai.experiment import RunOptions
from audioxai.models import ARCHITECTURES
from audioxai.models.training import TrainingConfig
from audioxai.results import Remote
from audioxai.utils import configuration
from audioxai.utils.configuration import option
from audioxai.utils.errors import UserError

AUDIO_SHIFT = 0.1


@dataclass(frozen=True)
class RunConfig:
    """Where and on what to compute; decides no number. Configurations of studies inherit these options."""

    device: str = option("auto", "auto, cpu or cuda")
    threads: int | None = option(None, "CPU threads of a process; PyTorch's own choice if not given")
    workers: int = option(1, "processes on this machine")
    dask: str | None = option(None, "address of a Dask scheduler, tcp://host:8786, or local for one here")
    slurm: str | None = option(None, "settings of Slurm's array jobs, such as partition=gpu,gpus=1,time=120 (minutes)")
    results: str = option("results", "folder of the results store, or s3://bucket/prefix")
    checkpoints: str = option("checkpoints", "folder of the checkpoints, or s3://bucket/prefix")


FOLDERS = ("results", "checkpoints")
# Options that decide no number.
NO_NUMBERS = tuple(field.name for field in fields(RunConfig))


def run_options(config: RunConfig) -> RunOptions:
    """Where and on what a configuration is computed.

    Raises
    ------
    UserError
        If an option is out of its range or does not go with another.
    """
    given = {name: getattr(config, name) for name in NO_NUMBERS}
    remotes = tuple(Remote.of(given[name]) for name in FOLDERS if is_address(given[name]))
    folders = {name: local_folder(given[name]) for name in FOLDERS}
    return RunOptions(**given | folders, remotes=remotes)


def local_folder(written: str) -> Path:
    """A folder as it is written on a command line; that of this machine for an object store's address."""
    return Remote.of(written).folder if is_address(written) else Path(written)


def fetched(written: str) -> Path:
    """The folder of :func:`local_folder`, with everything that an object store has."""
    if is_address(written):
        Remote.of(written).fetch_all()
    return local_folder(written)


def is_address(written: str) -> bool:
    """Whether it is an address such as ``s3://bucket/results``."""
    return "://" in written


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
    """Architectures that take spectrograms and images, and suit every method, rules for rectifiers included."""
    return [name for name, entry in ARCHITECTURES.items() if entry.dimensions == 2 and entry.family != "transformer"]


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
