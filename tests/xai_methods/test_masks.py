"""Methods in masks of a recording: both ends, closed forms, completeness, any clip, and what is refused."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from helpers.tiny_models import Counting, Function, Linear, draw, layers_of, nothing_touched, tiny_waveform_cnn
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from audioxai.baselines import Baseline, Constant, Silence, SpeechShapedNoise
from audioxai.core import Explainer
from audioxai.domains import Mask, MaskValues, Waveform
from audioxai.metrics import SignalNoise
from audioxai.utils import hardware
from audioxai.utils.errors import UserError
from audioxai.xai_methods import METHODS
from audioxai.xai_methods.masks import InMasks, MaskedModel, MaskedSounds, in_masks, methods_in_masks
from audioxai.xai_methods.path_integral import Integrating

CELLS = Mask(2_000, 0.15, bands=5, frames=6, window_s=0.02)
CLIPS = 0.1 * draw(3, 1, 300, seed=5)
TARGETS = torch.tensor([0, 2, 1])
NOISE = SpeechShapedNoise.of(0.1 * draw(6, 1, 300, seed=6), snr_db=10.0, seed=3)
REMOVALS: dict[str, Baseline] = {"silence": Silence(Waveform(2_000, 0.15)), "noise": NOISE}
EITHER = pytest.mark.parametrize("removal", REMOVALS.values(), ids=REMOVALS)
ROWS = torch.arange(3)


def sounds_of(removal: Baseline) -> MaskedSounds:
    return MaskedSounds.of(CELLS, CLIPS, removal(CLIPS))


# --- Sounds between removal and recording ----------------------------------------------------------------------------


@EITHER
def test_all_of_a_mask_is_the_recording_and_nothing_the_removal(removal: Baseline) -> None:
    sounds = sounds_of(removal)
    whole = torch.ones(3, 1, *CELLS.shape, dtype=torch.float64)
    torch.testing.assert_close(sounds(whole, ROWS), CLIPS, rtol=0, atol=1e-14)
    assert torch.equal(sounds(0.0 * whole, ROWS), removal(CLIPS))
    torch.testing.assert_close(sounds(0.3 * whole, ROWS), 0.3 * CLIPS + 0.7 * removal(CLIPS), rtol=0, atol=1e-14)


@EITHER
def test_sounds_add_up_over_cells(removal: Baseline) -> None:
    sounds, masks = sounds_of(removal), draw(3, 1, *CELLS.shape, seed=2)
    added = removal(CLIPS)
    for cell in range(masks[0].numel()):
        one = torch.zeros_like(masks).flatten(1)
        one[:, cell] = masks.flatten(1)[:, cell]
        added = added + sounds(one.reshape_as(masks), ROWS) - removal(CLIPS)
    torch.testing.assert_close(sounds(masks, ROWS), added, rtol=0, atol=1e-13)


@given(
    rate_hz=st.sampled_from([500, 2_000, 8_000, 16_000, 22_050, 44_100, 48_000]),
    duration_s=st.floats(0.03, 3.0),
    scale=st.sampled_from(["mel", "erb"]),
)
@settings(deadline=None, max_examples=40)
def test_any_rate_and_length(rate_hz: int, duration_s: float, scale: Any) -> None:
    domain = Mask.of(rate_hz, duration_s, scale=scale)
    clip = draw(1, 1, domain.samples)
    sounds = MaskedSounds.of(domain, clip, torch.zeros_like(clip))
    mask = MaskValues(domain).analysis(clip).requires_grad_(True)
    torch.testing.assert_close(sounds(mask, torch.tensor([0])), clip, rtol=0, atol=1e-12)
    # Every cell can be heard.
    (gradient,) = torch.autograd.grad((sounds(mask, torch.tensor([0])) * draw(*clip.shape, seed=1)).sum(), mask)
    assert bool((gradient != 0).all())
    assert bool((domain.analysis(0.0 * clip) == domain.floor_db).all())


# --- Explainers ------------------------------------------------------------------------------------------------------


def slow_shares(row: int, weights: Tensor, removed: Tensor) -> Tensor:
    """⟨weights, S(cell ⊙ Z(x − r))⟩ of every cell, by a loop: what a linear model makes of it."""
    shares = torch.zeros(CELLS.shape, dtype=torch.float64)
    sounds = MaskedSounds.of(CELLS, CLIPS[[row]], removed)
    for band in range(CELLS.bands):
        for frame in range(CELLS.frames):
            mask = torch.zeros(1, 1, *CELLS.shape, dtype=torch.float64)
            mask[0, 0, band, frame] = 1.0
            shares[band, frame] = float(((sounds(mask, torch.tensor([0])) - removed) * weights).sum())
    return shares


@EITHER
@pytest.mark.parametrize("method", ["silence", "input_x_gradient", "integrated_gradients", "grad_x_level", "deep_lift"])
def test_closed_form_of_a_linear_model(method: str, removal: Baseline) -> None:
    model = Linear(3, 1, 300)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(300, 3).double())
    with torch.no_grad():
        layers_of(linear)[1].weight.copy_(model.weights.flatten(1))
    explainer = in_masks(method, CELLS, gradients=3, removal=removal)
    attributions = explainer(linear, CLIPS, TARGETS)
    for row, target in enumerate(TARGETS.tolist()):
        expected = slow_shares(row, model.weights.detach()[target], removal(CLIPS)[[row]])
        torch.testing.assert_close(attributions[row, 0], expected, rtol=1e-9, atol=1e-12)


@EITHER
def test_attributions_add_up_to_the_change_from_the_removal(removal: Baseline) -> None:
    model = tiny_waveform_cnn()
    explainer = in_masks("silence", CELLS, gradients=2_000, removal=removal)
    assert isinstance(explainer, Integrating)
    integral = explainer.attribute(model, CLIPS, TARGETS)
    change = (model(CLIPS) - model(removal(CLIPS))).gather(1, TARGETS[:, None])[:, 0].detach()
    torch.testing.assert_close(integral.change, change, rtol=1e-12, atol=1e-12)
    assert float(integral.gap.max()) < 1e-3
    assert integral.gradients.tolist() == [2_000] * 3


def test_loudness_and_edges_read_the_levels_of_the_cells() -> None:
    levels = CELLS.analysis(CLIPS)
    model = tiny_waveform_cnn()
    torch.testing.assert_close(in_masks("energy", CELLS)(model, CLIPS, TARGETS), levels + 80.0)
    assert torch.equal(
        in_masks("edges", CELLS)(model, CLIPS, TARGETS), METHODS.bind("edges", {})(model, levels, TARGETS)
    )
    assert in_masks("energy", CELLS).passes(CLIPS) == 0


def test_an_explainer_of_ones_own_and_a_scale_of_ones_own() -> None:
    domain = replace(CELLS, scale="erb")
    explainer = in_masks(METHODS.bind("silence", {"domain": MaskValues(domain)}), domain, removal=Constant(0.0))
    assert isinstance(explainer, InMasks)
    assert explainer(tiny_waveform_cnn(), CLIPS, TARGETS).shape == (3, 1, 5, 6)


def test_single_precision_stays() -> None:
    model, clips = tiny_waveform_cnn(dtype=torch.float32), CLIPS.float()
    for method in ("ordered", "silence", "occlusion", "energy"):
        attributions = in_masks(method, CELLS, gradients=8, references=clips)(model, clips, TARGETS)
        assert attributions.dtype == torch.float32


class Sizes(nn.Module):
    """Remembers how many inputs each call had."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.seen: list[int] = []

    def forward(self, inputs: Tensor) -> Tensor:
        self.seen.append(len(inputs))
        return self.inner(inputs)


