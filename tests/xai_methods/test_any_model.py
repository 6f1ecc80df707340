"""Every method on models as they are found: explained as the plain model is, or refused in one sentence."""

import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.tiny_models import Linear, draw, seeded, tiny_cnn, tiny_waveform_cnn
from torch import Tensor, nn

from audioxai.baselines import Black, Silence
from audioxai.core import Explainer
from audioxai.domains import Domain, LogMel, Mask, Pixels, Stft, Waveform
from audioxai.testing.methods import untouched
from audioxai.utils.errors import UserError
from audioxai.xai_methods import METHODS
from audioxai.xai_methods.deep_lift import DeepLift
from audioxai.xai_methods.explain_in import explain_in
from audioxai.xai_methods.gradients import Saliency
from audioxai.xai_methods.guided_grad_cam import GuidedGradCam, last_convolution
from audioxai.xai_methods.occlusion import Occlusion

TARGETS = torch.tensor([0, 2, 1])
DOMAINS: dict[str, Domain] = {
    "log_mel": LogMel(8_000, 0.25, bands=12, frames=10),
    "waveform": Waveform(4_000, 0.1),
    "pixels": Pixels(12, 10),
    "mask": Mask(4_000, 0.1, 6, 7, window_s=0.016),
}
# Every method once, in the first domain whose inputs it takes; FreqRISE is RISE of complex spectra, which come below.
EVERY = pytest.mark.parametrize("name", [name for name in METHODS if name != "freqrise"])
FREE = {name for name, entry in METHODS.items() if entry.role == "control" and name != "grad_x_level"}


def kind_of(name: str) -> str:
    return next(kind for kind in DOMAINS if METHODS[name].takes(kind))


def plain(kind: str) -> nn.Module:
    return tiny_waveform_cnn() if kind in ("waveform", "mask") else tiny_cnn()


def inputs_of(kind: str, count: int = 3, seed: int = 2) -> Tensor:
    domain = DOMAINS["waveform" if kind == "mask" else kind]
    low, high = domain.value_range
    spread = draw(count, 1, *domain.shape, seed=seed)
    return (low + (high - low) * (0.5 + 0.15 * spread)).clamp(low, high)


Step = Callable[..., Any]


def made(name: str) -> Any:
    kind = kind_of(name)
    context = {
        "domain": DOMAINS[kind],
        "baseline": Black() if kind == "pixels" else Silence(DOMAINS[kind]),
        "training_inputs": inputs_of(kind, 12, 3),
        "gradients": 8,
        "passes": 24,
        "seed": 0,
    }
    return METHODS.bind(name, context)


class Wrapped(nn.Module):
    """A model whose inputs and outputs pass through other functions."""

    def __init__(self, inner: nn.Module, before: Step = lambda x: x, after: Step = lambda x: x) -> None:
        super().__init__()
        self.inner, self.before, self.after = inner, before, after

    def forward(self, inputs):
        return self.after(self.inner(self.before(inputs)))


