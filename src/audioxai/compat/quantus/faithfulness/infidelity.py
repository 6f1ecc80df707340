"""Infidelity as in the reference: square patches replaced one after the other."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from audioxai.compat.quantus.faithfulness.perturbing import Perturbing
from audioxai.compat.quantus.reference import as_sent, reading, running_fills
from audioxai.metrics.batch import Batch, Perturbation
from audioxai.metrics.engine import Scoring
from audioxai.utils.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Infidelity(Perturbing):
    """The reference's infidelity.

    Quirks: patches are replaced one after the other, row by row, and stay replaced; images whose sides every patch
    size divides, nothing else; the repetitions differ only where the baseline is drawn, and are only then carried out
    here.

    Attributes
    ----------
    perturb_patch_sizes : tuple of int
        Sides of the patches.
    n_perturb_samples : int
        Repetitions.
    abs, normalise, perturb_baseline, softmax, seed
        As in :class:`Perturbing`.
    """

    perturb_patch_sizes: tuple[int, ...] = (4,)
    n_perturb_samples: int = 10
    normalise: bool = False

    label: ClassVar[str] = "infidelity as in Quantus"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, math.inf)
    source: ClassVar[str] = "Quantus 0.6.0; Yeh et al. 2019"

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores ≥ 0: squared errors, mean over patches, then over patch sizes and repetitions."""
        features, random = batch.inputs.flatten(1), np.random.RandomState(self.seed)
        flat = self.features_of(attributions).double()
        before, removed, losses = batch.plain(reading(self.softmax)), [], []
        for size in self._sizes():
            chunks = _patches(batch.inputs, size)
            steps = int(chunks.max()) + 1
            draws = random.uniform(size=(steps, len(batch)))
            fills = running_fills(features, chunks, steps, self.perturb_baseline, draws).gather(1, chunks)
            removed.append(batch.responses(self._removal(batch, chunks, fills), steps, reading(self.softmax)))
            parts = flat.new_zeros(len(batch), steps).scatter_add_(1, chunks, flat * (features - fills).double())
            losses.append(parts.cumsum(1))
        yield [before.work, *(after.work for after in removed)]
        drops = [(before.values - after.values).double() for after in removed]
        errors = [(drop - loss).square().mean(1) for drop, loss in zip(drops, losses, strict=True)]
        return torch.stack(errors).mean(0)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """Per sample one for each patch and one for the unperturbed input."""
        patches = [_patch_count(inputs, size) for size in self._sizes()]
        return len(inputs) * (sum(patches) + 1)

    def _sizes(self) -> tuple[int, ...]:
        """Patch sizes in the order they come, as often as they differ."""
        return self.perturb_patch_sizes * (self.n_perturb_samples if self.perturb_baseline == "uniform" else 1)

    def _removal(self, batch: Batch, chunks: Tensor, fills: Tensor) -> Perturbation:
        def remove(samples: Tensor, runs: Tensor) -> Tensor:
            gone = chunks[samples] <= runs[:, None]
            filled = torch.where(gone, fills[samples], batch.inputs.flatten(1)[samples])
            return as_sent(filled).reshape(-1, *batch.inputs.shape[1:])

        return remove


def _patch_count(inputs: Tensor, size: int) -> int:
    if inputs.ndim != 4 or any(side % size for side in inputs.shape[2:]):
        raise UserError(
            f"the reference's infidelity takes images whose sides {size} divides, not inputs of "
            f"{tuple(inputs.shape[1:])}; choose another patch size"
        )
    return math.prod(side // size for side in inputs.shape[2:])


def _patches(inputs: Tensor, size: int) -> Tensor:
    """Number ``(batch, features)`` of the patch that each feature lies in, counted row by row."""
    _patch_count(inputs, size)
    rows, columns = (torch.arange(side, device=inputs.device) // size for side in inputs.shape[2:])
    patches = rows[:, None] * (inputs.shape[3] // size) + columns
    return patches.expand(inputs.shape).flatten(1)
