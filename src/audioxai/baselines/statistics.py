"""Baselines from a training set: its statistics, and its members."""

from dataclasses import InitVar, dataclass
from typing import ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from audioxai.utils.counter_random import Streams
from audioxai.utils.errors import UserError
from audioxai.utils.seeding import content_key, content_keys, generator


@dataclass(frozen=True)
class Table:
    """Numbers learnt from a training set, which appear in configurations by shape and fingerprint.

    Attributes
    ----------
    shape : tuple of int
        Shape of the numbers.
    fingerprint : int
        Hash of the numbers.
    numbers : Tensor
        Available as :attr:`values`.
    """

    shape: tuple[int, ...]
    fingerprint: int
    numbers: InitVar[Tensor]

    def __post_init__(self, numbers: Tensor) -> None:
        vars(self)["kept"] = numbers

    @classmethod
    def of(cls, numbers: Tensor) -> "Table":
        """Table of a copy of these numbers.

        Raises
        ------
        UserError
            If one is NaN or infinite.
        """
        if not bool(torch.isfinite(numbers).all()):
            raise UserError("what was learnt from the training inputs contains NaN or infinity; repair those inputs")
        own = numbers.detach().cpu().clone()
        return cls(tuple(own.shape), content_key(own), own)

    @property
    def values(self) -> Tensor:
        """The numbers, on the CPU; not to be written to."""
        return cast(Tensor, vars(self)["kept"])

    def expanded_like(self, inputs: Tensor) -> Tensor:
        """The numbers in the inputs' precision and on their device, expanded to their shape.

        Raises
        ------
        UserError
            If the shapes do not fit.
        """
        sample = tuple(inputs.shape[1:])
        if len(sample) != len(self.shape) or any(
            own not in (1, size) for own, size in zip(self.shape, sample, strict=True)
        ):
            raise UserError(
                f"the baseline was learnt from inputs of shape {self.shape} but the inputs have shape {sample}; "
                "learn it from training inputs of the same domain and resolution"
            )
        return self.values.to(inputs).expand_as(inputs)


@dataclass(frozen=True)
class DatasetMean:
    """Mean of the training set per feature."""

    table: Table

    name: ClassVar[str] = "dataset mean"

    @classmethod
    def of(cls, training_inputs: Tensor) -> "DatasetMean":
        """Learn it from training inputs ``(samples, 1, …)``."""
        return cls(Table.of(_real_training(training_inputs).double().mean(0)))

    def __call__(self, inputs: Tensor) -> Tensor:
        """The same for every input."""
        return self.table.expanded_like(inputs).clone()


@dataclass(frozen=True)
class DatasetMedian:
    """Median of the training set per feature."""

    table: Table

    name: ClassVar[str] = "dataset median"

    @classmethod
    def of(cls, training_inputs: Tensor) -> "DatasetMedian":
        """Learn it from training inputs ``(samples, 1, …)``; the mean of the middle two of an even number."""
        values = _real_training(training_inputs).double().numpy()
        return cls(Table.of(torch.from_numpy(np.median(values, axis=0))))

    def __call__(self, inputs: Tensor) -> Tensor:
        """The same for every input."""
        return self.table.expanded_like(inputs).clone()


@dataclass(frozen=True)
class NoiseFloor:
    """Low quantile of each frequency band's level in the training set: its noise floor."""

    table: Table
    quantile: float

    name: ClassVar[str] = "noise floor"

    @classmethod
    def of(cls, training_levels: Tensor, quantile: float = 0.1) -> "NoiseFloor":
        """Learn it from training spectrograms ``(samples, 1, bands, frames)`` in dB, over samples and frames."""
        return cls(_band_quantile(training_levels, quantile), quantile)

    def __call__(self, inputs: Tensor) -> Tensor:
        """The same for every input and frame."""
        return self.table.expanded_like(inputs).clone()


@dataclass(frozen=True)
class LowEnergy:
    """The input with every band limited to a low quantile of its level in the training set."""

    table: Table
    quantile: float

    name: ClassVar[str] = "low energy"

    @classmethod
    def of(cls, training_levels: Tensor, quantile: float = 0.25) -> "LowEnergy":
        """Learn the levels from training spectrograms ``(samples, 1, bands, frames)`` in dB."""
        return cls(_band_quantile(training_levels, quantile), quantile)

    def __call__(self, inputs: Tensor) -> Tensor:
        """``min(L, level of the band)``."""
        return torch.minimum(inputs.detach(), self.table.expanded_like(inputs))


@dataclass(frozen=True)
class References:
    """Members of the training set as baselines, as expected gradients take them."""

    table: Table
    seed: int = 0

    name: ClassVar[str] = "references"

    @classmethod
    def of(cls, training_inputs: Tensor, count: int = 64, seed: int = 0) -> "References":
        """Choose ``count`` of the training inputs ``(samples, 1, …)`` at random, all where there are fewer."""
        order = torch.randperm(len(_training(training_inputs)), generator=generator("choice of references", seed))
        return cls(Table.of(training_inputs[order[:count]]), seed)

    def __call__(self, inputs: Tensor) -> Tensor:
        """First reference of every sample."""
        return self.drawn(inputs, 0)

    def drawn(self, inputs: Tensor, draw: int) -> Tensor:
        """Reference number ``draw`` of every sample, in the sample's own order, none twice before all were drawn."""
        if tuple(inputs.shape[1:]) != self.table.shape[1:]:
            raise UserError(
                f"the references have shape {self.table.shape[1:]} but the inputs {tuple(inputs.shape[1:])}; choose "
                "them from training inputs of the same domain and resolution"
            )
        count = self.table.shape[0]
        orders = Streams(("order of references", self.seed), content_keys(inputs), inputs.device).orders(count)
        return self.table.values.to(inputs)[orders[:, draw % count]]


def _training(inputs: Tensor) -> Tensor:
    if inputs.ndim < 3 or len(inputs) == 0:
        raise UserError(
            f"training inputs have shape {tuple(inputs.shape)}; give at least one sample of shape (samples, 1, …)"
        )
    return inputs.detach().cpu()


def _real_training(inputs: Tensor) -> Tensor:
    if inputs.is_complex():
        raise UserError(f"training inputs are {inputs.dtype}; statistics are of real inputs, so choose another domain")
    return _training(inputs)


def _band_quantile(levels: Tensor, quantile: float) -> Table:
    """Quantile of every band over samples and frames, ``(1, bands, 1)``."""
    if levels.ndim != 4 or not 0.0 <= quantile <= 1.0:
        raise UserError(
            f"training spectrograms have shape {tuple(levels.shape)} and quantile is {quantile}; give "
            "(samples, 1, bands, frames) and a quantile between 0 and 1"
        )
    values = _real_training(levels).double().numpy()
    return Table.of(torch.from_numpy(np.quantile(values, quantile, axis=(0, 3)))[..., None])
