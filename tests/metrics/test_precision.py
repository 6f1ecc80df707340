"""Stated standard errors: against slow twins, closed forms and simulations of what they claim."""

import math
from collections.abc import Callable
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from helpers.metric_cases import BASELINE, Gradient, batch_of, case
from helpers.tiny_models import Counting, Function, Linear, draw
from torch import Tensor, nn

from audioxai.baselines import Constant
from audioxai.metrics import Batch, PassMetric, RangeNoise, precision
from audioxai.metrics.faithfulness import ContributionInfidelity, FaithfulnessCorrelation, correlation
from audioxai.metrics.faithfulness import paired as paired_subsets
from audioxai.metrics.faithfulness.paired import PairedSubsets, correlation_of_pairs
from audioxai.metrics.noise import NoisyInputs
from audioxai.metrics.precision import jackknife, looks, mean_of, moments
from audioxai.metrics.robustness import AverageSensitivity, MaximumSensitivity
from audioxai.metrics.similarity import pearson
from audioxai.testing.metrics import check_metric, example_case
from audioxai.utils.counter_random import Streams
from audioxai.utils.errors import UserError

# A subset of a tenth has as many features as a paired one needs.
SIDE = 48
FEATURES = SIDE * SIDE
CHOSEN = round(0.1 * FEATURES)
GONE = Constant(0.0)
SAMPLES = 160


def covers(scores: Tensor, errors: Tensor, truth: float, true_error: float = 0.0) -> float:
    """Share of 95 % intervals that hold the truth."""
    return float(((scores - truth).abs() <= 1.96 * (errors.square() + true_error**2).sqrt()).double().mean())


# --- Errors ----------------------------------------------------------------------------------------------------------


def test_the_jackknife_leaves_out_one_at_a_time() -> None:
    first, second = draw(3, 12, seed=1), draw(3, 12, seed=2)
    found = jackknife(*moments(first, second))
    for row in range(3):
        a, b = first[row].numpy(), second[row].numpy()
        without = [np.corrcoef(np.delete(a, one), np.delete(b, one))[0, 1] for one in range(12)]
        expected = math.sqrt(11 / 12 * np.square(np.array(without) - np.mean(without)).sum())
        assert float(found.standard_errors[row]) == pytest.approx(expected, rel=1e-10)
        assert float(found.scores[row]) == pytest.approx(
            12 * np.corrcoef(a, b)[0, 1] - 11 * np.mean(without), rel=1e-10
        )


def test_the_jackknife_of_a_mean_is_the_error_of_a_mean() -> None:
    values = draw(4, 9, seed=3)
    found = mean_of(values)
    torch.testing.assert_close(found.standard_errors, values.std(1) / 3.0)
    same = jackknife(values[..., None], lambda means: means[..., 0])
    torch.testing.assert_close((same.scores, same.standard_errors), (found.scores, found.standard_errors))
    torch.testing.assert_close(found.scores, values.mean(1))


def test_the_jackknife_leaves_no_bias_of_a_square() -> None:
    # The square of a mean of n is too large by the variance of one by n.
    values = draw(6, 10, seed=3)
    found = jackknife(values[..., None], lambda means: means[..., 0] ** 2)
    torch.testing.assert_close(found.scores, values.mean(1) ** 2 - values.var(1) / 10)


def test_draws_in_pairs_count_by_their_pairs() -> None:
    values = draw(4, 10, seed=3)
    found = mean_of(values, in_pairs=True)
    torch.testing.assert_close(found.standard_errors, mean_of(values.reshape(4, 5, 2).mean(2)).standard_errors)
    torch.testing.assert_close(found.scores, values.mean(1))


