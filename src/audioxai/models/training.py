"""Seeded training that stops early, shows its progress and picks up where it was stopped."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioxai.models.front_end import Classifier, prepared_for
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import slices
from audioxai.utils.progress import Progress, bar
from audioxai.utils.seeding import derived_seed, generator
from audioxai.utils.tensors import DamagedError, load_tensors, save_tensors


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides how a model is trained.

    Attributes
    ----------
    epochs : int
        Length of the one-cycle schedule.
    patience : int
        Epochs without a better validation accuracy after which training stops; long enough to outlast the noise while
        the rate is near its peak.
    batch_size : int
        Samples per step.
    learning_rate, weight_decay : float
        Peak rate and decay of AdamW.
    largest_shift : float
        Every training input is moved along its last axis by up to this fraction of its length, padded with zeros.
    seed : int
        Seed of the initial weights, the order of samples, dropout and shifts.
    """

    epochs: int
    patience: int = 12
    batch_size: int = 32
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    largest_shift: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "patience", "batch_size"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; it has to be at least 1")
        if not 0.0 < self.learning_rate < math.inf:
            raise UserError(f"learning_rate is {self.learning_rate}; it has to be a positive number")
        if not 0.0 <= self.weight_decay < math.inf:
            raise UserError(f"weight_decay is {self.weight_decay}; it has to be at least 0")
        if not 0.0 <= self.largest_shift < 1.0:
            raise UserError(f"largest_shift is {self.largest_shift}; it has to be a fraction in [0, 1)")