class CachesAWindow(nn.Module):
    """Keeps a tensor from its first call."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.window: Tensor | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        if self.window is None:
            self.window = torch.ones_like(inputs[:1])
        return self.inner(inputs * self.window)


def called_in_inference_mode(inner: nn.Module, inputs: Tensor) -> nn.Module:
    model = CachesAWindow(inner)
    with torch.inference_mode():
        model(inputs.clone())
    assert model.window is not None
    assert model.window.is_inference()
    return model


def exported(model: nn.Module, inputs: Tensor) -> nn.Module:
    batch = torch.export.Dim("batch", min=1, max=512)
    return torch.export.export(model, (inputs,), dynamic_shapes=({0: batch},)).module()


def frozen(model: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        # PyTorch advises against TorchScript, but there are models in it.
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.freeze(torch.jit.script(model))


# LRP divides relevance by rules for layers, not for what is calculated between them.
OF_LAYERS = ("lrp", "lrp_epsilon", "lrp_alpha_beta")
HIDING_LAYERS = ("changes its inputs in place", "called in inference mode")

SAME: dict[str, Callable[[nn.Module, Tensor], nn.Module]] = {
    "changes its inputs in place": lambda model, _: Wrapped(
        model, before=lambda x: x.sub_(0.25).mul_(2.0).div_(2.0).add_(0.25)
    ),
    "a mapping with logits": lambda model, _: Wrapped(model, after=lambda z: {"loss": None, "logits": z}),
    "an object with logits": lambda model, _: Wrapped(model, after=lambda z: SimpleNamespace(logits=z, hidden=None)),
    "in training mode": lambda model, _: model.train(),
    "called in inference mode": called_in_inference_mode,
}


@EVERY
@pytest.mark.parametrize("what", SAME)
def test_is_explained_as_the_plain_model_is(name: str, what: str) -> None:
    kind = kind_of(name)
    inputs = inputs_of(kind)
    expected = made(name)(plain(kind), inputs, TARGETS)
    model = SAME[what](plain(kind), inputs)
    if name in OF_LAYERS and what in HIDING_LAYERS:
        with pytest.raises(UserError, match="LRP has no rule for the operation"):
            made(name)(model, inputs, TARGETS)
        return
    with untouched(model, inputs, TARGETS):
        attributions = made(name)(model, inputs, TARGETS)
    torch.testing.assert_close(attributions, expected, rtol=1e-9, atol=1e-9 * float(expected.abs().max()))


@EVERY
@pytest.mark.parametrize("what", ["exported", "frozen"])
def test_programs_are_explained_or_refused(name: str, what: str) -> None:
    kind = kind_of(name)
    inputs = inputs_of(kind)
    expected = made(name)(plain(kind), inputs, TARGETS)
    model = exported(plain(kind), inputs) if what == "exported" else frozen(plain(kind))
    try:
        attributions = made(name)(model, inputs, TARGETS)
    except UserError:
        # They have no modules whose gradients could be replaced.
        assert name in ("deep_lift", "guided_grad_cam", *OF_LAYERS)
    else:
        torch.testing.assert_close(attributions, expected, rtol=1e-9, atol=1e-9 * float(expected.abs().max()))


def test_a_program_exported_in_training_mode_is_refused() -> None:
    inputs = inputs_of("pixels")
    model = exported(plain("pixels").train(), inputs)
    with pytest.raises(UserError, match=r"exported in training mode; export model\.eval"):
        Saliency()(model, inputs, TARGETS)


@EVERY
@pytest.mark.parametrize("wrap", [lambda z: (z, z), lambda z: [z], lambda z: {"scores": z}, lambda _: None])
def test_other_outputs_are_refused(name: str, wrap: Step) -> None:
    if name in FREE:
        return
    kind = kind_of(name)
    with pytest.raises(UserError, match=r"the model returned (tuple|list|dict|NoneType); .*wrap it"):
        made(name)(Wrapped(plain(kind), after=wrap), inputs_of(kind), TARGETS)


@EVERY
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_refused(name: str, dtype: torch.dtype) -> None:
    kind = kind_of(name)
    model, inputs = plain(kind).to(dtype), inputs_of(kind)
    with pytest.raises(UserError, match=r"give inputs\.float"):
        made(name)(model, inputs.to(dtype), TARGETS)
    if name not in FREE:
        with pytest.raises(UserError, match=r"half precision.*give model\.float"):
            made(name)(model, inputs.float(), TARGETS)


@EVERY
def test_one_class_or_none_may_be_given(name: str) -> None:
    kind = kind_of(name)
    model, inputs = plain(kind), inputs_of(kind)
    ones = torch.ones(3, dtype=torch.int64)
    assert torch.equal(made(name)(model, inputs, 1), made(name)(model, inputs, ones))
    predicted = model(inputs).argmax(1)
    assert torch.equal(made(name)(model, inputs, None), made(name)(model, inputs, predicted))
    for wrong in (True, 1.0, "1"):
        with pytest.raises(UserError, match="one class index, or None"):
            made(name)(model, inputs, wrong)
    if name not in FREE:
        with pytest.raises(UserError, match="the model has 3 classes"):
            made(name)(model, inputs, 3)


# --- Complex spectrograms --------------------------------------------------------------------------------------------

STFT = Stft(4_000, 0.125, window_s=0.016)
WAVEFORMS = 0.1 * draw(2, 1, 500, seed=4)
COMPLEX = [name for name, entry in METHODS.items() if entry.takes("stft")]
# What has no meaning, or no definition, for complex values.
REFUSED = {"guided", "smooth_grad", "guided_grad_cam", "median", "mean"}


def in_stft(name: str, model: nn.Module, targets: Tensor) -> Tensor:
    context = {
        "domain": STFT,
        "baseline": Silence(STFT),
        "training_inputs": STFT.analysis(0.1 * draw(12, 1, 500, seed=5)),
        "gradients": 8,
        "passes": 16,
        "seed": 0,
    }
    return explain_in(STFT, model, METHODS.bind(name, context), WAVEFORMS, targets)


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_spectrograms_have_real_maps_or_are_refused(name: str) -> None:
    targets = torch.tensor([0, 1])
    if name in REFUSED:
        with pytest.raises(UserError, match="real inputs"):
            in_stft(name, tiny_waveform_cnn(), targets)
        return
    attributions = in_stft(name, tiny_waveform_cnn(), targets)
    assert not attributions.is_complex()
    assert tuple(attributions.shape) == (2, 1, *STFT.shape)


@pytest.mark.parametrize(
    "name", ["input_x_gradient", "integrated_gradients", "silence", "deep_lift", "idgi", "occlusion"]
)
def test_maps_of_a_linear_model_of_sound_add_up_to_its_logit(name: str) -> None:
    model, targets = Linear(3, 1, 500), torch.tensor([0, 2])
    attributions = in_stft(name, model, targets)
    if name == "occlusion":
        # Patches cover windows of unequal sizes, each with the drop of its whole patch.
        values = STFT.analysis(WAVEFORMS)
        rows, columns = (-(-size // 8) for size in STFT.shape)
        without = values.clone()
        without[:, :, :rows, :columns] = 0.0
        drop = (model(STFT.synthesis(values)) - model(STFT.synthesis(without))).gather(1, targets[:, None])[:, 0]
        torch.testing.assert_close(attributions[:, 0, 0, 0], drop.detach(), rtol=1e-5, atol=1e-6)
        return
    change = (model.weights.detach()[targets] * WAVEFORMS).flatten(1).sum(1)
    torch.testing.assert_close(attributions.flatten(1).sum(1), change, rtol=1e-9, atol=1e-12)


# --- Methods that replace the gradients of modules -------------------------------------------------------------------


class Second(nn.Module):
    """Two convolutions with a stated rectification after the second."""

    def __init__(self, second: Step) -> None:
        super().__init__()
        self.first, self.relu, self.then = nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3))
        self.second = second
        seeded(self)

    def forward(self, inputs):
        return self.head(self.second(self.then(self.relu(self.first(inputs)))))


@pytest.mark.parametrize(
    "second",
    [
        torch.relu,
        lambda x: x.clamp(min=0.0),
        lambda x: x.clamp_min(0),
        lambda x: x.clamp(0.0, 6.0),
        nn.functional.relu6,
        nn.ReLU6(),
    ],
    ids=["relu", "clamp", "clamp_min", "clamp both", "relu6", "ReLU6"],
)
def test_rectifications_that_cannot_be_guided_are_refused(second: Step) -> None:
    with pytest.raises(UserError, match="replace functional calls"):
        GuidedGradCam()(Second(second), draw(2, 1, 12, 12), torch.tensor([0, 1]))


def test_clamping_from_elsewhere_is_no_rectification() -> None:
    model, inputs, targets = Second(nn.ReLU()), draw(2, 1, 12, 12), torch.tensor([0, 1])
    floored = Wrapped(model, before=lambda x: x.clamp_min(-50.0))
    expected = GuidedGradCam()(model, inputs, targets)
    torch.testing.assert_close(GuidedGradCam()(floored, inputs, targets), expected, rtol=1e-12, atol=1e-14)


class WithAuxiliary(nn.Module):
    """A ReLU in a branch that the logits do not use."""

    def __init__(self) -> None:
        super().__init__()
        self.main = Second(nn.ReLU())
        self.auxiliary = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()).double()

    def forward(self, inputs: Tensor) -> Tensor:
        logits = self.main(inputs)
        self.embedding = self.auxiliary(inputs)
        return logits


@pytest.mark.parametrize("method", [GuidedGradCam(), DeepLift(Black())])
def test_an_unused_branch_changes_nothing(method: Explainer) -> None:
    model, inputs, targets = WithAuxiliary(), draw(2, 1, 12, 12), torch.tensor([0, 1])
    expected = method(model.main, inputs, targets)
    torch.testing.assert_close(method(model, inputs, targets), expected, rtol=1e-12, atol=1e-14)


class ChannelAttention(nn.Module):
    """Efficient channel attention: a convolution along the channels' means."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        kind = nn.Conv1d if dimensions == 1 else nn.Conv2d
        self.convolution, self.relu = kind(1, 8, 3, padding=1), nn.ReLU()
        self.attention = nn.Conv1d(1, 1, 3, padding=1, bias=False)
        pool = nn.AdaptiveAvgPool1d(4) if dimensions == 1 else nn.AdaptiveAvgPool2d(2)
        self.head = nn.Sequential(pool, nn.Flatten(), nn.Linear(32, 3))
        seeded(self)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.relu(self.convolution(inputs))
        means = hidden.flatten(2).mean(2)
        weights = torch.sigmoid(self.attention(means[:, None]))[:, 0]
        return self.head(hidden * weights.reshape(*weights.shape, *[1] * (hidden.ndim - 2)))


