"""What adaptations of Integrated Gradients to sound are made of, and closed forms of single ones."""

import math
from collections.abc import Callable
from typing import Any

import captum.attr
import pytest
import torch
from helpers.tiny_models import Function, Linear, draw, tiny_cnn, tiny_waveform_cnn
from torch import Tensor, nn

from audioxai.baselines import BandNoise, Constant, Inaudible, References, Silence
from audioxai.domains import Domain, LogMel, Waveform
from audioxai.utils.errors import UserError
from audioxai.xai_methods import METHODS
from audioxai.xai_methods.audio_integrated_gradients import DUAL_SMOOTHING_CELLS, inaudible_share
from audioxai.xai_methods.combinations import BalancedMean, MeanOf, Smoothed
from audioxai.xai_methods.path_integral import PathIntegral
from audioxai.xai_methods.paths import FadeIn, FromDrawn, LevelCrossfade, Straight
from audioxai.xai_methods.quadrature import Midpoint
from audioxai.xai_methods.scores import LogOdds

LEVELS = LogMel(8_000, 0.25, bands=16, frames=12)
WAVEFORM = Waveform(4_000, 0.1)
TARGETS = torch.arange(4) % 3
CASES: dict[str, tuple[Domain, nn.Module, Tensor, Tensor]] = {
    "log_mel": (
        LEVELS,
        tiny_cnn(),
        (-45.0 + 15.0 * draw(40, 1, 16, 12, seed=1)).clamp(-80.0, 0.0),
        (-40.0 + 15.0 * draw(4, 1, 16, 12, seed=2)).clamp(-80.0, 0.0),
    ),
    "waveform": (WAVEFORM, tiny_waveform_cnn(), 0.1 * draw(40, 1, 400, seed=3), 0.1 * draw(4, 1, 400, seed=4)),
}


def made(kind: str, name: str, gradients: int = 16, seed: int = 0) -> Any:
    domain, _, training, _ = CASES[kind]
    return METHODS.bind(name, {"domain": domain, "training_inputs": training, "gradients": gradients, "seed": seed})


def test_are_made_of_the_pieces_their_names_say() -> None:
    _, model, training, inputs = CASES["log_mel"]
    silence = Silence(LEVELS)
    expected = {
        "plain": PathIntegral(Straight(Constant(0.0)), Midpoint(16)),
        "silence": PathIntegral(Straight(silence), Midpoint(16)),
        "audible": PathIntegral(Straight(Inaudible(LEVELS)), Midpoint(16)),
        "amplitude": PathIntegral(FadeIn(-80.0), Midpoint(16)),
        "expected": PathIntegral(FromDrawn(References.of(training, 16)), Midpoint(1), draws=16),
    }
    for name, explainer in expected.items():
        assert made("log_mel", name) == explainer
    halves = [made("log_mel", name, 8)(model, inputs, TARGETS) for name in ("amplitude", "expected")]
    two = made("log_mel", "two_missingness")
    references = PathIntegral(FromDrawn(References.of(training, 16)), Midpoint(1), draws=8)
    halves[1] = references(model, inputs, TARGETS)
    torch.testing.assert_close(two(model, inputs, TARGETS), (halves[0] + halves[1]) / 2.0)


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("name", ["plain", "silence", "median", "mean"])
def test_on_a_straight_line_is_captums_for_the_same_nodes(kind: str, name: str) -> None:
    _, model, _, inputs = CASES[kind]
    explainer = made(kind, name)
    expected = captum.attr.IntegratedGradients(model).attribute(
        inputs, explainer.path.baseline(inputs), target=TARGETS, n_steps=16, method="riemann_middle"
    )
    torch.testing.assert_close(explainer(model, inputs, TARGETS), expected.detach(), rtol=1e-10, atol=1e-12)


def test_plain_of_a_linear_model_is_exact_and_so_is_two_missingness() -> None:
    _, _, training, inputs = CASES["log_mel"]
    model = Linear(3, 1, 16, 12)
    weights = model.weights.detach()[TARGETS]
    torch.testing.assert_close(made("log_mel", "plain")(model, inputs, TARGETS), weights * inputs)
    references = References.of(training, 16)
    usual = torch.stack([references.drawn(inputs, number) for number in range(8)]).mean(0)
    expected = weights * (inputs - 0.5 * (usual - 80.0))
    torch.testing.assert_close(made("log_mel", "two_missingness")(model, inputs, TARGETS), expected)


def test_dual_weighs_silence_and_noise_evenly_in_every_sample() -> None:
    _, model, training, inputs = CASES["log_mel"]
    noise = BandNoise.of(training, -80.0)
    lines = PathIntegral(FromDrawn(noise), Midpoint(1), draws=6)
    crossfades = PathIntegral(LevelCrossfade(noise), Midpoint(2), draws=3)
    parts = (
        PathIntegral(FadeIn(-80.0), Midpoint(4)),
        Smoothed(MeanOf((lines, crossfades)), DUAL_SMOOTHING_CELLS),
    )
    dual = made("log_mel", "dual").attribute(model, inputs, TARGETS)
    integrals = [part.attribute(model, inputs, TARGETS) for part in parts]
    for row in range(4):
        sizes = [float(one.attributions[row].abs().sum()) for one in integrals]
        weights = [sizes[1] / sum(sizes), sizes[0] / sum(sizes)]
        assert weights[0] * sizes[0] == pytest.approx(weights[1] * sizes[1])
        expected = sum(weight * one.attributions[row] for weight, one in zip(weights, integrals, strict=True))
        torch.testing.assert_close(dual.attributions[row], expected)
        change = sum(weight * float(one.change[row]) for weight, one in zip(weights, integrals, strict=True))
        assert float(dual.change[row]) == pytest.approx(change)