@dataclass(frozen=True, eq=False)
class Labelled:
    """Inputs ``(samples, 1, …)`` with their class indices ``(samples,)``."""

    inputs: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def on(self, device: torch.device) -> "Labelled":
        """The same on a device, where nothing has to be brought step by step."""
        return Labelled(self.inputs.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to: mean training loss (nats) and validation accuracy (a fraction)."""

    loss: float
    validation_accuracy: float


def train(
    model: Classifier,
    training: Labelled,
    validation: Labelled,
    config: TrainingConfig,
    device: torch.device,
    state: Path,
) -> list[Epoch]:
    """Train in place and leave the weights of the best validation epoch in ``model``.

    Parameters
    ----------
    model : Classifier
        Freshly built from ``config.seed``.
    training, validation : Labelled
        Recordings as the model takes them.
    config : TrainingConfig
        The recipe.
    device : torch.device
        Device; all samples are moved to it first.
    state : Path
        File that holds the state after every epoch; found there, training goes on from it with the same result as an
        undisturbed run, bit for bit on the same machine. It stays until the caller deletes it.

    Returns
    -------
    list of Epoch
        One entry per epoch.
    """
    for part in (training, validation):
        _require_samples(part)
    prepared_for(model, device)
    training, validation = training.on(device), validation.on(device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    history, best = _restore(state, model, optimiser, config)
    steps = math.ceil(len(training) / config.batch_size)
    description = f"training {state.name.split('.')[0]}"
    with bar(config.epochs * steps, description, "step", initial=len(history) * steps) as progress:
        while len(history) < config.epochs and not _stalled(history, config.patience):
            loss = _train_epoch(model, optimiser, training, config, len(history), device, progress)
            reached = accuracy(model, validation, device)
            if not history or reached >= max(epoch.validation_accuracy for epoch in history):
                best = {name: value.detach().clone() for name, value in model.state_dict().items()}
            history.append(Epoch(loss, reached))
            progress.set_postfix_str(f"validation {reached:.2%}")
            _save(state, model, optimiser, best, history, config)
    model.load_state_dict(best)
    model.eval()
    return history


def accuracy(model: nn.Module, labelled: Labelled, device: torch.device, batch_size: int = 256) -> float:
    """Fraction of samples whose largest logit is their label's; the model is left in evaluation mode."""
    _require_samples(labelled)
    model.eval()
    correct = torch.zeros((), dtype=torch.int64, device=device)
    with torch.inference_mode():
        for rows in slices(len(labelled), batch_size):
            predicted = model(labelled.inputs[rows].to(device)).argmax(1)
            correct += (predicted == labelled.labels[rows].to(device)).sum()
    return int(correct) / len(labelled)


def _require_samples(labelled: Labelled) -> None:
    if len(labelled) == 0:
        raise UserError("a part of the split holds no samples to train on or to measure; choose another split")


def shifted(inputs: Tensor, largest_shift: float, random: torch.Generator) -> Tensor:
    """Each input moved along its last axis by its own number of samples or frames, zeros filling in; same shape."""
    reach = int(largest_shift * inputs.shape[-1])
    if reach == 0:
        return inputs
    starts = torch.randint(0, 2 * reach + 1, (len(inputs),), generator=random)
    padded = functional.pad(inputs, (reach, reach))
    moved = [row[..., start : start + inputs.shape[-1]] for row, start in zip(padded, starts.tolist(), strict=True)]
    return torch.stack(moved)


def one_cycle(step: int, steps: int) -> float:
    """Fraction of the peak learning rate at a step: linear rise over the first 30 %, then a cosine down to 0."""
    rise = max(1.0, 0.3 * steps)
    if step < rise:
        return 0.04 + 0.96 * step / rise
    return 0.5 * (1.0 + math.cos(math.pi * (step - rise) / max(1.0, steps - rise)))


def _train_epoch(
    model: Classifier,
    optimiser: torch.optim.Optimizer,
    training: Labelled,
    config: TrainingConfig,
    epoch: int,
    device: torch.device,
    progress: Progress,
) -> float:
    """One pass over the training set; everything random in it depends on seed and epoch alone."""
    model.train()
    random = generator("training", config.seed, epoch)
    order = torch.randperm(len(training), generator=random).to(device)
    steps = math.ceil(len(training) / config.batch_size)
    total = torch.zeros((), dtype=torch.float64, device=device)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(derived_seed("dropout", config.seed, epoch))
        for index, rows in enumerate(_batches(order, config.batch_size)):
            for group in optimiser.param_groups:
                group["lr"] = config.learning_rate * one_cycle(epoch * steps + index, config.epochs * steps)
            inputs = shifted(training.inputs[rows], config.largest_shift, random)
            loss = functional.cross_entropy(model(inputs), training.labels[rows])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            total += loss.detach().double() * len(rows)
            progress.update(1)
    return float(total) / len(training)


def _batches(order: Tensor, size: int) -> Iterator[Tensor]:
    return (order[rows] for rows in slices(len(order), size))


def _stalled(history: list[Epoch], patience: int) -> bool:
    if not history:
        return False
    reached = [epoch.validation_accuracy for epoch in history]
    latest_best = max(index for index, value in enumerate(reached) if value == max(reached))
    return len(history) - 1 - latest_best >= patience


def _save(
    state: Path,
    model: Classifier,
    optimiser: torch.optim.Optimizer,
    best: dict[str, Tensor],
    history: list[Epoch],
    config: TrainingConfig,
) -> None:
    """Weights, best weights and optimiser moments, with history and recipe as their metadata."""
    tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"best/{name}": value for name, value in best.items()}
    for index, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser/{index}/{name}": value for name, value in moments.items()}
    save_tensors(state, tensors, {"history": [asdict(epoch) for epoch in history], "config": asdict(config)})


def _restore(
    state: Path, model: Classifier, optimiser: torch.optim.Optimizer, config: TrainingConfig
) -> tuple[list[Epoch], dict[str, Tensor]]:
    """Continue from a state file of the same recipe; without one, start from the model as it is."""
    if not state.exists():
        return [], {name: value.detach().clone() for name, value in model.state_dict().items()}
    try:
        tensors, metadata = load_tensors(state)
    except DamagedError as error:
        raise UserError(f"training state {state} {error}; delete it to train from the start") from error
    if metadata["config"] != asdict(config):
        raise UserError(f"training state {state} is of another recipe; delete it to train from the start")
    model.load_state_dict(_under(tensors, "model/"))
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in _under(tensors, "optimiser/").items():
        index, moment = name.split("/")
        moments.setdefault(int(index), {})[moment] = value
    optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})
    return [Epoch(**epoch) for epoch in metadata["history"]], _under(tensors, "best/")


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