@pytest.mark.parametrize("shape", [(1, 64), (1, 12, 10)])
def test_grad_cam_is_not_taken_along_channels(shape: tuple[int, ...]) -> None:
    model, inputs = ChannelAttention(len(shape) - 1), draw(2, *shape)
    assert last_convolution(model, inputs) is model.convolution
    assert GuidedGradCam()(model, inputs, torch.tensor([0, 1])).shape == inputs.shape


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_deep_lift_is_refused_where_it_misses_the_change_however_large_the_logits_are(offset: float) -> None:
    inputs, targets = draw(2, 1, 12, 12), torch.tensor([0, 1])
    without_rule = Wrapped(Second(nn.ReLU()), before=lambda x: x.sin() * 3.0, after=lambda z: z + offset)
    with pytest.raises(UserError, match="DeepLift accounts for"):
        DeepLift(Black())(without_rule, inputs, targets)
    with_rules = Wrapped(Second(nn.ReLU()), after=lambda z: z + offset)
    expected = DeepLift(Black())(Second(nn.ReLU()), inputs, targets)
    torch.testing.assert_close(DeepLift(Black())(with_rules, inputs, targets), expected)
    single = DeepLift(Black())(with_rules.float(), inputs.float(), targets)
    torch.testing.assert_close(single.double(), expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


def test_occlusion_leaves_no_inference_tensors_in_the_model() -> None:
    model, inputs = CachesAWindow(plain("pixels")), inputs_of("pixels")
    Occlusion(Black())(model, inputs, TARGETS)
    model(inputs.requires_grad_(True)).sum().backward()
    assert inputs.grad is not None
