"""One model in every domain: the same logits, the same change to share out, and errors that name both sides."""

import math

import pytest
import torch
from helpers.tiny_models import Linear, draw, gradient_at, nothing_touched, tiny_cnn, tiny_waveform_cnn
from torch import Tensor, nn
from torch.nn import functional

from audioxai.baselines import Silence
from audioxai.core import Explainer
from audioxai.domains import Domain, ErbBands, Invertible, LogMel, Pixels, Stft, Waveform
from audioxai.utils.errors import UserError
from audioxai.xai_methods.explain_in import explain_in, seen_in
from audioxai.xai_methods.integrated_gradients import IntegratedGradients
from audioxai.xai_methods.path_integral import PathIntegral
from audioxai.xai_methods.paths import Amplified, FadeIn, Straight
from audioxai.xai_methods.pullback import Bandwise, PullBack, mean_gradient, pull_back
from audioxai.xai_methods.quadrature import Midpoint

RATE_HZ, DURATION_S = 4_000, 0.125
LEVELS = LogMel(RATE_HZ, DURATION_S, bands=12, frames=8, window_s=0.032)
INVERTIBLE: dict[str, Invertible] = {
    "waveform": Waveform(RATE_HZ, DURATION_S),
    "stft": Stft(RATE_HZ, DURATION_S, window_s=0.016),
    "erb_bands": ErbBands(RATE_HZ, DURATION_S, bands=6),
}
EVERY_DOMAIN = pytest.mark.parametrize("domain", INVERTIBLE.values(), ids=INVERTIBLE)
WAVEFORMS = 0.1 * draw(4, 1, 500, seed=4)
TARGETS = torch.tensor([0, 1, 2, 0])


class Halves(nn.Module):
    """A front end and a body, as classifiers of sound are built."""

    def __init__(self, domain: Domain, body: nn.Module) -> None:
        super().__init__()
        self.front_end = FrontEnd(domain)
        self.body = body

    @property
    def domain(self) -> Domain:
        return self.front_end.domain

    def forward(self, waveforms: Tensor) -> Tensor:
        return self.body(self.front_end(waveforms))


class FrontEnd(nn.Module):
    def __init__(self, domain: Domain) -> None:
        super().__init__()
        self.domain = domain

    def forward(self, waveforms: Tensor) -> Tensor:
        return self.domain.analysis(waveforms)