def test_the_error_of_one_draw_is_not_known() -> None:
    assert bool(mean_of(draw(3, 1)).standard_errors.isnan().all())
    assert bool(mean_of(draw(3, 2), in_pairs=True).standard_errors.isnan().all())


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("runs", [40, 100])
def test_intervals_of_a_correlation_cover_it(rho: float, runs: int) -> None:
    first, other = draw(4_000, runs, seed=1), draw(4_000, runs, seed=2)
    second = rho * first + math.sqrt(1 - rho**2) * other
    scores, errors = pearson(first, second), jackknife(*moments(first, second)).standard_errors
    # From 40 runs the error itself is uncertain: by Student's t with 38 degrees of freedom it should be 94 %.
    assert 0.93 - 0.6 / runs <= covers(scores, errors, rho) <= 0.97
    # A correlation of so few is a little too small, by ρ (1 − ρ²) / 2n.
    assert abs(float(scores.mean()) - rho * (1 - (1 - rho**2) / (2 * runs))) < 4 * float(scores.std()) / 4_000**0.5


def test_looks_are_even_and_end_at_the_most() -> None:
    ends = list(looks(8))
    assert ends[0] == 8
    assert ends[-1] == precision.MOST
    assert all(end % 2 == 0 for end in ends)
    assert all(1 < later / earlier <= 1.5 for earlier, later in pairwise(ends))


# --- Paired subsets --------------------------------------------------------------------------------------------------


def paired(relevance: Tensor, chosen: int, seed: int = 0, offsets: Tensor | None = None) -> PairedSubsets:
    """Of single features along one axis."""
    numbers = torch.arange(relevance.shape[1])
    return PairedSubsets.of(
        numbers,
        torch.zeros(len(relevance), 1, dtype=torch.int64) if offsets is None else offsets,
        relevance,
        chosen,
        ("paired", seed),
    )


def many(relevance: Tensor, chosen: int, pairs: int) -> tuple[Tensor, Tensor]:
    """Subsets of one sample, float64, and what is known of them."""
    runs = torch.arange(2 * pairs)
    subsets, known = paired(relevance[None], chosen)(torch.zeros_like(runs), runs)
    return subsets.double(), known


def test_relevance_is_standardised_over_all_subsets() -> None:
    made = paired(draw(1, 6, seed=4), 2)
    sums = [float(made.standard[0, one] + made.standard[0, other]) for one in range(6) for other in range(one)]
    assert np.mean(sums) == pytest.approx(0.0, abs=1e-12)
    assert np.var(sums) == pytest.approx(1.0, rel=1e-12)


