"""One model alone: what its options are, training it, and saying where it lies and how good it is."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from audioxai import datasets
from audioxai.experiment import DataSpec, ModelSpec, RunOptions
from audioxai.experiment.models import ensure_model, weights_path
from audioxai.models import ARCHITECTURES, checkpoints
from audioxai.studies.options import training
from audioxai.utils.configuration import option, parse
from audioxai.utils.hardware import keep_freed_memory, select_device


@dataclass(frozen=True)
class SingleModelConfig:
    """What to train."""

    profile: str = option("default", "the only profile is default")
    dataset: str = option("auto", "registered data set, or auto for the first audio data set found")
    split: str | None = option(None, "split of the data set; its default split if not given")
    limit: int | None = option(None, "most samples of each part of the split; all if not given")
    architecture: str = option("small_cnn", "registered architecture")
    resolution: int = option(64, "rows and columns of the input; without meaning for audionet")
    epochs: int | None = option(None, "length of the schedule; 25 for sound and 6 for images if not given")
    learning_rate: float | None = option(None, "peak learning rate; the architecture's own if not given")
    batch_size: int = option(32, "samples per step")
    patience: int = option(12, "epochs without a better validation accuracy before training stops")
    seed: int = option(0, "of weights, order, dropout and shifts")
    device: str = option("auto", "auto, cpu or cuda")
    threads: int | None = option(None, "CPU threads; PyTorch's own choice if not given")
    checkpoints: str = option("checkpoints", "folder of the checkpoints")

    def __post_init__(self) -> None:
        RunOptions(checkpoints=Path(self.checkpoints), device=self.device, threads=self.threads)


PROFILES = {"default": SingleModelConfig()}


def wanted_model(config: SingleModelConfig) -> ModelSpec:
    """Model that the options describe.

    Raises
    ------
    UserError
        If data set, split or architecture are not known.
    """
    name = datasets.resolve("auto", "audio") if config.dataset == "auto" else config.dataset
    modality = datasets.DATASETS[name].modality
    entry = ARCHITECTURES[config.architecture]
    epochs = (25 if modality == "audio" else 6) if config.epochs is None else config.epochs
    recipe = replace(
        training(entry.name, epochs, config.seed, modality),
        patience=config.patience,
        batch_size=config.batch_size,
        learning_rate=entry.learning_rate if config.learning_rate is None else config.learning_rate,
    )
    data = DataSpec(datasets.resolve(name, modality), config.split, config.limit)
    return ModelSpec(data, entry.name, (config.resolution, config.resolution), recipe)


def train(argv: Sequence[str], command: str, description: str, examples: Sequence[str]) -> None:
    """Parse the options, train the model or find it trained, and print where it is."""
    config = parse(SingleModelConfig, PROFILES, description, examples, argv, command)
    keep_freed_memory()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    spec, folder = wanted_model(config), Path(config.checkpoints)
    _, card = ensure_model(spec, folder, select_device(config.device))
    print(f"checkpoint {weights_path(spec, folder)}")
    print(f"card       {checkpoints.card_path(weights_path(spec, folder))}")
    for part, reached in asdict(card)["accuracy"].items():
        print(f"{part:<10} {reached:.2%}")
    print(f"training took {card.seconds:.0f} s and {card.epochs_run} epochs")
