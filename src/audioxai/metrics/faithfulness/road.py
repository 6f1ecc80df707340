"""ROAD: the predicted class while the most relevant features are imputed from the others."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioxai.core import activation_of, with_rival
from audioxai.metrics.batch import Batch, Perturbation, target_logit
from audioxai.metrics.engine import Scoring
from audioxai.metrics.faithfulness.ranking import check_fractions, counts_of, feature_count, places, ranks_features
from audioxai.metrics.faithfulness.removal import CurveMetric, Tracing
from audioxai.metrics.patterns import Patterns
from audioxai.metrics.registry import metric
from audioxai.utils.counter_random import Streams
from audioxai.utils.errors import UserError

RELATIVE_RESIDUAL = 1e-9


def is_predicted(logits: Tensor, targets: Tensor) -> Tensor:
    """1 where the target is the predicted class, else 0, ``(n,)``."""
    return (with_rival(logits).argmax(1) == targets).to(logits.dtype)


def is_predicted_label(logits: Tensor, targets: Tensor) -> Tensor:
    """1 where the probability of the target, a label that excludes no other, is at least one half, else 0, ``(n,)``."""
    return (target_logit(logits, targets) >= 0.0).to(logits.dtype)


@metric("road")
@dataclass(frozen=True)
class Road(CurveMetric):
    """Share of removals of the most relevant features after which the target is still the predicted class.

    Attributes
    ----------
    fractions : tuple of float
        Shares of the input that are removed, each in (0, 1).
    noise_std : float
        Standard deviation of the noise on removed features, in standard deviations of the sample's own values.
    seed : int
        Of the noise and of the order of equally relevant features, functions of the sample's values and the seed.

    Notes
    -----
    Rong et al. 2022, most relevant first. Removed features are imputed linearly from their neighbours, plus a little
    noise; no baseline is needed. The mean over samples is the paper's accuracy, averaged over the fractions;
    :meth:`curve` has it for each. Corrected against common implementations: every sample counts, waveforms are imputed
    too, and noise is relative to the sample, so that it means the same in dB and in [0, 1]. NaN where all features are
    equally relevant. A label that excludes no other is predicted where its probability is at least one half.
    """

    fractions: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9)
    noise_std: float = 0.01
    seed: int = 0

    label: ClassVar[str] = "ROAD"
    family: ClassVar[str] = "faithfulness"
    complex_inputs: ClassVar[bool] = False
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    source: ClassVar[str] = "Rong et al. 2022"
    revision: ClassVar[int] = 2
    few_values: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_fractions(self.fractions)
        if not (math.isfinite(self.noise_std) and self.noise_std >= 0.0):
            raise UserError(f"noise_std is {self.noise_std}; a standard deviation has to be finite and at least 0")

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [0, 1]."""
        curve = yield from self.tracing(batch, attributions)
        return torch.where(ranks_features(attributions), curve.mean(1), torch.nan)

    def tracing(self, batch: Batch, attributions: Tensor) -> Tracing:
        """Whether the target is still predicted, 1 or 0, ``(batch, fractions)``."""
        place = places(batch, attributions, self.seed)
        reading = is_predicted_label if activation_of(batch.model) == "sigmoid" else is_predicted
        after = batch.responses(self._imputation(batch, place), len(self.fractions), reading)
        yield [after.work]
        return after.values.double()

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """One per fraction and sample."""
        return len(inputs) * len(self.fractions)

    def _imputation(self, batch: Batch, place: Tensor) -> Perturbation:
        """Perturbation that imputes the top features. At least one feature is left to impute the others from."""
        inputs, features = batch.inputs, feature_count(batch.inputs)
        counts = counts_of(self.fractions, features).clamp(max=features - 1).to(place.device)
        shape = inputs.shape[1:]

        def normal(streams: Streams) -> Tensor:
            return streams.normal(shape.numel()).reshape(-1, *shape)

        noise = Patterns(batch, ("imputation", self.seed), len(self.fractions), normal)
        strength = self.noise_std * inputs.flatten(1).std(1, correction=0).reshape(-1, *[1] * (inputs.ndim - 1))

        def impute(samples: Tensor, runs: Tensor) -> Tensor:
            removed = (place[samples] < counts[runs, None]).reshape(-1, 1, *inputs.shape[2:])
            added = strength[samples] * noise(samples, runs).to(inputs)
            return imputed(inputs[samples], removed) + added * removed

        return impute


def imputed(inputs: Tensor, removed: Tensor) -> Tensor:
    """Inputs whose removed features are imputed linearly from the others.

    Parameters
    ----------
    inputs : Tensor
        ``(n, channels, time)`` or ``(n, channels, rows, columns)``.
    removed : Tensor
        Boolean ``(n, 1, …)``, True where a feature is removed, in no sample everywhere.

    Returns
    -------
    Tensor
        Shaped like the inputs and of their type.

    Notes
    -----
    Rong et al. 2022: every removed feature becomes the weighted mean of its neighbours, removed ones included; in two
    dimensions of the eight neighbours, direct ones weighing 1/6 and diagonal ones 1/12, in one dimension of the two. At
    the edges the remaining weights are scaled up. The equations are solved together, in float64.
    """
    fill = _between_neighbours if inputs.ndim == 3 else _relaxed
    return torch.where(removed, fill(inputs.double(), removed).to(inputs.dtype), inputs)


def _between_neighbours(waveforms: Tensor, removed: Tensor) -> Tensor:
    """In one dimension the solution is the straight line between the nearest features that are not removed."""
    length = waveforms.shape[2]
    positions = torch.arange(length, device=waveforms.device).expand_as(removed)
    before = positions.masked_fill(removed, -1).cummax(2).values
    after = positions.masked_fill(removed, length).flip(2).cummin(2).values.flip(2)
    # Before the first and after the last of these there is only one neighbour.
    left = torch.where(before < 0, after, before).expand_as(waveforms)
    right = torch.where(after == length, before, after).expand_as(waveforms)
    share = (positions - left) / (right - left).clamp(min=1)
    return torch.lerp(waveforms.gather(2, left), waveforms.gather(2, right), share.double())


def _relaxed(images: Tensor, removed: Tensor) -> Tensor:
    """Solution by conjugate gradients, for all images at once; the system is symmetric and positive definite."""
    hole = removed.double()
    weights = _neighbours(torch.ones_like(hole))
    values = torch.zeros_like(images)
    residual = _neighbours(images * (1.0 - hole)) * hole
    direction, power = residual, _power(residual)
    enough = RELATIVE_RESIDUAL**2 * power
    for _ in range(hole[0].numel()):
        active = power > enough
        if not bool(active.any()):
            break
        changed = (weights * direction - _neighbours(direction)) * hole
        step = torch.where(active, power / (direction * changed).sum((2, 3), keepdim=True), 0.0)
        values = values + step * direction
        residual = residual - step * changed
        power, previous = _power(residual), power
        direction = residual + torch.where(active, power / previous, 0.0) * direction
    return values


def _neighbours(images: Tensor) -> Tensor:
    """Weighted sum over every feature's neighbours, 0 outside."""
    padded = functional.pad(images, (1, 1, 1, 1))
    rows = padded[..., :-2, :] + 2.0 * padded[..., 1:-1, :] + padded[..., 2:, :]
    both = rows[..., :-2] + 2.0 * rows[..., 1:-1] + rows[..., 2:]
    return (both - 4.0 * images) / 12.0


def _power(images: Tensor) -> Tensor:
    return images.square().sum((2, 3), keepdim=True)