def slow_pair(values: np.ndarray, chosen: int, pair: int) -> tuple[set[int], set[int], list[float]]:
    """Both subsets of standardised values, one feature after the other, with their weights and the pair's."""
    count = len(values)

    def stream(name: str) -> Streams:
        return Streams(("paired", 0, name), [pair], torch.device("cpu"))

    orders = [stream(name).orders(count)[0].tolist() for name in ("first", "second")]
    choosing, *numbers = stream("numbers").uniform(1 + count)[0].tolist()
    cut = [[order[at : at + chosen] for at in range(0, count - chosen + 1, chosen)] for order in orders]
    apart = np.array([[values[one].sum() - values[other].sum() for other in cut[1]] for one in cut[0]])
    chances = apart**2 + paired_subsets.EVENLY * (apart**2).mean()
    row, column = divmod(int(np.searchsorted(chances.cumsum(), choosing * chances.sum(), "right")), len(cut[1]))
    given, own = cut[0][row], cut[1][column]

    def large(feature: int) -> bool:
        return bool(abs(values[feature]) > paired_subsets.LARGE)

    entering = [feature for feature in given if large(feature)]
    leaving = [place for place in range(chosen) if large(own[place])]
    others = [place for place in range(chosen) if not large(own[place])]
    moved = {place: own[place] for place in others[max(0, len(entering) - len(leaving)) :]}
    free = [at for at in range(count) if not large(orders[1][at]) and at // chosen != column]
    fixed = dict(zip(leaving + others, entering, strict=False))
    for place in leaving[len(entering) :]:
        coming = next(at for at in free if at // chosen == (column + 1) % len(cut[1]))
        free.remove(coming)
        fixed[place] = orders[1][coming]
    due = values[given].sum() - values[[*fixed.values(), *moved.values()]].sum()
    exchanges = []
    for place, leaver in moved.items():
        offered = [(values[orders[1][at]] - values[leaver], at) for at in free if at % chosen == place]
        better = [
            ((1.0 - numbers[at]) / abs(gain), abs(gain), place, orders[1][at]) for gain, at in offered if gain * due > 0
        ]
        exchanges += [min(better)] if better else []
    reached = 0.0
    for _, gain, place, other in sorted(exchanges):
        reached += gain
        if reached - gain / 2 >= abs(due):
            break
        moved[place] = other
    mean = chances.mean()
    weights = [mean / chances[row].mean(), mean / chances[:, column].mean()]
    return (
        {*moved.values(), *fixed.values()},
        set(own),
        [*weights, apart[row, column] / 2 * mean / chances[row, column]],
    )


@pytest.mark.parametrize("chosen", [9, 15])
def test_paired_subsets_are_the_slow_twins(chosen: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Of so few features nearly all would be large.
    monkeypatch.setattr(paired_subsets, "LARGE", 0.5)
    relevance, offsets = draw(2, 31, seed=5), torch.tensor([[4], [0]])
    made = paired(relevance, chosen, offsets=offsets)
    runs = torch.arange(40).repeat_interleave(2)
    samples = torch.arange(80) % 2
    subsets, known = made(samples, runs)
    for pair, (sample, run) in enumerate(zip(samples.tolist(), runs.tolist(), strict=True)):
        # Feature f is square (f − offset) of the orders.
        offset = int(offsets[sample])
        values = np.roll(relevance[sample].numpy(), -offset)
        values -= values.mean()
        values /= math.sqrt(chosen * (31 - chosen) / (31 * 30) * np.square(values).sum())
        moved, own, weights = slow_pair(values, chosen, run // 2)
        due = own if run % 2 else moved
        assert {(int(feature) - offset) % 31 for feature in torch.nonzero(subsets[pair])[:, 0]} == due
        assert known[pair].tolist() == pytest.approx([values[list(due)].sum(), weights[run % 2], weights[2]], rel=1e-9)


def test_halves_lie_apart_and_share_most_features() -> None:
    subsets, known = many(draw(4_000, seed=6), 400, pairs=60)
    assert bool((subsets.sum(1) == 400).all())
    # Of two random subsets the mean square is 2, and in proportion to it nearly 6.
    apart = known[0::2, 0] - known[1::2, 0]
    assert float(apart.square().mean()) == pytest.approx(5.6, rel=0.3)
    assert bool(((subsets[0::2] * subsets[1::2]).sum(1) > 320).all())


RELEVANCE: dict[str, Callable[[], Tensor]] = {
    "normal": lambda: draw(2_300, seed=1),
    "heavy tails": lambda: draw(2_300, seed=2) ** 3,
    "skew": lambda: (2.0 * draw(2_300, seed=3)).exp(),
    "one large": lambda: draw(2_300, seed=3) + 40.0 * (torch.arange(2_300) == 7),
    "two features": lambda: (torch.arange(2_300) < 2).double(),
}


@pytest.mark.parametrize("name", RELEVANCE)
@pytest.mark.parametrize("chosen", [230, 800])
def test_weighted_subsets_have_the_moments_of_random_ones(name: str, chosen: int) -> None:
    relevance = RELEVANCE[name]()
    subsets, known = many(relevance, chosen, pairs=1_500)
    keys = torch.rand(6_000, 2_300, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    random = (keys <= keys.kthvalue(chosen, dim=1, keepdim=True).values).double()
    standard = paired(relevance[None], chosen).standard[0]
    for half in (0, 1):
        sums, weights, halves = known[half::2, 0], known[half::2, 1], subsets[half::2]
        for moment in (0, 1, 2, 3):
            ours, theirs = weights * sums**moment, (random @ standard) ** moment
            error = math.sqrt(float(ours.var()) / 1_500 + float(theirs.var()) / 6_000)
            assert abs(float(ours.mean() - theirs.mean())) < 4 * error + 1e-12, (half, moment)
        # A feature is chosen as often as any other, whatever its attribution.
        for feature in (0, 7, int(relevance.argmin()), int(relevance.argmax()), int(relevance.argsort()[1150])):
            there = weights * halves[:, feature]
            assert abs(float(there.mean()) - chosen / 2_300) < 4 * float(there.std()) / 1_500**0.5, (half, feature)
    # The weighted mean of ½ (s₁ − s₂)² is the variance.
    apart = known[0::2, 2] * (known[0::2, 0] - known[1::2, 0])
    assert abs(float(apart.mean()) - 1.0) < 4 * float(apart.std()) / 1_500**0.5 + 0.01


def test_constant_relevance_exchanges_nothing() -> None:
    relevance = torch.full((40,), 0.1, dtype=torch.float64)
    subsets, known = many(relevance, 9, pairs=1)
    assert torch.equal(subsets[0], subsets[1])
    torch.testing.assert_close(known, torch.tensor([[0.0, 1.0, 0.0]] * 2, dtype=torch.float64))


def test_a_drop_that_is_the_sum_correlates_fully() -> None:
    known = torch.stack([draw(3, 20, seed=7), *draw(2, 3, 20, seed=8).abs()], dim=2)
    for sign in (1.0, -1.0):
        found = correlation_of_pairs(known, 5.0 + sign * 1e3 * known[..., 0])
        torch.testing.assert_close(found.scores, torch.full((3,), sign, dtype=torch.float64))
        assert bool((found.standard_errors < 1e-6).all())


def test_the_error_is_not_known_where_no_pair_differs_in_drop() -> None:
    known, drops = torch.stack([draw(2, 12, seed=7), *torch.ones(2, 2, 12)], dim=2), draw(2, 6, seed=9)
    drops = drops.repeat_interleave(2, 1)
    drops[1, 3] += 1.0
    found = correlation_of_pairs(known, drops)
    assert found.standard_errors.isnan().tolist() == [True, False]
    assert float(found.scores[0]) == pytest.approx(0.0, abs=1e-12)


# --- Faithfulness correlation ----------------------------------------------------------------------------------------


class Bending(nn.Module):
    """A logit that is linear in some features, bends with the sum of others, and multiplies neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.bent = draw(FEATURES, seed=1) / 15, draw(FEATURES, seed=2) / 15
        self.pairs = draw(FEATURES - 1, seed=3) / 4

    def forward(self, inputs: Tensor) -> Tensor:
        x = inputs.flatten(1)
        products = (x[:, 1:] * x[:, :-1]) @ self.pairs
        own = x @ self.linear + 2.0 * torch.tanh(x @ self.bent) + products
        return torch.stack([own, torch.zeros_like(own)], 1)


def alike(samples: int = SAMPLES) -> tuple[Tensor, Tensor]:
    """Inputs of one kind, which differ just enough to meet different subsets, and their targets."""
    return 1.0 + 1e-9 * draw(samples, 1, SIDE, SIDE, seed=9), torch.zeros(samples, dtype=torch.int64)


MAPS = {
    "linear part": lambda model: model.linear,
    "heavy tails": lambda model: model.bent**3 + 0.02 * draw(FEATURES, seed=11),
    "nothing": lambda _: draw(FEATURES, seed=12),
}


@cache
def truths() -> dict[str, tuple[float, float]]:
    """Correlations over 60,000 subsets, and their errors."""
    model, drops, gone = Bending(), [], []
    random = torch.Generator().manual_seed(5)
    with torch.no_grad():
        whole = model(torch.ones(1, FEATURES, dtype=torch.float64))[0, 0]
        for _ in range(300):
            keys = torch.rand(200, FEATURES, generator=random)
            removed = keys <= keys.kthvalue(CHOSEN, dim=1, keepdim=True).values
            drops.append(whole - model(1.0 - removed.double())[:, 0])
            gone.append(torch.stack([removed.double() @ of(model) for of in MAPS.values()], 1))
    found = pearson(torch.cat(gone).T, torch.cat(drops).expand(len(MAPS), -1)).tolist()
    return {name: (rho, (1 - rho**2) / 60_000**0.5) for name, rho in zip(MAPS, found, strict=True)}


@pytest.fixture(scope="module")
def bending() -> tuple[nn.Module, Tensor, Tensor]:
    return Bending(), *alike()


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize(
    ("options", "draws"),
    [
        ({"runs": 60, "design": "independent"}, 60),
        ({"runs": 60, "design": "paired"}, 60),
        ({"precision": 0.04}, None),
        ({"precision": 0.08, "design": "independent"}, None),
    ],
    ids=["independent", "paired", "paired until precise", "independent until precise"],
)
def test_intervals_cover_the_correlation_of_many_subsets(
    bending: tuple[nn.Module, Tensor, Tensor], name: str, options: dict[str, float], draws: int | None
) -> None:
    model, inputs, targets = bending
    truth, true_error = truths()[name]
    maps = MAPS[name](model).reshape(1, 1, SIDE, SIDE).expand_as(inputs)
    metric = FaithfulnessCorrelation(GONE, **options)  # type: ignore[arg-type]
    outcome = metric.outcome(Batch(model, inputs, targets), maps)
    scores, errors = outcome.scores, outcome.standard_errors
    assert errors is not None
    noise = math.sqrt(float(scores.var()) / SAMPLES + true_error**2)
    # A correlation of few independent runs is too small by ρ (1 − ρ²) / 2n.
    small = truth * (1 - truth**2) / (2 * 40)
    assert abs(float(scores.mean()) - truth) < 3 * noise + small
    assert 0.9 <= covers(scores, errors, truth, true_error) <= 0.99
    assert float(errors.square().mean().sqrt()) == pytest.approx(float(scores.std()), rel=0.2)
    if draws is None:
        assert bool((errors <= options["precision"]).all())
        assert not metric.states_passes
    else:
        assert outcome.passes == SAMPLES * (draws + 1)


def test_paired_subsets_take_a_fraction_of_the_passes(bending: tuple[nn.Module, Tensor, Tensor]) -> None:
    model, inputs, targets = bending
    maps = MAPS["linear part"](model).reshape(1, 1, SIDE, SIDE).expand_as(inputs)
    spreads = [
        float(FaithfulnessCorrelation(GONE, runs=60, design=design)(model, inputs, targets, maps).var())
        for design in ("independent", "paired")
    ]
    assert spreads[0] > 3 * spreads[1]


def test_of_a_linear_model_the_correlation_is_that_of_its_features() -> None:
    model, (inputs, targets) = Linear(2, 1, SIDE, SIDE), alike(100)
    exact = model.weights.detach()[targets]
    paired = FaithfulnessCorrelation(GONE, runs=20, design="paired")
    outcome = paired.outcome(Batch(model, inputs, targets), exact)
    torch.testing.assert_close(outcome.scores, torch.ones(100, dtype=torch.float64), atol=1e-6, rtol=0)
    assert outcome.standard_errors is not None
    assert bool((outcome.standard_errors < 1e-6).all())
    other = exact + draw(1, SIDE, SIDE, seed=8)
    truth = float(pearson(exact[:1].flatten(1), other[:1].flatten(1)))
    outcome = paired.outcome(Batch(model, inputs, targets), other)
    assert outcome.standard_errors is not None
    assert 0.6 < truth < 0.8
    assert abs(float(outcome.scores.mean()) - truth) < 3 * float(outcome.scores.std()) / 10 + 0.01


WEIGHTS: dict[str, Callable[[], Tensor]] = {
    "normal": lambda: draw(FEATURES, seed=4),
    "heavy tails": lambda: draw(FEATURES, seed=4) ** 3,
    "skew": lambda: (2.0 * draw(FEATURES, seed=4)).exp(),
    "one large": lambda: draw(FEATURES, seed=4) + 36.0 * (torch.arange(FEATURES) == 7),
}
BENT: dict[str, Callable[[Tensor], Tensor]] = {
    "square": lambda s: s + 0.3 * s**2,
    "cube": lambda s: s**3,
    "step": lambda s: (s > 1.0).double(),
}


@pytest.mark.parametrize(
    ("name", "of"),
    [("normal", "square"), ("one large", "square"), ("heavy tails", "cube"), ("normal", "step"), ("skew", "step")],
)
def test_drops_of_the_sum_alone_correlate_as_over_independent_subsets(name: str, of: str) -> None:
    weights, (inputs, targets) = WEIGHTS[name](), alike(24)
    spread = math.sqrt(CHOSEN * (FEATURES - CHOSEN) / FEATURES) * float(weights.std())

    def logits(inputs: Tensor) -> Tensor:
        drops = BENT[of](((1.0 - inputs.flatten(1)) @ weights - CHOSEN * weights.mean()) / spread)
        return torch.stack([-drops, drops], 1)

    maps = weights.reshape(1, 1, SIDE, SIDE).expand_as(inputs)
    means, noise = [], 0.0
    for design in ("independent", "paired"):
        metric = FaithfulnessCorrelation(GONE, runs=300, design=design)
        scores = metric(Function(logits), inputs, targets, maps)
        means.append(float(scores.mean()))
        noise += float(scores.var()) / 24
    assert abs(means[0] - means[1]) < 3 * math.sqrt(noise)


@pytest.mark.parametrize(
    ("name", "of"),
    [("skew", torch.sign), ("skew", torch.square), ("one large", torch.square), ("one large", torch.abs)],
)
def test_drops_of_other_sums_are_unbiased_whatever_the_map(name: str, of: Callable[[Tensor], Tensor]) -> None:
    maps, (inputs, targets) = WEIGHTS[name](), alike(30)
    other = of(maps - maps.mean())

    def logits(inputs: Tensor) -> Tensor:
        return torch.stack([inputs.flatten(1) @ other, 0.0 * inputs.flatten(1).sum(1)], 1)

    metric = FaithfulnessCorrelation(GONE, runs=300, design="paired")
    outcome = metric.outcome(Batch(Function(logits), inputs, targets), maps.reshape(1, 1, SIDE, SIDE).expand_as(inputs))
    truth = float(pearson(maps[None], other[None]))
    assert outcome.standard_errors is not None
    assert abs(float(outcome.scores.mean()) - truth) < 3 * float(outcome.scores.std()) / 30**0.5
    assert covers(outcome.scores, outcome.standard_errors, truth) >= 0.8


@pytest.mark.parametrize("patch", [1, 2])
def test_squares_of_paired_subsets_are_those_of_independent_ones(patch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correlation, "FEWEST_CHOSEN", 2)
    model = Linear(2, 1, 9, 7)
    inputs, targets = draw(6, 1, 9, 7, seed=3), torch.arange(6) % 2
    exact = model.weights.detach()[targets] * (inputs - BASELINE.value)
    metric = FaithfulnessCorrelation(BASELINE, runs=20, patch=patch, design="paired")
    scores = metric(model, inputs, targets, exact)
    torch.testing.assert_close(scores, torch.ones(6, dtype=torch.float64), atol=1e-6, rtol=0)


class Removing(Function):
    """Keeps which features were removed."""

    def __init__(self) -> None:
        super().__init__(lambda x: torch.stack([x.flatten(1).sum(1), 0.0 * x.flatten(1).sum(1)], 1))
        self.met: list[Tensor] = []

    def forward(self, inputs: Tensor) -> Tensor:
        self.met.append(inputs)
        return super().forward(inputs)


def test_a_subset_has_the_stated_number_of_features() -> None:
    model, (inputs, targets) = Removing(), alike(2)
    FaithfulnessCorrelation(GONE, runs=10, design="paired")(model, inputs, targets, draw(2, 1, SIDE, SIDE))
    counts = (torch.cat(model.met) == 0).flatten(1).sum(1)
    assert sorted(counts.tolist()) == [0, 0, *[CHOSEN] * 20]


CONTRACT: list[PassMetric] = [
    FaithfulnessCorrelation(BASELINE, runs=12, design="paired"),
    FaithfulnessCorrelation(BASELINE, precision=0.1),
    FaithfulnessCorrelation(BASELINE, precision=0.2, design="independent"),
    AverageSensitivity(Gradient(), RangeNoise(), precision=0.02),
]


@pytest.mark.parametrize("metric", CONTRACT, ids=lambda one: f"{type(one).__name__} {one.precision}")
def test_keeps_the_contract(metric: PassMetric, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correlation, "FEWEST_CHOSEN", 3)
    monkeypatch.setattr(precision, "MOST", 200)
    check_metric(metric, example_case())


def test_only_unfinished_samples_go_on() -> None:
    model, (inputs, targets) = Bending(), alike(12)
    counting, easy = Counting(model), model.linear + draw(FEATURES, seed=4) / 100
    maps = torch.where(torch.arange(12)[:, None] < 6, easy, draw(FEATURES, seed=12)).reshape(12, 1, SIDE, SIDE)
    metric = FaithfulnessCorrelation(GONE, precision=0.03)
    outcome = metric.outcome(Batch(counting, inputs, targets), maps)
    alone = []
    for row in range(12):
        one = metric.outcome(Batch(counting, inputs[[row]], targets[[row]]), maps[[row]])
        torch.testing.assert_close(one.scores, outcome.scores[[row]], rtol=1e-9, atol=1e-12)
        alone.append(one.passes)
    assert len(set(alone)) > 1
    assert outcome.passes == sum(alone)
    assert counting.counter.count == 2 * outcome.passes


def test_a_sample_that_gets_nowhere_stops_with_its_error_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "MOST", 60)
    model, (inputs, targets) = Bending(), alike(3)
    maps = draw(3, 1, SIDE, SIDE, seed=12)
    outcome = FaithfulnessCorrelation(GONE, precision=1e-4).outcome(Batch(model, inputs, targets), maps)
    assert outcome.passes == 3 * 61
    assert outcome.standard_errors is not None
    assert bool((outcome.standard_errors > 1e-4).all())
    assert bool(outcome.scores.isfinite().all())


def test_undefined_scores_have_no_error_and_take_no_more_passes() -> None:
    model, (inputs, targets) = Bending(), alike(2)
    maps = torch.stack([torch.ones(1, SIDE, SIDE, dtype=torch.float64), draw(1, SIDE, SIDE, seed=12)])
    outcome = FaithfulnessCorrelation(GONE, precision=0.5).outcome(Batch(model, inputs, targets), maps)
    assert outcome.standard_errors is not None
    assert outcome.scores.isnan().tolist() == outcome.standard_errors.isnan().tolist() == [True, False]
    assert outcome.passes == 2 * 81


class OneFeature(nn.Module):
    """A logit of a single feature, which few subsets remove."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.flatten(1)[:, [5, 5]] * torch.tensor([3.0, -1.0])


def test_samples_go_on_while_their_error_is_not_known() -> None:
    inputs, targets = alike()
    metric = FaithfulnessCorrelation(GONE, features=60, precision=0.15)
    outcome = metric.outcome(Batch(OneFeature(), inputs, targets), draw(SAMPLES, 1, SIDE, SIDE, seed=3))
    defined = ~outcome.scores.isnan()
    assert outcome.standard_errors is not None
    # Of 40 subsets one or none takes the feature in three of four samples.
    assert 0.4 < float(defined.double().mean()) < 0.9
    assert bool((outcome.standard_errors[defined] <= 0.15).all())


def test_samples_go_on_while_no_pair_differs_in_drop() -> None:
    inputs, targets = alike(20)
    maps = draw(1, 1, SIDE, SIDE, seed=3).expand_as(inputs).clone()
    # Neither large nor small, so that few pairs exchange it.
    maps[:, 0, 0, 5] = 0.1
    outcome = FaithfulnessCorrelation(GONE, precision=0.05).outcome(Batch(OneFeature(), inputs, targets), maps)
    assert outcome.standard_errors is not None
    defined = ~outcome.scores.isnan()
    assert float(defined.double().mean()) > 0.7
    assert bool(((outcome.standard_errors > 0.0) & (outcome.standard_errors <= 0.05))[defined].all())
    assert outcome.passes > 20 * 81


def test_the_error_of_three_runs_is_not_known() -> None:
    model, inputs, targets, maps = case("image")
    for runs, known in ((3, False), (4, True)):
        outcome = FaithfulnessCorrelation(BASELINE, runs=runs).outcome(Batch(model, inputs, targets), maps)
        assert outcome.standard_errors is not None
        assert bool(outcome.scores.isfinite().all())
        assert outcome.standard_errors.isfinite().tolist() == [known] * len(inputs)


# --- Other metrics ---------------------------------------------------------------------------------------------------


def test_noise_of_a_pair_is_opposite() -> None:
    inputs = draw(3, 1, 5, 4, seed=1)
    samples, draws = torch.tensor([0, 1, 1, 2]), torch.tensor([2, 2, 3, 3])
    noise = NoisyInputs(batch_of(inputs), RangeNoise(), ("test",), 6, antithetic=True)(samples, draws) - inputs[samples]
    torch.testing.assert_close(noise[1], -noise[2])
    plain = NoisyInputs(batch_of(inputs), RangeNoise(), ("test",), 3)(samples, draws // 2) - inputs[samples]
    torch.testing.assert_close(noise[0], plain[0])
    # Draws from the second pair on are the same.
    later = NoisyInputs(batch_of(inputs), RangeNoise(), ("test",), 4, 2, antithetic=True)(samples, draws - 2)
    torch.testing.assert_close(later - inputs[samples], noise)


@pytest.mark.parametrize("options", [{"draws": 16}, {"draws": 16, "antithetic": True}, {"precision": 0.015}])
def test_intervals_cover_the_sensitivity_of_many_draws(options: dict[str, float]) -> None:
    model, inputs, targets, maps = case("image", batch=1)
    noise = RangeNoise(0.3)
    truth = float(AverageSensitivity(Gradient(), noise, draws=4_000, seed=10**6)(model, inputs, targets, maps))
    # By seeds: small samples that meet the same noise, each in its own place, are too much alike.
    metrics = [AverageSensitivity(Gradient(), noise, seed=seed, **options) for seed in range(60)]  # type: ignore[arg-type]
    outcomes = [metric.outcome(Batch(model, inputs, targets), maps) for metric in metrics]
    scores = torch.cat([one.scores for one in outcomes])
    errors = torch.cat([one.standard_errors for one in outcomes if one.standard_errors is not None])
    assert abs(float(scores.mean()) - truth) < 3 * float(scores.std()) / 60**0.5
    # Of 8 pairs the error itself is uncertain: by Student's t with 7 degrees of freedom it should be 91 %.
    assert 0.85 <= covers(scores, errors, truth) <= 0.98


def test_infidelity_states_the_error_of_its_mean() -> None:
    model, inputs, targets, _ = case("image", batch=1)
    inputs, targets = inputs + 1e-9 * draw(300, 1, 12, 10, seed=5), targets.expand(300)
    maps = Gradient()(model, inputs, targets)
    for scaled in (True, False):
        outcome = ContributionInfidelity(BASELINE, runs=60, scaled=scaled).outcome(Batch(model, inputs, targets), maps)
        assert outcome.standard_errors is not None
        stated = float(outcome.standard_errors.square().mean().sqrt())
        assert stated == pytest.approx(float(outcome.scores.std()), rel=0.2)


def test_metrics_that_do_not_average_state_no_error() -> None:
    model, inputs, targets, maps = case("image", batch=2)
    outcome = MaximumSensitivity(Gradient(), RangeNoise(), draws=3).outcome(Batch(model, inputs, targets), maps)
    assert outcome.standard_errors is None
    assert outcome.errors() == [None, None]


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: FaithfulnessCorrelation(BASELINE, precision=0.0), "precision is 0.0"),
        (lambda: FaithfulnessCorrelation(BASELINE, precision=math.nan), "precision is nan"),
        (lambda: FaithfulnessCorrelation(BASELINE, design="even"), "design is 'even'"),  # type: ignore[arg-type]
        (lambda: FaithfulnessCorrelation(BASELINE, design="paired", runs=15), "runs is 15"),
        (lambda: FaithfulnessCorrelation(BASELINE, design="paired", runs=6), "runs is 6"),
        (lambda: AverageSensitivity(Gradient(), RangeNoise(), precision=-1.0), "precision is -1.0"),
        (lambda: AverageSensitivity(Gradient(), RangeNoise(), draws=5, antithetic=True), "draws is 5"),
    ],
)
def test_what_makes_no_sense_is_refused(make: object, named: str) -> None:
    assert callable(make)
    with pytest.raises(UserError, match=named):
        make()


def test_inputs_too_small_for_paired_subsets_are_refused() -> None:
    model, inputs, targets, maps = case("image", batch=2)
    with pytest.raises(UserError, match="200 squares or more"):
        FaithfulnessCorrelation(BASELINE, design="paired")(model, inputs, targets, maps)