def test_a_balanced_mean_leaves_out_what_is_zero() -> None:
    model, inputs = tiny_cnn(), CASES["log_mel"][3]
    nothing, something = (PathIntegral(Straight(one), Midpoint(3)) for one in (Itself(), Constant(-80.0)))
    expected = something(model, inputs, TARGETS)
    torch.testing.assert_close(BalancedMean((nothing, something))(model, inputs, TARGETS), expected)
    assert not BalancedMean((nothing, nothing))(model, inputs, TARGETS).any()


class Itself:
    """The inputs as their own baseline."""

    name = "itself"

    def __call__(self, inputs: Tensor) -> Tensor:
        return inputs.clone()


def test_smoothing_keeps_the_sum_and_spreads_a_point_as_a_gaussian() -> None:
    point = torch.zeros(1, 1, 31, 31, dtype=torch.float64)
    point[0, 0, 15, 15] = 2.0
    model = Function(lambda x: (x * point).flatten(1).sum(1, keepdim=True))
    inputs, target = torch.ones_like(point), torch.tensor([0])
    smoothed = Smoothed(PathIntegral(Straight(Constant(0.0)), Midpoint(2)), 2.0)(model, inputs, target)
    assert float(smoothed.sum()) == pytest.approx(2.0, rel=1e-12)
    offsets = torch.arange(31).double() - 15.0
    bell = torch.exp(-(offsets**2) / 8.0) / math.sqrt(8.0 * math.pi)
    torch.testing.assert_close(smoothed[0, 0], 2.0 * bell[:, None] * bell, rtol=0, atol=1e-9)


def test_contrastive_explains_the_margin_over_the_runner_up() -> None:
    _, model, _, inputs = CASES["log_mel"]
    integral = made("log_mel", "contrastive", 16).attribute(model, inputs, TARGETS)
    with torch.no_grad():
        logits, silent = model(inputs), model(Silence(LEVELS)(inputs))
    for row, target in enumerate(TARGETS.tolist()):
        runner_up = max((one for one in range(3) if one != target), key=lambda one: float(logits[row, one]))
        margin = (logits[row, target] - logits[row, runner_up]) - (silent[row, target] - silent[row, runner_up])
        assert float(integral.change[row]) == pytest.approx(float(margin))


def test_log_odds_are_those_of_the_softmax() -> None:
    _, model, _, inputs = CASES["log_mel"]
    integral = made("log_mel", "log_odds").attribute(model, inputs, TARGETS)
    with torch.no_grad():
        logits = torch.stack([model(inputs), model(Silence(LEVELS)(inputs))])
    for row, target in enumerate(TARGETS.tolist()):
        others = [one for one in range(3) if one != target]
        odds = logits[:, row, target] - logits[:, row, others].logsumexp(-1)
        assert float(integral.change[row]) == pytest.approx(float(odds[0] - odds[1]))
    logit = torch.logit(torch.tensor([0.1, -0.4, 0.2]).double().softmax(0)[0])
    constant = Function(lambda x: torch.tensor([[0.1, -0.4, 0.2]]).double() + 0.0 * x.sum())
    score = LogOdds().of(constant, inputs, TARGETS, 1)
    torch.testing.assert_close(score(inputs[:1], torch.tensor([0]))[0], logit)


def test_inaudible_cells_are_worth_exactly_nothing() -> None:
    _, model, _, inputs = CASES["log_mel"]
    inaudible = Inaudible(LEVELS)(inputs) == inputs
    assert 0 < int(inaudible.sum()) < inaudible.numel()
    attributions = made("log_mel", "audible")(model, inputs, TARGETS)
    assert not attributions[inaudible].any()
    assert bool(attributions[~inaudible].any())


def test_the_inaudible_share_is_what_the_audible_path_leaves_out() -> None:
    _, model, _, inputs = CASES["log_mel"]
    share = inaudible_share(model, inputs, TARGETS, LEVELS)
    heard = made("log_mel", "audible").attribute(model, inputs, TARGETS).change
    whole = made("log_mel", "silence").attribute(model, inputs, TARGETS).change
    torch.testing.assert_close(share, 1.0 - heard / whole)
    silence = Silence(LEVELS)(inputs)
    assert bool(inaudible_share(model, silence, TARGETS, LEVELS).isnan().all())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MeanOf(()), "no explainers"),
        (lambda: Smoothed(PathIntegral(Straight(Constant(0.0))), 0.0), r"sigma_cells is 0\.0"),
    ],
)
def test_what_cannot_be_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()
