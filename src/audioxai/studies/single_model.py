"""One model alone: what its options are, training it, and telling where it lies and how good it is."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from audioxai import datasets
from audioxai.datasets.sources import known_split
from audioxai.models import ARCHITECTURES, checkpoints
from audioxai.models.training import TrainingConfig
from audioxai.studies.models import AUDIO_SHIFT, LEARNING_RATES, Wanted, ensure_model, weights_path
from audioxai.utils.configuration import option, parse
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import keep_freed_memory, select_device


@dataclass(frozen=True)
class SingleModelConfig:
    """What to train."""

    profile: str = option("default", "the only profile is default")
    dataset: str = option("auto", f"one of {', '.join(datasets.DATASETS)}, or auto for the first audio dataset found")
    split: str | None = option(None, "split of the dataset; its default split if not given")
    limit: int | None = option(None, "most samples of each part of the split; all if not given")
    architecture: str = option("small_cnn", f"one of {', '.join(ARCHITECTURES)}")
    resolution: int = option(64, "rows and columns of the input; without meaning for audionet")
    epochs: int | None = option(None, "length of the schedule; 25 for sound and 6 for images if not given")
    learning_rate: float | None = option(None, "peak learning rate; 0.004 for small_cnn, 0.0005 else if not given")
    batch_size: int = option(32, "samples a step")
    patience: int = option(12, "epochs without a better validation accuracy before training stops")
    seed: int = option(0, "of weights, order, dropout and shifts")
    device: str = option("auto", "auto, cpu or cuda")
    threads: int | None = option(None, "CPU threads; PyTorch's own choice if not given")
    checkpoints: str = option("checkpoints", "folder of the checkpoints")


def wanted_model(config: SingleModelConfig) -> Wanted:
    """Model that the options describe."""
    name = datasets.resolve("auto", "audio") if config.dataset == "auto" else config.dataset
    source = datasets.require_known(name)
    if config.architecture not in ARCHITECTURES:
        raise UserError(f"architecture is {config.architecture!r}; choose one of {', '.join(ARCHITECTURES)}")
    is_audio = source.modality == "audio"
    return Wanted(
        dataset=datasets.resolve(name, source.modality),
        split=known_split(source, config.split),
        limit=config.limit,
        architecture=config.architecture,
        resolution=config.resolution,
        training=TrainingConfig(
            epochs=(25 if is_audio else 6) if config.epochs is None else config.epochs,
            patience=config.patience,
            batch_size=config.batch_size,
            learning_rate=LEARNING_RATES[config.architecture] if config.learning_rate is None else config.learning_rate,
            largest_shift=AUDIO_SHIFT if is_audio else 0.0,
            seed=config.seed,
        ),
    )


PROFILES = {"default": SingleModelConfig()}


def train(argv: Sequence[str], command: str) -> None:
    """Parse the options, train the model or find it trained, and print where it is."""
    examples = (
        f"{command} --dataset mnist --resolution 28",
        f"{command} --dataset audio_mnist --split fold2 --architecture alexnet --resolution 227",
        f"{command} --dataset fsdd --architecture audionet",
    )
    config = parse(SingleModelConfig, PROFILES, "Train one model.", examples, argv)
    keep_freed_memory()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    wanted = wanted_model(config)
    folder = Path(config.checkpoints)
    _, card = ensure_model(wanted, folder, select_device(config.device))
    print(f"checkpoint {weights_path(wanted, folder)}")
    print(f"card       {checkpoints.card_path(weights_path(wanted, folder))}")
    for part, reached in asdict(card)["accuracy"].items():
        print(f"{part:<10} {reached:.2%}")
    print(f"training took {card.seconds:.0f} s and {card.epochs_run} epochs")