def test_calls_are_as_large_as_their_sounds_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    # Cells are few and samples many: 5 sounds fill a call.
    monkeypatch.setattr(hardware, "CELLS_PER_CALL_CPU", 5 * 300)
    for method in ("silence", "ordered"):
        model = Sizes(tiny_waveform_cnn())
        in_masks(method, CELLS, gradients=32, references=CLIPS)(model, CLIPS, TARGETS)
        assert max(model.seen) == 5


def test_metrics_of_a_clip_take_the_model_of_its_masks() -> None:
    from audioxai.metrics import METRICS

    model = MaskedModel(tiny_waveform_cnn(), MaskedSounds.of(CELLS, CLIPS[:1], REMOVALS["silence"](CLIPS[:1])))
    values = MaskValues(CELLS)
    context = {"baseline": Silence(values), "noise": SignalNoise(silence_value=0.0), "class_count": 3, "seed": 0}
    attributions = in_masks("silence", CELLS)(tiny_waveform_cnn(), CLIPS[:1], TARGETS[:1])
    for name in ("deletion", "insertion", "sparseness"):
        score = METRICS.bind(name, context)(model, model.inputs, TARGETS[:1], attributions)
        assert bool(score.isfinite().all())


# --- Refusals --------------------------------------------------------------------------------------------------------


