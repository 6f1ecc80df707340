"""Faithfulness: whether the model loses what the attribution says it would lose."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from audio_xai.baselines import Baseline
from audio_xai.metrics.engine import (
    check_attributions,
    own_offsets,
    perturbed_scores,
    plain_scores,
    shifted_patterns,
)
from audio_xai.metrics.similarity import pearson
from audio_xai.utils.errors import UserError
from audio_xai.utils.seeding import generator


@dataclass(frozen=True, eq=False)
class Removals:
    """What happened to the target's logit when random subsets were removed; it does not depend on any attribution.

    Attributes
    ----------
    subsets : Tensor
        ``(runs, 1, …)``, True where a cell was removed, before every sample's own shift.
    offsets : list of tuple of int
        Each sample's cyclic shift of the subsets, in cells along each axis.
    drops : Tensor
        ``(batch, runs)``, logit before minus logit after.
    """

    subsets: Tensor
    offsets: list[tuple[int, ...]]
    drops: Tensor


@dataclass(frozen=True)
class FaithfulnessCorrelation:
    """Correlation over random subsets of summed attribution and the logit's drop when the subset is removed.

    Attributes
    ----------
    baseline : Baseline
        What removed cells are set to.
    fraction : float
        Share of the input that a subset takes, so that small and large inputs compare.
    runs : int
        Number of subsets.
    patch : int
        Side in cells of the squares that a subset is made of; 1 for single cells.
    seed : int
        Of the subsets. Every sample has its own, a function of its values and the seed, so the score does not depend on
        batch or order, and methods are compared on the same removals.

    Notes
    -----
    Bhatt et al. 2020, Eq. 2. Corrected against common implementations: the subset is a fraction of the input, and the
    baseline is stated instead of being each sample's own minimum.
    """

    baseline: Baseline
    fraction: float = 0.1
    runs: int = 100
    patch: int = 1
    seed: int = 0

    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    source: ClassVar[str] = "Bhatt et al. 2020, Eq. 2"

    def __post_init__(self) -> None:
        if not 0.0 < self.fraction < 1.0:
            raise UserError(f"fraction is {self.fraction}; a subset has to be a fraction in (0, 1) of the input")
        if self.runs < 3:
            raise UserError(f"runs is {self.runs}; a correlation needs at least 3")
        if self.patch < 1:
            raise UserError(f"patch is {self.patch}; it has to be at least 1 cell")

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor, attributions: Tensor) -> Tensor:
        """Scores ``(batch,)`` in [−1, 1]; NaN where attributions or drops do not vary."""
        check_attributions(inputs, attributions, "faithfulness correlation")
        return self.judge(self.observe(model, inputs, targets), inputs, attributions)

    def observe(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Removals:
        """All model passes of this metric; their outcome serves every method's attributions."""
        subsets = self.subsets(tuple(inputs.shape[2:])).to(inputs.device)
        offsets = own_offsets(inputs, "faithfulness subsets", self.seed)
        baseline = self.baseline(inputs)

        def remove(samples: Tensor, runs: Tensor) -> Tensor:
            removed = shifted_patterns(subsets, samples, runs, offsets)
            return torch.where(removed, baseline[samples], inputs[samples])

        before = plain_scores(model, inputs, targets)
        after = perturbed_scores(model, inputs, targets, remove, self.runs)
        return Removals(subsets, offsets, before[:, None] - after)

    def judge(self, removals: Removals, inputs: Tensor, attributions: Tensor) -> Tensor:
        """Scores ``(batch,)`` of attributions, given what the removals did."""
        check_attributions(inputs, attributions, "faithfulness correlation")
        per_cell = attributions.sum(1, keepdim=True).double()
        axes = tuple(range(1, per_cell.ndim - 1))
        # Moving the attribution back is moving the subsets forth, and leaves one product for the whole batch.
        back = [
            sample.roll(tuple(-shift for shift in offset), axes)
            for sample, offset in zip(per_cell, removals.offsets, strict=True)
        ]
        sums = torch.stack(back).flatten(1) @ removals.subsets.flatten(1).T.double()
        # Sums of many equal numbers differ by their rounding, which is no correlation.
        varies = per_cell.flatten(1).amax(1) > per_cell.flatten(1).amin(1)
        return torch.where(varies, pearson(sums, removals.drops), torch.nan)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the protocol's)
        """``runs`` and the unperturbed one, a sample."""
        return len(inputs) * (self.runs + 1)

    def subsets(self, shape: tuple[int, ...]) -> Tensor:
        """Random subsets ``(runs, 1, *shape)``, True where removed."""
        grid = tuple(-(-size // self.patch) for size in shape)
        count = torch.Size(grid).numel()
        chosen = max(1, round(self.fraction * count))
        random = generator("faithfulness subsets", self.seed, shape, self.patch)
        masks = torch.zeros(self.runs, count, dtype=torch.bool)
        for run in range(self.runs):
            masks[run, torch.randperm(count, generator=random)[:chosen]] = True
        masks = masks.reshape(self.runs, *grid)
        for axis, size in enumerate(shape, start=1):
            masks = masks.repeat_interleave(self.patch, axis).narrow(axis, 0, size)
        return masks[:, None]
