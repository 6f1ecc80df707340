"""Methods that ask the model for scores alone, of inputs that are partly there: RISE and Kernel SHAP.

A mask m in [0, 1] leaves x(m) = x₀ + m ⊙ (x − x₀) of an input x and its baseline x₀. What is drawn at random is drawn
for each sample from its own values and the seed.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioxai.baselines import Baseline, Silence
from audioxai.core import Targets
from audioxai.domains import Domain
from audioxai.utils.counter_random import Streams
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import slices
from audioxai.utils.seeding import content_keys
from audioxai.utils.windows import windows_at
from audioxai.xai_methods.calls import prepared, require_finite
from audioxai.xai_methods.path_integral import Integral, IntegralMethod, call_size
from audioxai.xai_methods.registry import METHODS
from audioxai.xai_methods.scores import LOGIT, LogOdds, ScoreFunction, TargetScore

LOG_ODDS = LogOdds()


@dataclass(frozen=True, eq=False)
class Asked:
    """Scores of one sample under masks.

    Attributes
    ----------
    score : callable
        Score of points ``(n, 1, …)`` of the samples ``rows``.
    row : int
        The sample.
    whole, removed : Tensor
        x and x₀, ``(1, 1, …)``.
    size : int
        Inputs per model call.
    """

    score: ScoreFunction
    row: int
    whole: Tensor
    removed: Tensor
    size: int

    def __call__(self, masks: Tensor) -> Tensor:
        """Scores ``(n,)`` under ``masks`` ``(n, 1, …)``, without gradients."""
        with torch.no_grad():
            return torch.cat([self._of(masks[part]) for part in slices(len(masks), self.size)])

    def _of(self, masks: Tensor) -> Tensor:
        rows = torch.full((len(masks),), self.row, device=masks.device)
        return self.score(self.removed + masks * (self.whole - self.removed), rows)


def asked_by_sample(
    score: TargetScore, model: nn.Module, inputs: Tensor, targets: Tensor, removed: Tensor, size: int
) -> Iterator[Asked]:
    """One for each sample of a batch."""
    function = score.of(model, inputs, targets, size)
    for row in range(len(inputs)):
        yield Asked(function, row, inputs[[row]], removed[[row]], size)


# Cells of FreqRISE's grid along each axis, by the number of axes.
CELLS_OF_BINS = {1: 200, 2: 25}

# --- RISE ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rise:
    """Mean of random masks, each weighted by the probability of the target under it (RISE, Petsiuk et al. 2018).

    Attributes
    ----------
    baseline : Baseline
        What is there where a mask is 0.
    masks : int
        Masks per sample.
    cells_per_side : int
        Masks are drawn on a grid of so many cells along every axis, enlarged linearly and shifted at random by less
        than a cell.
    kept : float
        Probability in (0, 1) with which a cell of the grid is kept.
    seed : int
        Of the masks.
    antithetic : bool
        Whether masks come in pairs that are each other's complement, for ``kept`` of 0.5: every cell is kept in half of
        them, and the mean is known better.

    Notes
    -----
    A = Σ_k p(target | x(m_k)) m_k / (N E[m]), eq. 6, for the N masks m_k.

    Examples
    --------
    >>> from audioxai.baselines import Constant
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(6, 2))
    >>> Rise(Constant(0.0), masks=20)(model, torch.ones(1, 1, 2, 3), torch.tensor([1])).shape
    torch.Size([1, 1, 2, 3])
    """

    baseline: Baseline
    masks: int = 400
    cells_per_side: int = 8
    kept: float = 0.5
    seed: int = 0
    antithetic: bool = False

    def __post_init__(self) -> None:
        if self.masks < 1 or self.cells_per_side < 1 or not 0.0 < self.kept < 1.0:
            raise UserError(
                f"masks is {self.masks}, cells_per_side is {self.cells_per_side} and kept is {self.kept}; give at "
                "least 1 of both and a probability between 0 and 1"
            )
        if self.antithetic and (self.kept != 0.5 or self.masks % 2):
            raise UserError(
                f"masks is {self.masks} and kept is {self.kept}; antithetic masks are pairs of complements, so give an "
                "even number and 0.5"
            )

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Targets) -> Tensor:
        """Attributions ≥ 0 shaped like ``inputs``: the probability of the target where the feature is kept."""
        return prepared(model, inputs, targets, self._attributions)

    def passes(self, inputs: Tensor) -> int:
        """``masks`` per sample."""
        return len(inputs) * self.masks

    def _attributions(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        size, keys = call_size(inputs, model), content_keys(inputs)
        asked = asked_by_sample(LOG_ODDS, model, inputs, targets, self.baseline(inputs), size)
        attributions = torch.stack([self._mean(one, key) for one, key in zip(asked, keys, strict=True)])
        require_finite(attributions)
        return attributions

    def _mean(self, asked: Asked, key: int) -> Tensor:
        """Weighted mean of the masks of one sample, ``(1, …)``."""
        like = asked.whole.real if asked.whole.is_complex() else asked.whole
        stream, total = Streams(("rise", self.seed), [key], like.device), torch.zeros_like(like[0, :1])
        # Masks are drawn call by call: all of them would take more memory than the model.
        for part in slices(self.masks, asked.size):
            masks = self._masks(like.shape[2:], stream, part).to(like)
            probabilities = asked(masks).sigmoid()
            total += torch.tensordot(probabilities.to(like), masks, 1)
        return (total / (self.masks * self.kept)).expand_as(like[0]).clone()

    def _masks(self, shape: Sequence[int], stream: Streams, part: slice) -> Tensor:
        """Masks ``(n, 1, …)`` of a sample's shape by their numbers; every other one the opposite, where asked for."""
        if not self.antithetic:
            return self._drawn(shape, stream, part)
        numbers, first = torch.arange(part.start, part.stop), part.start // 2
        masks = self._drawn(shape, stream, slice(first, -(-part.stop // 2)))[numbers // 2 - first]
        masks[numbers % 2 == 1] = 1.0 - masks[numbers % 2 == 1]
        return masks

    def _drawn(self, shape: Sequence[int], stream: Streams, part: slice) -> Tensor:
        """Masks ``(n, 1, …)`` of a sample's shape, float64, by their numbers; each takes as much of the stream."""
        cells = [min(self.cells_per_side, size) for size in shape]
        widths = [-(-size // count) for size, count in zip(shape, cells, strict=True)]
        grid = torch.Size(count + 1 for count in cells)
        numbers, count = grid.numel() + len(grid), part.stop - part.start
        drawn = stream.uniform(count * numbers, first=part.start * numbers).reshape(count, numbers)
        kept, shares = drawn[:, : grid.numel()], drawn[:, grid.numel() :]
        enlarged = functional.interpolate(
            (kept < self.kept).double().reshape(count, 1, *grid),
            [width * many for width, many in zip(widths, grid, strict=True)],
            mode="bilinear" if len(shape) == 2 else "linear",
            align_corners=False,
        )
        shifts = (shares * torch.tensor(widths, device=shares.device)).long()
        return windows_at(enlarged, torch.arange(count, device=shares.device), shifts.unbind(1), shape)


@METHODS.register(
    "rise", label="RISE", family="perturbation", role="peer", source="Petsiuk et al. 2018", gradients=False, revision=2
)
def rise(baseline: Baseline, passes: int = 400, seed: int = 0, *, antithetic: bool = False) -> Rise:
    """RISE of this many masks."""
    return Rise(baseline, passes, seed=seed, antithetic=antithetic)


@METHODS.register(
    "freqrise",
    label="FreqRISE",
    family="perturbation",
    role="peer",
    domains=("rfft", "stft"),
    source="Brüsch et al. 2024",
    gradients=False,
    revision=2,
)
def freqrise(domain: Domain, passes: int = 3_000, cells_per_side: int | None = None, seed: int = 0) -> Rise:
    """RISE of the bins of a spectrum: masks let them through or set them to 0, on a grid of 200 cells, or 25 × 25."""
    cells = CELLS_OF_BINS[len(domain.shape)] if cells_per_side is None else cells_per_side
    return Rise(Silence(domain), passes, cells, seed=seed)


# --- Kernel SHAP -----------------------------------------------------------------------------------------------------

# Weight of what holds values of patches together that too few coalitions leave open, relative to the coalitions'.
RIDGE = 1e-3
# Coalitions and the two ends below which there is nothing to be fitted.
FEWEST_PASSES = 4


@dataclass(frozen=True)
class KernelShap(IntegralMethod):
    """Shapley values of patches by weighted least squares over coalitions (Kernel SHAP, Lundberg & Lee 2017).

    Attributes
    ----------
    baseline : Baseline
        What is there of patches outside of a coalition.
    coalitions : int
        Model passes per sample, at least 4, of which two are for the input and the baseline.
    patches_per_side : int
        The input is divided into this many patches along every axis; the last ones may be smaller.
    score : TargetScore
        The score that is explained.
    seed : int
        Of the coalitions.

    Notes
    -----
    φ minimises Σ_k (F(z_k) − F(∅) − φ·z_k)² under Σφ = F(x) − F(x₀) for coalitions z_k whose sizes s are drawn with
    probability ∝ (M − 1) / (s (M − s)), each together with its complement (Covert & Lee 2021). Where all 2^M are
    affordable they are enumerated with these weights, and φ are the Shapley values. A small ridge draws values towards
    their mean where coalitions are fewer than patches. Every feature gets an equal share of its patch's value, so that
    attributions add up to the change of the score.

    Examples
    --------
    >>> from audioxai.baselines import Constant
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(6, 2))
    >>> integral = KernelShap(Constant(0.0), 20).attribute(model, torch.ones(1, 1, 2, 3), torch.tensor([1]))
    >>> bool(integral.gap < 1e-4)
    True
    """

    baseline: Baseline
    coalitions: int = 400
    patches_per_side: int = 8
    score: TargetScore = LOGIT
    seed: int = 0

    def __post_init__(self) -> None:
        if self.coalitions - self.score.passes < FEWEST_PASSES or self.patches_per_side < 2:
            raise UserError(
                f"coalitions is {self.coalitions} and patches_per_side is {self.patches_per_side}; give at least "
                f"{FEWEST_PASSES + self.score.passes} and 2"
            )

    def passes(self, inputs: Tensor) -> int:
        """``coalitions`` per sample, fewer where all are fewer."""
        patches = math.prod(-(-size // -(-size // self.patches_per_side)) for size in inputs.shape[2:])
        return len(inputs) * (self.score.passes + 2 + min(self._affordable, (1 << patches) - 2))

    def integrate(self, model: nn.Module, inputs: Tensor, targets: Tensor, size: int, *, with_change: bool) -> Integral:  # noqa: ARG002 (it is known anyway)
        """Values of patches, divided among their features."""
        places = patch_places(tuple(inputs.shape[2:]), self.patches_per_side).to(inputs.device)
        asked = asked_by_sample(self.score, model, inputs, targets, self.baseline(inputs), size)
        found = [self._values(one, places, key) for one, key in zip(asked, content_keys(inputs), strict=True)]
        values, changes = (torch.stack(each) for each in zip(*found, strict=True))
        shares = values / (torch.bincount(places.flatten()) * inputs.shape[1])
        attributions = shares[:, places][:, None].expand(inputs.shape).to(changes.dtype, copy=True)
        return Integral(attributions, changes, torch.zeros_like(targets))

    @property
    def _affordable(self) -> int:
        """Coalitions beside the empty one and that of all patches."""
        return self.coalitions - self.score.passes - 2

    def _values(self, asked: Asked, places: Tensor, key: int) -> tuple[Tensor, Tensor]:
        """Values of the patches, float64, and the change of the score, of one sample."""
        patches = 1 + int(places.max())
        coalitions, weights, ridge = self._coalitions(patches, key, places.device)
        ends = torch.tensor([1.0, 0.0], device=places.device)[:, None].expand(2, patches)
        members = torch.cat([ends, coalitions])
        like = asked.whole.real if asked.whole.is_complex() else asked.whole
        parts = slices(len(members), asked.size)
        scores = torch.cat([asked(members[part][:, places][:, None].to(like)) for part in parts])
        change = scores[0] - scores[1]
        gained = (scores[2:] - scores[1]).double()
        return shapley_values(coalitions.to(gained), gained, weights.to(gained), change.double(), ridge), change

    def _coalitions(self, patches: int, key: int, device: torch.device) -> tuple[Tensor, Tensor, float]:
        """Members ``(n, patches)`` of coalitions, their weights, and the weight of the ridge."""
        if 2**patches - 2 <= self._affordable:
            every = torch.tensor(list(product((0.0, 1.0), repeat=patches))[1:-1])
            sizes = every.sum(1).long().tolist()
            weights = [(patches - 1) / (math.comb(patches, size) * size * (patches - size)) for size in sizes]
            return every.to(device), torch.tensor(weights, dtype=torch.float64), 0.0
        of_size = torch.arange(1, patches, dtype=torch.float64)
        odds = (1.0 / (of_size * (patches - of_size))).cumsum(0)
        pairs, stream = -(-self._affordable // 2), Streams(("coalitions", self.seed), [key], device)
        drawn = stream.uniform(pairs * (1 + patches)).reshape(pairs, 1 + patches)
        shares, turns = drawn[:, :1].contiguous(), drawn[:, 1:]
        # The patches whose turn comes first, as many as the size that is drawn.
        last = torch.searchsorted((odds / odds[-1]).to(device)[:-1], shares, right=True)
        first = (turns <= turns.sort(1).values.gather(1, last)).float()
        both = torch.stack([first, 1.0 - first], 1).flatten(0, 1)[: self._affordable]
        return both, torch.ones(len(both), dtype=torch.float64), RIDGE


def shapley_values(members: Tensor, gained: Tensor, weights: Tensor, whole: Tensor, ridge: float) -> Tensor:
    """Weighted least squares for values that add up to ``whole``, ``(patches,)``.

    Parameters
    ----------
    members : Tensor
        1 where a patch is in a coalition, else 0, ``(coalitions, patches)``.
    gained : Tensor
        What the score gains by each coalition, ``(coalitions,)``.
    weights : Tensor
        Of the coalitions.
    whole : Tensor
        What it gains by all patches.
    ridge : float
        Weight of the squared distances of values from their mean, relative to the coalitions'.
    """
    weighted = members * weights[:, None]
    normal, right = members.T @ weighted, weighted.T @ gained
    hold = ridge * normal.diagonal().mean()
    normal = normal + hold * torch.eye(len(normal), dtype=normal.dtype, device=normal.device)
    right = right + hold * whole / len(normal)
    solved = torch.linalg.solve(normal, torch.stack([right, torch.ones_like(right)], 1))
    excess = (solved[:, 0].sum() - whole) / solved[:, 1].sum()
    values: Tensor = solved[:, 0] - excess * solved[:, 1]
    return values


def patch_places(shape: tuple[int, ...], patches_per_side: int) -> Tensor:
    """Number of the patch that every feature belongs to, of the ``shape`` of one input."""
    places = torch.zeros(shape, dtype=torch.int64)
    for axis, size in enumerate(shape):
        side = -(-size // patches_per_side)
        own = torch.arange(size) // side
        places = places * -(-size // side) + own.reshape([-1 if other == axis else 1 for other in range(len(shape))])
    return places


@METHODS.register(
    "kernel_shap",
    label="Kernel SHAP",
    family="perturbation",
    role="peer",
    complete=True,
    source="Lundberg & Lee 2017",
    gradients=False,
    revision=2,
)
def kernel_shap(baseline: Baseline, passes: int = 400, seed: int = 0) -> KernelShap:
    """Kernel SHAP of 8 × 8 patches in this many passes."""
    return KernelShap(baseline, passes, seed=seed)