def cut() -> nn.Module:
    inner = tiny_waveform_cnn()
    return Function(lambda waveforms: inner(waveforms).detach())


@pytest.mark.parametrize("method", ["ordered", "silence", "saliency", "smooth_grad", "deep_lift"])
def test_models_whose_gradient_does_not_reach_the_waveform_are_refused(method: str) -> None:
    model = cut()
    with nothing_touched(model, CLIPS, TARGETS), pytest.raises(UserError, match="no gradient at its input"):
        in_masks(method, CELLS, gradients=8, references=CLIPS)(model, CLIPS, TARGETS)


def test_methods_without_gradients_explain_them() -> None:
    explainer = in_masks("occlusion", CELLS)
    torch.testing.assert_close(explainer(cut(), CLIPS, TARGETS), explainer(tiny_waveform_cnn(), CLIPS, TARGETS))


def test_passes_are_those_of_every_clip() -> None:
    model = Counting(tiny_waveform_cnn())
    explainer = in_masks("occlusion", CELLS)
    explainer(model, CLIPS, TARGETS)
    assert model.counter.count == explainer.passes(CLIPS) == 3 * (5 * 6 + 1)


@pytest.mark.parametrize("method", ["median", "expected", "dual", "pullback", "blur"])
def test_methods_that_have_no_meaning_in_masks_are_refused(method: str) -> None:
    assert method not in methods_in_masks()
    with pytest.raises(UserError, match=f"method {method} cannot explain masks; choose among .*saliency, "):
        in_masks(method, CELLS)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: in_masks("silense", CELLS), "did you mean 'silence'"),
        (lambda: in_masks("ordered", CELLS), "ordered has removals of its own.*give references"),
        (lambda: in_masks("ordered", CELLS, references=CLIPS, removal=NOISE), "and no removal"),
        (
            lambda: in_masks("silence", CELLS)(tiny_waveform_cnn(), CLIPS[..., 1:], TARGETS),
            "domain takes .batch, 1, 300",
        ),
        (
            lambda: in_masks("silence", CELLS)(tiny_waveform_cnn(), CLIPS, TARGETS[:2]),
            "one int64 class index per sample",
        ),
        (lambda: in_masks("silence", CELLS)(tiny_waveform_cnn(), CLIPS.half(), TARGETS), "float16"),
        (lambda: Mask.of(8_000, 1.0, bands=200), "of 200 bands contain no bin"),
        (lambda: Mask.of(8_000, 1.0, frames=500), "of 500 frames contain no bin"),
        (lambda: Mask.of(8_000, 1.0, bands=1), "at least 2 of each"),
        (lambda: Mask.of(8_000, 1.0, scale="bark"), "choose mel or erb"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(call: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        call()
    assert "\n" not in str(refused.value)


def test_the_whole_is_an_explainer() -> None:
    assert all(isinstance(in_masks(name, CELLS, references=CLIPS), Explainer) for name in methods_in_masks())
