"""Ordered masks: for models that are asked for scores alone, masks drawn around the order of the attributions so far.

Idea
----
A mask at random keeps half of everything, which most models answer with a guess. Insertion and deletion ask about other
masks: the most relevant cells alone, and all but them. So do these masks. A smooth random field is thresholded, so that
a share of the cells stays (drawn anew for every mask), and the mask or its opposite is applied, out of silence or out
of noise; in later rounds the map so far is added to the field, so that masks follow its order, more or less.

From all answers a map of smooth effects is fitted by ridge regression. Answers under silence and under noise have an
equal say, as the paths of Ordered IG have: those of each are divided by their standard deviation. What a cell can
change is larger the louder it is, and effects are alike in cells that are near: the map is a smooth map times the root
of the cells' amplitudes, the only thing that is assumed of the recording. Without answers that depend on the mask it
is 0.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline, RandomBaseline, Silence, SpeechShapedNoise, blurred
from audioxai.core import Targets
from audioxai.domains import Mask, Waveform
from audioxai.domains.mask import interpolation
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import slices
from audioxai.utils.seeding import content_keys, generator
from audioxai.xai_methods.calls import prepared, require_finite
from audioxai.xai_methods.masks import MaskedSounds
from audioxai.xai_methods.ordered import NOISE_SNR_DB
from audioxai.xai_methods.path_integral import call_size
from audioxai.xai_methods.paths import insertion_ranks, ordered_shares
from audioxai.xai_methods.perturbation import LOG_ODDS
from audioxai.xai_methods.registry import METHODS
from audioxai.xai_methods.scores import ScoreFunction

# Masks of a kind: the most relevant cells kept, or removed; out of silence, or out of noise.
KINDS = 4
FEWEST_MASKS = 24
FIRST_SHARE = 0.25
# Fields and effects have at most so many cells along an axis: more could not be told apart by some hundred answers.
MOST_CELLS = 64
# Of the probabilities under a removal: where they vary less, they have less of a say.
LEAST_DEVIATION = 0.02
RIDGES = tuple(10.0 ** (exponent / 4.0) for exponent in range(-16, 9))


@dataclass(frozen=True)
class OrderedPasses:
    """Attributions of waveforms in masks, from probabilities of the target under masks in the order so far.

    Attributes
    ----------
    silence, noise : Baseline, RandomBaseline
        Removals; noise is drawn anew for every round.
    domain : Mask
        Cells of the masks.
    masks : int
        Masks per sample, at least 24: a quarter for the first round.
    rounds : int
        Rounds in which masks follow the map so far.
    exploration : float
        Standard deviation of the random field relative to that of the map so far.
    field_sigma_cells, map_sigma_cells : float
        Standard deviations, in cells, of the Gaussians that smooth the random fields and the effects.
    overlap : float
        Width of a mask's edge, as a share of the cells.
    seed : int
        Of the fields.

    Notes
    -----
    y_k = g(m_k) + Σ A ⊙ m_k + ε for the standardised probabilities y_k under the masks m_k, g a parabola of the kept
    share for each kind of mask. A = √a ⊙ Gθ, a the cells' amplitudes and G a Gaussian blur; θ minimises the squared
    errors plus λ|θ|², λ by generalised cross-validation (Golub, Heath & Wahba 1979). Attributions are in standard
    deviations of the probability.
    """

    silence: Baseline
    noise: RandomBaseline
    domain: Mask
    masks: int = 400
    rounds: int = 3
    exploration: float = 1.0
    field_sigma_cells: float = 5.0
    map_sigma_cells: float = 2.0
    overlap: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.masks < FEWEST_MASKS or self.rounds < 1:
            raise UserError(f"masks is {self.masks} and rounds is {self.rounds}; give at least {FEWEST_MASKS} and 1")
        widths = (self.field_sigma_cells, self.map_sigma_cells, self.overlap)
        if not (min(widths) > 0.0 and self.exploration >= 0.0):
            raise UserError(
                f"field_sigma_cells is {widths[0]}, map_sigma_cells {widths[1]}, overlap {widths[2]} and exploration "
                f"{self.exploration}; give the first three above 0 and the last at least 0"
            )

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Targets) -> Tensor:
        """Attributions ``(batch, 1, bands, frames)`` of waveforms ``(batch, 1, time)``."""
        return prepared(model, inputs, targets, self._attributions)

    def passes(self, inputs: Tensor) -> int:
        """``masks`` per sample."""
        return len(inputs) * self.masks

    def _attributions(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        size = call_size(inputs, model)
        score, keys = LOG_ODDS.of(model, inputs, targets, size), content_keys(inputs)
        maps = [self._map(score, inputs[[row]], row, key, size) for row, key in enumerate(keys)]
        attributions = torch.cat(maps).to(inputs.dtype)
        require_finite(attributions)
        return attributions

    def _map(self, score: ScoreFunction, clip: Tensor, row: int, key: int, size: int) -> Tensor:
        """Map of one clip, ``(1, 1, bands, frames)``, float64."""
        amplitudes = 10.0 ** (self.domain.analysis(clip).double() / 20.0)
        effects = SmoothEffects(amplitudes.sqrt(), self.map_sigma_cells)
        random, silent = generator("ordered masks", self.seed, key), self.silence(clip)
        relevance = torch.zeros_like(amplitudes)
        for number, count in enumerate(self._counts):
            removals = (silent, self.noise.drawn(clip, number))
            fields = self._fields(relevance, -(-count // KINDS), random)
            for kind in range(KINDS):
                removal, removes = divmod(kind, 2)
                masks = self._masks(fields[: -(-(count - kind) // KINDS)], random, removes=bool(removes))
                sounds = MaskedSounds.of(self.domain, clip, removals[removal])
                effects.add(kind, masks, _probabilities(score, sounds, masks.to(clip), row, size))
            relevance = effects.fitted()
        return relevance

    @property
    def _counts(self) -> tuple[int, ...]:
        """Masks of the first and of each other round."""
        first = round(self.masks * FIRST_SHARE)
        edges = [first + (self.masks - first) * number // self.rounds for number in range(self.rounds + 1)]
        return (first, *(later - earlier for earlier, later in pairwise(edges)))

    def _fields(self, relevance: Tensor, count: int, random: torch.Generator) -> Tensor:
        """Fields ``(count, 1, bands, frames)``: the map so far of unit deviation, and smooth noise."""
        across, along = _coarse(self.domain.shape)
        white = torch.randn(count, 1, across.shape[0], along.shape[0], generator=random, dtype=torch.float64)
        smooth = blurred(white, white.new_full((count,), self.field_sigma_cells))
        smooth = smooth / smooth.flatten(1).std(1).reshape(-1, 1, 1, 1)
        noise = (across.T @ smooth @ along).to(relevance.device)
        if not bool(relevance.any()):
            return noise
        return (relevance - relevance.mean()) / relevance.std() + self.exploration * noise

    def _masks(self, fields: Tensor, random: torch.Generator, *, removes: bool) -> Tensor:
        """One mask of each field: its largest cells, as many as are drawn, are kept or removed."""
        count = len(fields)
        places = torch.randperm(count, generator=random) + torch.rand(count, generator=random, dtype=torch.float64)
        masks = ordered_shares(insertion_ranks(fields), (places / max(count, 1)).to(fields.device), self.overlap)
        return 1.0 - masks if removes else masks


def _probabilities(score: ScoreFunction, sounds: MaskedSounds, masks: Tensor, row: int, size: int) -> Tensor:
    """Probability of the target of clip ``row`` under masks ``(n, 1, …)``, ``(n,)``, float64."""
    rows = torch.full((len(masks),), row, device=masks.device)
    with torch.no_grad():
        parts = [score(sounds(masks[part], 0 * rows[part]), rows[part]) for part in slices(len(masks), size)]
    return torch.cat([torch.empty(0, device=masks.device), *parts]).double().sigmoid()


def _standardised(answers: Tensor) -> Tensor:
    """Answers of mean 0 and deviation 1, or less where they hardly vary."""
    if len(answers) < 2:
        return torch.zeros_like(answers)
    return (answers - answers.mean()) / answers.std().clamp_min(LEAST_DEVIATION)


class SmoothEffects:
    """Effects of cells on answers under masks, fitted by ridge regression.

    Parameters
    ----------
    scale : Tensor
        How much a cell may change, relative to others, ``(1, 1, bands, frames)``, float64.
    sigma_cells : float
        Standard deviation of the Gaussian that makes effects smooth.
    """

    def __init__(self, scale: Tensor, sigma_cells: float) -> None:
        self._scale, self._sigma_cells = scale, sigma_cells
        self._across, self._along = (weights.to(scale.device) for weights in _coarse(tuple(scale.shape[2:])))
        self._features: list[Tensor] = []
        self._known: list[Tensor] = []
        self._answers: list[Tensor] = []

    def add(self, kind: int, masks: Tensor, answers: Tensor) -> None:
        """Answers ``(n,)`` under masks ``(n, 1, bands, frames)`` of a kind: 0 and 1 of silence, 2 and 3 of noise."""
        features = self._blurred(self._across @ (masks * self._scale) @ self._along.T)
        kept = masks.flatten(1).mean(1)
        known = kept.new_zeros(len(kept), KINDS, 3)
        known[:, kind] = torch.stack([torch.ones_like(kept), kept, kept.square()], 1)
        self._features.append(features.flatten(1))
        self._known.append(known.flatten(1))
        self._answers.append(answers)

    def fitted(self) -> Tensor:
        """Effect of every cell, ``(1, 1, bands, frames)``, float64."""
        features, known = torch.cat(self._features), torch.cat(self._known)
        answers, of_noise = torch.cat(self._answers), known[:, 6:].any(1)
        for rows in (of_noise, ~of_noise):
            answers[rows] = _standardised(answers[rows])
        dual = ridge(features, known, answers)
        smooth = self._blurred((dual @ features).reshape(1, 1, len(self._across), len(self._along)))
        return self._scale * (self._across.T @ smooth @ self._along)

    def _blurred(self, values: Tensor) -> Tensor:
        return blurred(values, values.new_full((len(values),), self._sigma_cells))


def ridge(features: Tensor, known: Tensor, answers: Tensor) -> Tensor:
    """Dual coefficients α ``(n,)`` of ridge regression: coefficients of the features are αᵀ ``features``.

    Parameters
    ----------
    features : Tensor
        ``(n, features)``, float64.
    known : Tensor
        Regressors that are not penalised, ``(n, regressors)``.
    answers : Tensor
        ``(n,)``.

    Notes
    -----
    Both sides are projected onto what ``known`` leaves open, and the penalty is chosen by generalised cross-validation.
    """
    basis, sizes, _ = torch.linalg.svd(known, full_matrices=False)
    basis = basis[:, sizes > 1e-9 * sizes.max()]
    left = torch.eye(len(answers), dtype=answers.dtype, device=answers.device) - basis @ basis.T
    products = features @ features.T
    scale = products.diagonal().mean().clamp_min(torch.finfo(products.dtype).tiny)
    strengths, directions = torch.linalg.eigh(left @ (products / scale) @ left)
    strengths, coordinates = strengths.clamp_min(0.0), directions.T @ (left @ answers)
    penalties = answers.new_tensor(RIDGES)[:, None]
    residuals = penalties / (strengths + penalties)
    free = (residuals.sum(1) - basis.shape[1]).clamp_min(1e-9)
    errors = (residuals * coordinates).square().sum(1) / free.square()
    # Where one answer is left over, all penalties are equally good up to rounding; then the largest is taken.
    penalty = penalties[errors <= (1.0 + 1e-6) * errors.min()].max()
    dual: Tensor = left @ (directions @ (coordinates / (strengths + penalty))) / scale
    return dual


@lru_cache(maxsize=8)
def _coarse(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Weights ``(coarse, cells)`` that interpolate from at most :data:`MOST_CELLS` cells along bands and frames."""
    made = []
    with torch.inference_mode(mode=False):
        for size in shape:
            known, target = (tuple(np.linspace(0.0, 1.0, count)) for count in (min(size, MOST_CELLS), size))
            made.append(torch.from_numpy(interpolation(known, target)))
    across, along = made
    return across, along


@METHODS.register(
    "ordered_passes",
    label="Ordered masks (scores alone)",
    family="perturbation",
    role="ours",
    domains=("mask",),
    gradients=False,
    revision=2,
)
def ordered_passes(domain: Mask, training_inputs: Tensor, passes: int = 400, seed: int = 0) -> OrderedPasses:
    """Ordered masks out of silence and out of noise with the spectrum of the training waveforms."""
    noise = SpeechShapedNoise.of(training_inputs, NOISE_SNR_DB, seed)
    return OrderedPasses(Silence(Waveform(domain.sample_rate_hz, domain.duration_s)), noise, domain, passes, seed=seed)