class Loudnesses(nn.Module):
    """Levels → logits through curves that are flat at the floor, where the front end's own kink is."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = Linear(3, 1, 12, 8)

    def forward(self, levels: Tensor) -> Tensor:
        loudness = functional.softplus((levels + 30.0) / 3.0)
        return self.linear(loudness) * (1.0 + loudness.mean((1, 2, 3))[:, None])


def change_of(model: nn.Module) -> Tensor:
    with torch.no_grad():
        return (model(WAVEFORMS) - model(torch.zeros_like(WAVEFORMS))).gather(1, TARGETS[:, None])[:, 0]


@EVERY_DOMAIN
def test_a_model_is_the_same_in_every_domain_with_a_way_back(domain: Invertible) -> None:
    model = tiny_waveform_cnn()
    view, inputs = seen_in(domain, model, WAVEFORMS)
    torch.testing.assert_close(view(inputs), model(WAVEFORMS), rtol=0, atol=1e-12)
    assert tuple(inputs.shape[2:]) == domain.shape


def test_completeness_is_carried_across_all_domains() -> None:
    model = Halves(LEVELS, Loudnesses())
    change = change_of(model)
    fade = PathIntegral(Amplified(80.0), Midpoint(800))
    totals = {
        name: explain_in(domain, model, fade, WAVEFORMS, TARGETS).flatten(1).sum(1)
        for name, domain in INVERTIBLE.items()
    }
    levels = explain_in(LEVELS, model, PathIntegral(FadeIn(-80.0), Midpoint(800)), WAVEFORMS, TARGETS)
    totals["log_mel"] = levels.flatten(1).sum(1)
    for name, total in totals.items():
        missing = float(((total - change) / change).abs().max())
        assert missing < 1e-4, name
    for name in ("stft", "erb_bands"):
        torch.testing.assert_close(totals[name], totals["waveform"], rtol=1e-10, atol=0)


def test_a_model_is_explained_in_its_own_domain_by_its_body_alone() -> None:
    model = Halves(LEVELS, tiny_cnn())
    attributions = explain_in(LEVELS, model, IntegratedGradients(Silence(LEVELS)), WAVEFORMS, TARGETS)
    expected = IntegratedGradients(Silence(LEVELS))(model.body, LEVELS.analysis(WAVEFORMS), TARGETS)
    assert torch.equal(attributions, expected)


@EVERY_DOMAIN
def test_pull_back_is_the_integral_in_that_domain_and_exactly_complete(domain: Invertible) -> None:
    model, rule, path = tiny_waveform_cnn(), Midpoint(6), Amplified(40.0)
    pulled = PullBack(domain, rule, path)(model, WAVEFORMS, TARGETS)
    there = explain_in(domain, model, PathIntegral(path, rule), WAVEFORMS, TARGETS)
    torch.testing.assert_close(pulled, there, rtol=0, atol=1e-12)
    waveform = PathIntegral(path, rule)(model, WAVEFORMS, TARGETS)
    integral = PullBack(domain, rule, path).attribute(model, WAVEFORMS, TARGETS, internal_batch_size=3)
    torch.testing.assert_close(integral.attributions, pulled, rtol=1e-10, atol=1e-13)
    torch.testing.assert_close(integral.change, change_of(model))
    assert tuple(pulled.shape) == (4, 1, *domain.shape)
    torch.testing.assert_close(pulled.flatten(1).sum(1), waveform.flatten(1).sum(1), rtol=1e-11, atol=1e-13)


@EVERY_DOMAIN
def test_pull_back_of_a_linear_model_is_autograds_gradient_times_the_values(domain: Invertible) -> None:
    model = Linear(3, 1, 500)
    values = domain.analysis(WAVEFORMS).clone().requires_grad_(True)
    model(domain.synthesis(values)).gather(1, TARGETS[:, None]).sum().backward()
    expected = (gradient_at(values).conj() * values.detach()).real
    pulled = PullBack(domain, Midpoint(3))(model, WAVEFORMS, TARGETS)
    torch.testing.assert_close(pulled, expected, rtol=0, atol=1e-12)
    change = (model.weights.detach()[TARGETS] * WAVEFORMS).flatten(1).sum(1)
    torch.testing.assert_close(pulled.flatten(1).sum(1), change, rtol=1e-11, atol=1e-13)


def test_the_mean_gradient_is_the_slow_sum_over_gains() -> None:
    model, depth_db, steps = tiny_waveform_cnn(), 30.0, 5
    edges = [0.0, *(10.0 ** (-depth_db * (1.0 - step / steps) / 20.0) for step in range(1, steps + 1))]
    expected = torch.zeros_like(WAVEFORMS)
    for step in range(steps):
        gain = 10.0 ** (-depth_db * (1.0 - (step + 0.5) / steps) / 20.0)
        point = (gain * WAVEFORMS).clone().requires_grad_(True)
        model(point).gather(1, TARGETS[:, None]).sum().backward()
        expected += (edges[step + 1] - edges[step]) * point.grad
    score = PullBack(INVERTIBLE["stft"]).score.of(model, WAVEFORMS, TARGETS, 3)
    mean = mean_gradient(score, WAVEFORMS, Amplified(depth_db), Midpoint(steps), 3)
    torch.testing.assert_close(mean, expected, rtol=1e-10, atol=1e-13)
    pulled = pull_back(INVERTIBLE["stft"], mean, WAVEFORMS)
    torch.testing.assert_close(pulled.flatten(1).sum(1), (mean * WAVEFORMS).flatten(1).sum(1), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("frame_s", [0.01, 0.0125, 0.125, 0.00025])
def test_bands_and_frames_add_up_to_the_waveform(frame_s: float) -> None:
    model, bands = tiny_waveform_cnn(), ErbBands(RATE_HZ, DURATION_S, bands=6)
    explainer = Bandwise(bands, frame_s, Midpoint(6))
    attributions = explainer(model, WAVEFORMS, TARGETS)
    by_sample = PullBack(bands, Midpoint(6))(model, WAVEFORMS, TARGETS)
    length = round(frame_s * RATE_HZ)
    assert tuple(attributions.shape) == (4, 1, 6, math.ceil(500 / length))
    for frame in range(attributions.shape[3]):
        expected = by_sample[..., frame * length : (frame + 1) * length].sum(-1)
        torch.testing.assert_close(attributions[..., frame], expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(
    "explainer",
    [PullBack(INVERTIBLE["stft"], Midpoint(3)), Bandwise(ErbBands(RATE_HZ, DURATION_S, 6), rule=Midpoint(3))],
)
def test_pulling_back_leaves_everything_as_it_was_and_does_not_depend_on_the_batch(explainer: Explainer) -> None:
    model = tiny_waveform_cnn()
    with nothing_touched(model, WAVEFORMS, TARGETS):
        attributions = explainer(model, WAVEFORMS, TARGETS)
    assert not attributions.requires_grad
    order = torch.tensor([2, 0])
    torch.testing.assert_close(explainer(model, WAVEFORMS[order], TARGETS[order]), attributions[order])


def test_explaining_elsewhere_leaves_the_model_as_it_was() -> None:
    model = tiny_waveform_cnn().train()
    with nothing_touched(model, WAVEFORMS, TARGETS):
        explain_in(INVERTIBLE["stft"], model, PathIntegral(Amplified(), Midpoint(2)), WAVEFORMS, TARGETS)
    assert model.training


def elsewhere(domain: Domain, model: nn.Module) -> None:
    explain_in(domain, model, IntegratedGradients(Silence(domain), 2), WAVEFORMS, TARGETS)


class Detached(nn.Module):
    def forward(self, waveforms: Tensor) -> Tensor:
        return tiny_waveform_cnn()(waveforms.detach()).detach()


class Broken(nn.Module):
    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, waveforms: Tensor) -> Tensor:
        return self.logits + waveforms.sum() * 0.0


@pytest.mark.parametrize(
    ("domain", "model", "message"),
    [
        (INVERTIBLE["stft"], Detached(), "no gradient at its input"),
        (INVERTIBLE["stft"], Broken(torch.zeros(4, 3, 2)), r"returned shape \(4, 3, 2\)"),
        (INVERTIBLE["stft"], Broken(torch.full((8, 3), torch.nan)), "NaN or infinite logits"),
        (Stft(8_000, DURATION_S), Halves(LEVELS, tiny_cnn()), "sample_rate_hz 4000 Hz but .* for 8000 Hz"),
        (Stft(RATE_HZ, 0.25), Halves(LEVELS, tiny_cnn()), "duration_s 0.125 s but .* for 0.25 s"),
        (Stft(RATE_HZ, 0.25), tiny_waveform_cnn(), r"waveforms have shape \(4, 1, 500\) .* \(batch, 1, 1000\)"),
        (LEVELS, tiny_waveform_cnn(), "log_mel domain cannot be inverted"),
        (Pixels(4, 4), tiny_waveform_cnn(), "pixels domain cannot be inverted"),
    ],
)
def test_what_cannot_be_explained_is_said_in_one_sentence(domain: Domain, model: nn.Module, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        elsewhere(domain, model)
    assert "\n" not in str(caught.value)


def test_targets_out_of_range_frames_and_clips_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match="targets lie in 0…3 but the model has 3 classes"):
        explain_in(
            INVERTIBLE["stft"],
            tiny_waveform_cnn(),
            PathIntegral(Straight(Silence(INVERTIBLE["stft"]))),
            WAVEFORMS,
            torch.tensor([0, 1, 2, 3]),
        )
    with pytest.raises(UserError, match="shorter than one window"):
        Stft(RATE_HZ, 0.01, window_s=0.032)
    with pytest.raises(UserError, match=r"frame_s is 1\.0"):
        Bandwise(ErbBands(RATE_HZ, DURATION_S, 6), frame_s=1.0)
