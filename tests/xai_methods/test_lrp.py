"""LRP against loops over dense matrices, closed forms, Captum where it works, and models it cannot serve."""

import copy
from collections.abc import Callable
from functools import partial
from itertools import product

import pytest
import torch
from captum import attr
from captum.attr._utils.lrp_rules import EpsilonRule
from helpers.tiny_models import Function, draw, layers_of, nothing_touched, seeded, tiny_cnn
from torch import Tensor, nn
from torch.nn import functional

from audioxai.domains import Domain, ErbBands, LogMel, Pixels, Stft, Waveform
from audioxai.models import build
from audioxai.utils.errors import UserError
from audioxai.xai_methods import METHODS
from audioxai.xai_methods.explain_in import explain_in
from audioxai.xai_methods.gradients import InputXGradient
from audioxai.xai_methods.lrp import AlphaBeta, Bounded, Epsilon, Flat, Lrp, Rule
from audioxai.xai_methods.pullback import pull_back

LIMITS = (-3.0, 2.0)
ALMOST_ZERO = Epsilon(0.0)
TARGETS = torch.tensor([2, 0, 1])


def network() -> nn.Sequential:
    """Every layer that there is a rule for, with negative inputs, strides, padding and a bias before the norm."""
    layers = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(3, 4, 2, stride=2, bias=False),
        nn.ReLU(),
        nn.AvgPool2d((1, 2), stride=1),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(8, 5),
        nn.BatchNorm1d(5),
        nn.ReLU(),
        nn.Linear(5, 3),
    )
    return seeded(layers)


def matrix(layer: Callable[[Tensor], Tensor], at: Tensor) -> tuple[Tensor, Tensor]:
    """Weights ``(outputs, inputs)`` of an affine layer and its outputs at zero."""
    jacobian = torch.autograd.functional.jacobian(layer, at)
    zero = layer(torch.zeros_like(at)).flatten()
    return torch.as_tensor(jacobian).reshape(zero.numel(), at.numel()), zero.detach()


def divided(rule: Rule, weights: Tensor, bias: Tensor, inputs: Tensor, relevance: Tensor) -> Tensor:
    """The rules as they are written down: one contribution after the other."""
    found = torch.zeros_like(inputs)
    for row in range(len(relevance)):
        parts = [float(inputs[i] * weights[row, i]) for i in range(len(inputs))]
        if isinstance(rule, AlphaBeta):
            speaks_for = sum(max(part, 0.0) for part in parts) + max(float(bias[row]), 0.0)
            against = sum(min(part, 0.0) for part in parts) + min(float(bias[row]), 0.0)
            shares = [
                rule.alpha * (max(part, 0.0) / speaks_for if speaks_for else 0.0)
                - (rule.alpha - 1.0) * (min(part, 0.0) / against if against else 0.0)
                for part in parts
            ]
        elif isinstance(rule, Bounded):
            parts = [
                part - rule.low * max(float(one), 0.0) - rule.high * min(float(one), 0.0)
                for part, one in zip(parts, weights[row], strict=True)
            ]
            shares = [part / sum(parts) if sum(parts) else 0.0 for part in parts]
        elif isinstance(rule, Flat):
            reached = [float(one != 0.0) for one in weights[row]]
            shares = [one / sum(reached) for one in reached]
        else:
            total = sum(parts) + float(bias[row])
            shares = [part / total if total else 0.0 for part in parts]
        found += torch.tensor(shares, dtype=inputs.dtype) * relevance[row]
    return found


def twin(model: nn.Sequential, inputs: Tensor, target: int, rules: Lrp) -> Tensor:
    """Relevance of one sample, the layers as dense matrices, each norm together with what is before it."""
    steps: list[tuple[nn.Module, Tensor]] = []
    values = inputs
    for layer in model:
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            before, seen = steps.pop()
            steps.append((nn.Sequential(before, layer), seen))
        else:
            steps.append((layer, values))
        values = layer(values).detach()
    relevance = torch.zeros_like(values[0])
    relevance[target] = values[0, target]
    for number, (layer, seen) in reversed(list(enumerate(steps))):
        weights, bias = matrix(layer, seen)
        kind = layer[0] if isinstance(layer, nn.Sequential) else layer
        if isinstance(kind, nn.Conv2d | nn.Linear | nn.AvgPool2d):
            rule = rules.dense if isinstance(kind, nn.Linear) else rules.convolution
            if isinstance(kind, nn.AvgPool2d):
                rule = ALMOST_ZERO
            if number == 0 and rules.first is not None:
                rule = rules.first
            relevance = divided(rule, weights, bias, seen.flatten(), relevance)
        elif isinstance(kind, nn.MaxPool2d):
            relevance = weights.T @ relevance
    return relevance.reshape(inputs.shape[1:])


