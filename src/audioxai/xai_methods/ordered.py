"""Ordered Integrated Gradients: along paths that insert features in the order of the attributions so far.

Idea
----
Insertion and deletion insert features in the order of an attribution map, so the gradients that matter are those on
such paths, which a straight line never meets. A first estimate, half from silence and half from noise, ranks the
features; then, in each round, features are inserted in the order of the map so far and in the opposite order, into
silence and into noise, and the attributions of these paths are added to the map. Every path is complete, and so is
their weighted mean.

The gradients of each path give two maps: Integrated Gradients, and the change of every step divided by the squared
gradient (IDGI), which leaves out the part of a step along which the score does not change.

Paths live in the model's inputs, from a baseline to the input, or in masks of a recording
(:mod:`audioxai.xai_methods.masks`), from 0 to 1 under a removal; the algorithm is the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from audioxai.baselines import BandNoise, Baseline, RandomBaseline, Silence, SpeechShapedNoise, blurred
from audioxai.domains import LogMel, Mask, MaskValues, Waveform
from audioxai.utils.errors import UserError
from audioxai.xai_methods.combinations import weighted_sum
from audioxai.xai_methods.masks import MaskedSounds
from audioxai.xai_methods.path_integral import (
    Integral,
    IntegralMethod,
    change_along,
    change_of,
    path_sum,
    shared_by_squares,
)
from audioxai.xai_methods.paths import Curve, Line, OrderedLine, broadcast, insertion_ranks
from audioxai.xai_methods.quadrature import Midpoint, Partition
from audioxai.xai_methods.registry import METHODS
from audioxai.xai_methods.scores import LOGIT, Margin, ScoreFunction, TargetScore

PATHS_PER_ROUND = 4
FIRST_DRAWS = 2
# The first estimate has one path per baseline where a round has two, and counts as much as a round.
FIRST_WEIGHT = 2.0
FEWEST = PATHS_PER_ROUND + 2
GRADIENTS_PER_ROUND = 5
# Noise 10 dB below the clip leaves the clip audible along half of a path; the metric's ratio need not be known.
NOISE_SNR_DB = 10.0


@dataclass(frozen=True, eq=False)
class _Course:
    """What paths lead from and to, both ``(batch, 1, …)``, and the score of points on them."""

    score: ScoreFunction
    start: Tensor
    end: Tensor

    @property
    def line(self) -> Curve:
        """All features at once."""
        return Line(self.start, self.end)

    def ordered(self, ranks: Tensor, overlap: float) -> Curve:
        """Features one after another."""
        return OrderedLine(self.start, self.end, ranks, overlap)


@dataclass(frozen=True, eq=False)
class _WeightedPath:
    """One path: score, curve, where gradients are taken, how far its maps are smoothed, and its weight."""

    score: ScoreFunction
    curve: Curve
    partition: Partition
    sigma_cells: float
    weight: float = 1.0


@dataclass(frozen=True)
class OrderedIntegratedGradients(IntegralMethod):
    """Attributions from paths in the order of the attributions so far.

    Attributes
    ----------
    silence : Baseline
        One baseline.
    noise : RandomBaseline
        The other baseline, drawn anew for every path.
    gradients : int
        Gradients per sample, at least 6: about a quarter for the first estimate, the rest for the rounds.
    rounds : int
        How often features are ranked anew; fewer where the gradients do not suffice.
    overlap : float
        How long a feature moves, as a share of the time in which all begin to move; above 0.
    idgi_share : float
        Weight in [0, 1] of the maps that divide changes by the squared gradient.
    silence_sigma_cells, noise_sigma_cells : float
        Standard deviations, in features, of the Gaussians that smooth the maps of paths from silence and from noise:
        the effect of noise on a feature depends on its neighbours, so that few gradients leave those maps noisy.
    score : TargetScore
        The score that is explained.

    Notes
    -----
    A = Σ_j w_j A_j over paths j and both maps of each, w_j in proportion to the map's weight over Σ|A_j| and Σ w_j = 1:
    every path has an equal influence on every sample, as in :class:`BalancedMean`, and ΣA = Σ_j w_j (F(x) − F(start)).
    """

    silence: Baseline
    noise: RandomBaseline
    gradients: int = 32
    rounds: int = 3
    overlap: float = 0.5
    idgi_share: float = 0.3
    silence_sigma_cells: float = 1.0
    noise_sigma_cells: float = 2.0
    score: TargetScore = LOGIT

    def __post_init__(self) -> None:
        if self.gradients < FEWEST or self.rounds < 1:
            raise UserError(f"gradients is {self.gradients} and rounds is {self.rounds}; give at least {FEWEST} and 1")
        if not 0.0 <= self.idgi_share <= 1.0 or not self.overlap > 0.0:
            raise UserError(
                f"idgi_share is {self.idgi_share} and overlap is {self.overlap}; give the first in "
                "[0, 1] and the other above 0"
            )
        if not min(self.silence_sigma_cells, self.noise_sigma_cells) > 0.0:
            raise UserError(
                f"silence_sigma_cells is {self.silence_sigma_cells} and noise_sigma_cells {self.noise_sigma_cells}; "
                "a blur needs a positive standard deviation"
            )

    def passes(self, inputs: Tensor) -> int:
        """``gradients`` per sample, and what the score takes beforehand."""
        return len(inputs) * (self.gradients + self.score.passes)

    @property
    def budget(self) -> tuple[int, int, int]:
        """Rounds, gradients on each of their paths, and gradients of the first estimate."""
        rounds = min(self.rounds, max(1, self.gradients // GRADIENTS_PER_ROUND))
        steps = (self.gradients - self.gradients // 5) // (PATHS_PER_ROUND * rounds)
        return rounds, steps, self.gradients - PATHS_PER_ROUND * rounds * steps

    def integrate(self, model: nn.Module, inputs: Tensor, targets: Tensor, size: int, *, with_change: bool) -> Integral:
        """Weighted mean over all paths."""
        score, rounds = self.score.of(model, inputs, targets, size), self.budget[0]
        rows = torch.arange(len(inputs), device=inputs.device)
        silent = self._silent(score, inputs)
        total, weights, changes = torch.zeros_like(silent.end), [], []
        for number in range(rounds + 1):
            noisy = (
                self._noisy(score, inputs, draw) for draw in range(FIRST_DRAWS * number, FIRST_DRAWS * (number + 1))
            )
            paths = self._round(silent, noisy, insertion_ranks(total)) if number else self._first(silent, noisy)
            for path in paths:
                maps = self._maps(path, rows, size)
                own = self._weights(maps, path.weight)
                total = total + weighted_sum(own, list(maps.unbind(1)))
                weights.append(own.sum(0))
                if with_change:
                    changes.append(change_of(path.score, path.curve, rows, size))
        whole = torch.stack(weights).sum(0)
        attributions = total / broadcast(whole.where(whole > 0.0, 1.0), total)
        change = _mean_change(torch.stack(weights), torch.stack(changes)) if with_change else torch.zeros_like(whole)
        return Integral(attributions, change, torch.full_like(rows, self.gradients))

    def _silent(self, score: ScoreFunction, inputs: Tensor) -> _Course:
        """From silence."""
        return _Course(score, self.silence(inputs), inputs)

    def _noisy(self, score: ScoreFunction, inputs: Tensor, draw: int) -> _Course:
        """From a draw of noise."""
        return _Course(score, self.noise.drawn(inputs, draw), inputs)

    def _first(self, silent: _Course, noisy: Iterator[_Course]) -> Iterator[_WeightedPath]:
        """Straight lines from silence and from a few draws of noise."""
        first = self.budget[2]
        of_noise = first // 2
        draws = FIRST_DRAWS if of_noise % FIRST_DRAWS == 0 else 1
        partition = Midpoint(first - of_noise).partition()
        yield _WeightedPath(silent.score, silent.line, partition, self.silence_sigma_cells, FIRST_WEIGHT)
        for draw, course in zip(range(draws), noisy, strict=False):
            partition = Midpoint(of_noise // draws).of_draw(draw, draws)
            yield _WeightedPath(course.score, course.line, partition, self.noise_sigma_cells, FIRST_WEIGHT / draws)

    def _round(self, silent: _Course, noisy: Iterator[_Course], ranks: Tensor) -> Iterator[_WeightedPath]:
        """Features by their ranks and in the opposite order, from silence and from a draw of noise per path."""
        partition, orders = Midpoint(self.budget[1]).partition(), (ranks, 1.0 - ranks)
        for order in orders:
            curve = silent.ordered(order, self.overlap)
            yield _WeightedPath(silent.score, curve, partition, self.silence_sigma_cells)
        for order, course in zip(orders, noisy, strict=True):
            curve = course.ordered(order, self.overlap)
            yield _WeightedPath(course.score, curve, partition, self.noise_sigma_cells)

    def _maps(self, path: _WeightedPath, rows: Tensor, size: int) -> Tensor:
        """Both maps of one path, smoothed, ``(batch, 2, 1, …)``."""

        def both(gradients: Tensor, steps: Tensor) -> Tensor:
            return torch.stack([change_along(gradients, steps), shared_by_squares(gradients, steps)], 1)

        maps = path_sum(path.score, path.curve, rows, path.partition, size, step_map=both)
        smoothed = blurred(maps.flatten(0, 1), maps.new_full((2 * len(maps),), path.sigma_cells))
        return smoothed.reshape_as(maps)

    def _weights(self, maps: Tensor, weight: float) -> Tensor:
        """Weight of each map in every sample, ``(2, batch)``; 0 for a map that is 0 everywhere."""
        sizes = maps.flatten(2).abs().sum(2).T
        due = weight * maps.new_tensor([1.0 - self.idgi_share, self.idgi_share])[:, None]
        return torch.where(sizes > 0.0, due / sizes.where(sizes > 0.0, 1.0), 0.0)


def _mean_change(weights: Tensor, changes: Tensor) -> Tensor:
    """Weighted mean over paths of ``(paths, batch)``; the plain mean where all weights are 0."""
    whole = weights.sum(0)
    mean = (weights * changes).sum(0) / whole.where(whole > 0.0, 1.0)
    return torch.where(whole > 0.0, mean, changes.mean(0))


@dataclass(frozen=True)
class OrderedMasks(OrderedIntegratedGradients):
    """The same in masks of recordings, for any model of waveforms whose gradient reaches them.

    Takes waveforms ``(batch, 1, time)`` and returns attributions ``(batch, 1, bands, frames)``. A path leads from a
    mask of zeros to one of ones under a removal, which is silence or a draw of noise, so a path's attributions add up
    to F(recording) − F(removal).

    Attributes
    ----------
    silence, noise : Baseline, RandomBaseline
        Removals: baselines of waveforms.
    domain : Mask
        Cells of the masks.
    """

    domain: Mask = field(kw_only=True)

    def _silent(self, score: ScoreFunction, inputs: Tensor) -> _Course:
        return self._under(score, inputs, self.silence(inputs))

    def _noisy(self, score: ScoreFunction, inputs: Tensor, draw: int) -> _Course:
        return self._under(score, inputs, self.noise.drawn(inputs, draw))

    def _under(self, score: ScoreFunction, inputs: Tensor, removed: Tensor) -> _Course:
        sounds = MaskedSounds.of(self.domain, inputs, removed)
        ones = MaskValues(self.domain).analysis(inputs)
        return _Course(sounds.scored(score), torch.zeros_like(ones), ones)


def _ordered(
    domain: LogMel | Mask, training_inputs: Tensor, gradients: int, seed: int, score: TargetScore = LOGIT
) -> OrderedIntegratedGradients:
    own = gradients - score.passes
    if isinstance(domain, Mask):
        silence = Silence(Waveform(domain.sample_rate_hz, domain.duration_s))
        shaped = SpeechShapedNoise.of(training_inputs, NOISE_SNR_DB, seed)
        return OrderedMasks(silence, shaped, own, score=score, domain=domain)
    noise = BandNoise.of(training_inputs, domain.silence_value, NOISE_SNR_DB, seed)
    return OrderedIntegratedGradients(Silence(domain), noise, own, score=score)


@METHODS.register(
    "ordered",
    label="Ordered IG",
    family="two baselines",
    role="ours",
    complete=True,
    domains=("log_mel", "mask"),
    revision=2,
)
def ordered(
    domain: LogMel | Mask, training_inputs: Tensor, gradients: int = 32, seed: int = 0
) -> OrderedIntegratedGradients:
    """Ordered IG from silence and from noise with the bands of the training inputs, which for masks are waveforms."""
    return _ordered(domain, training_inputs, gradients, seed)


@METHODS.register(
    "ordered_contrastive",
    label="Contrastive ordered IG",
    family="two baselines",
    role="ours",
    complete=True,
    domains=("log_mel", "mask"),
    revision=2,
)
def ordered_contrastive(
    domain: LogMel | Mask, training_inputs: Tensor, gradients: int = 32, seed: int = 0
) -> OrderedIntegratedGradients:
    """Ordered IG of the margin; one pass finds the runner-up, so it takes one gradient less."""
    return _ordered(domain, training_inputs, gradients, seed, Margin())