@pytest.mark.parametrize(
    "rules",
    [
        Lrp(ALMOST_ZERO),
        Lrp(ALMOST_ZERO, AlphaBeta(2.0)),
        Lrp(AlphaBeta(1.5), ALMOST_ZERO),
        Lrp(ALMOST_ZERO, first=Bounded(*LIMITS)),
        Lrp(ALMOST_ZERO, first=Flat()),
    ],
    ids=["composite", "alpha_beta", "swapped", "bounded", "flat"],
)
def test_is_the_rules_as_they_are_written(rules: Lrp) -> None:
    model, inputs = network(), draw(3, 1, 4, 12, seed=5).clamp(*LIMITS)
    relevance = rules(model, inputs, TARGETS)
    expected = torch.stack([twin(model, inputs[[row]], int(TARGETS[row]), rules) for row in range(3)])
    assert bool((expected != 0.0).any(1).any())
    torch.testing.assert_close(relevance, expected, rtol=1e-6, atol=1e-9)


def without_biases(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if getattr(module, "bias", None) is not None:
            layers_of(module).bias.data.zero_()
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            layers_of(module).running_mean.zero_()
    return model


# The αβ-rule keeps the sum only where something speaks against every output, which 3 taps of a waveform need not.
@pytest.mark.parametrize("name", ["lrp", "lrp_epsilon"])
@pytest.mark.parametrize("kind", ["small_cnn", "alexnet", "audionet"])
def test_nothing_is_lost_without_biases(kind: str, name: str) -> None:
    domain: Domain = Waveform(8_000, 0.25) if kind == "audionet" else LogMel(8_000, 1.0, bands=32, frames=32)
    model = without_biases(build(kind, domain, class_count=10, seed=0).body.double().eval())
    low, high = domain.value_range
    inputs = low + (high - low) * draw(2, 1, *domain.shape, seed=2).sigmoid()
    relevance = METHODS.bind(name, {"domain": domain})(model, inputs, TARGETS[:2])
    logits = model(inputs).gather(1, TARGETS[:2, None])[:, 0].detach()
    torch.testing.assert_close(relevance.flatten(1).sum(1), logits, rtol=2e-3, atol=0.0)


def test_epsilon_everywhere_is_input_times_gradient() -> None:
    model, inputs = network(), draw(3, 1, 4, 12, seed=5)
    relevance = Lrp(ALMOST_ZERO, ALMOST_ZERO)(model, inputs, TARGETS)
    torch.testing.assert_close(relevance, InputXGradient()(model, inputs, TARGETS), rtol=1e-6, atol=1e-10)


def test_closed_form_of_a_linear_model() -> None:
    model = seeded(nn.Sequential(nn.Flatten(), nn.Linear(6, 3)))
    inputs, weights = draw(3, 1, 6), layers_of(model)[1].weight.detach()
    contributions = inputs[:, 0] * weights[TARGETS]
    torch.testing.assert_close(Lrp(ALMOST_ZERO)(model, inputs, TARGETS)[:, 0], contributions, rtol=1e-7, atol=1e-12)
    # The larger ε, the less is handed on: z / (z + ε sign z) of it.
    logits = model(inputs).detach()
    size = 0.5 * logits.square().mean(1).sqrt()
    own = logits.gather(1, TARGETS[:, None])[:, 0]
    handed_on = own / (own + own.sign() * size)
    damped = Lrp(Epsilon(0.5))(model, inputs, TARGETS)[:, 0]
    torch.testing.assert_close(damped, contributions * handed_on[:, None], rtol=1e-7, atol=1e-12)


class Plain(nn.Module):
    """Layers of which Captum knows rules, its flattening in the code."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.relu = nn.Conv2d(1, 3, 3, padding=1), nn.ReLU()
        self.pool, self.head = nn.MaxPool2d(2), nn.Linear(18, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden: Tensor = self.pool(self.relu(self.first(inputs)))
        return layers_of(self).head(hidden.flatten(1))


def test_agrees_with_captum_on_the_layers_that_it_knows() -> None:
    model, inputs = seeded(Plain()), draw(3, 1, 4, 6)
    known = copy.deepcopy(model)
    for layer in (known.first, known.head):
        layers_of(layer).rule = EpsilonRule(epsilon=1e-12)
    expected = attr.LRP(known).attribute(inputs.clone().requires_grad_(), target=TARGETS).detach()
    torch.testing.assert_close(Lrp(ALMOST_ZERO, ALMOST_ZERO)(model, inputs, TARGETS), expected, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("domain", [Stft(4_000, 0.1, window_s=0.016), ErbBands(4_000, 0.1, bands=5)])
def test_relevance_in_bins_is_that_of_samples_pulled_back(domain: Stft | ErbBands) -> None:
    audionet = build("audionet", Waveform(4_000, 0.1), class_count=10, seed=0).body.double().eval()
    waveforms = 0.1 * draw(2, 1, 400, seed=3)
    in_bins = explain_in(domain, audionet, Lrp(), waveforms, TARGETS[:2])
    of_samples = Lrp()(audionet, waveforms, TARGETS[:2])
    torch.testing.assert_close(in_bins, pull_back(domain, of_samples / waveforms, waveforms), rtol=1e-4, atol=1e-9)
    torch.testing.assert_close(in_bins.flatten(1).sum(1), of_samples.flatten(1).sum(1), rtol=1e-5, atol=1e-12)


def test_a_dark_image_and_silence_have_finite_relevance() -> None:
    for domain in (Pixels(12, 10), Waveform(8_000, 0.25)):
        model = build("audionet", domain, 3, 0).body if isinstance(domain, Waveform) else tiny_cnn()
        model, inputs = model.double().eval(), torch.zeros(1, 1, *domain.shape, dtype=torch.float64)
        for name in ("lrp", "lrp_epsilon", "lrp_alpha_beta"):
            assert METHODS.bind(name, {"domain": domain})(model, inputs, torch.tensor([1])).isfinite().all()


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.head = nn.Conv2d(1, 1, 3, padding=1), nn.Linear(16, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return layers_of(self).head((inputs + self.convolution(inputs)).flatten(1))


class NormUsedTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm, self.head = nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.Linear(64, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        before = self.convolution(inputs)
        return layers_of(self).head(torch.cat([before, self.norm(before)], 1).flatten(1))


class Standardised(nn.Conv2d):
    """A convolution that does something with its weights."""

    def forward(self, inputs: Tensor) -> Tensor:
        return self._conv_forward(inputs, self.weight - self.weight.mean(), self.bias)


def _around(layer: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), copy.deepcopy(layer), nn.Linear(8, 3))


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "residual": (Residual, "operation Add"),
    "norm_first": (lambda: nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(16, 3)), "BatchNorm2d '0'"),
    "norm_late": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(32, 3)
        ),
        "BatchNorm2d '2'",
    ),
    "norm_twice": (NormUsedTwice, "something else uses"),
    "no_statistics": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2, track_running_stats=False), nn.Flatten(), nn.Linear(32, 3)
        ),
        "running statistics",
    ),
    **{
        type(layer).__name__: (
            partial(_around, layer),
            f"of {type(layer).__name__} '2'",
        )
        for layer in (nn.GELU(), nn.Tanh(), nn.Sigmoid(), nn.LeakyReLU(), nn.ELU(), nn.LayerNorm(8))
    },
    "other_convolution": (lambda: nn.Sequential(Standardised(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)), "Convolution"),
    "functional_mean": (lambda: nn.Sequential(Function(lambda x: x.mean(2)), nn.Flatten(), nn.Linear(4, 3)), "Mean"),
    "functional_linear": (
        lambda: nn.Sequential(nn.Flatten(), Function(lambda x: functional.linear(x, torch.ones(3, 16).double()))),
        "operation",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_has_no_rule_is_refused_by_name(kind: str) -> None:
    make, words = REFUSED[kind]
    model = seeded(make())
    with nothing_touched(model), pytest.raises(UserError, match=words):
        Lrp()(model, draw(2, 1, 4, 4), TARGETS[:2])


def test_functional_relu_and_pooling_are_no_obstacle() -> None:
    first, head, inputs = seeded(nn.Conv2d(1, 3, 3, padding=1)), seeded(nn.Linear(18, 3)), draw(3, 1, 4, 6)
    modules = nn.Sequential(first, nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(), head)

    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.head = first, head

        def forward(self, inputs: Tensor) -> Tensor:
            return layers_of(self).head(functional.max_pool2d(self.first(inputs).relu(), 2).flatten(1))

    for rules, kind in product((Lrp(), Lrp(first=Bounded(*LIMITS))), (Functional(), modules)):
        torch.testing.assert_close(rules(kind, inputs, TARGETS), rules(modules, inputs, TARGETS), rtol=1e-12, atol=0.0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Epsilon(-1.0), "epsilon is"),
        (lambda: AlphaBeta(0.5), "alpha is"),
        (lambda: Bounded(1.0, 1.0), "low is"),
        (lambda: Lrp(Flat()), "dense has the rule Flat"),
        (lambda: Lrp(convolution=Bounded(0.0, 1.0)), "convolution has the rule Bounded"),
    ],
)
def test_impossible_rules_are_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        make()
