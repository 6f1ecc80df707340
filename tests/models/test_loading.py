"""Any classifier of sounds as it is given: found out by a trial, or refused in one sentence."""

import copy
from collections import namedtuple
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from helpers.tiny_models import Function, draw, nothing_touched, seeded
from torch import Tensor, nn
from torch.nn import functional

import audioxai as ax
from audioxai.core import activation_of
from audioxai.domains import LogMel
from audioxai.models import build
from audioxai.models.adapted import Adaptation, Adapted
from audioxai.models.front_end import Classifier, LogitsOfProbabilities
from audioxai.models.layouts import FLAT, Layout, declared, of_modules
from audioxai.models.loading import trial_clip
from audioxai.models.trials import Candidate, Trial
from audioxai.utils.errors import UserError

RATE_HZ = 4_000
WEIGHTS = draw(3, 8, dtype=torch.float32)
CLIPS = 0.3 * draw(3, 1, RATE_HZ, dtype=torch.float32)


def logits_of(waveforms: Tensor) -> Tensor:
    """Scores ``(batch, 3)`` of the loudness of eight parts of waveforms ``(batch, time)`` of any length."""
    return functional.adaptive_avg_pool1d(waveforms.square()[:, None], 8)[:, 0] @ (10.0 * WEIGHTS.T)


def frames_of(waveforms: Tensor) -> Tensor:
    """Scores ``(batch, frames, 3)`` of waveforms ``(batch, time)``: frames of 400 samples."""
    levels = waveforms.unfold(1, 400, 400).square().unflatten(2, (8, 50)).mean(3)
    return levels @ (10.0 * WEIGHTS.T)


def load(model: Any, **options: Any) -> ax.Model:
    return ax.load_model(model, **{"sample_rate": RATE_HZ, **options})


class Takes(nn.Module):
    """Takes waveforms of some number of axes and channels only, as most networks do."""

    def __init__(self, axes: int, channels: int = 1, then: Callable[[Tensor], Any] = logits_of) -> None:
        super().__init__()
        self.axes, self.channels, self.then = axes, channels, then

    def forward(self, waveforms: Tensor) -> Any:
        if waveforms.ndim != self.axes or (self.axes == 3 and waveforms.shape[1] != self.channels):
            raise RuntimeError(f"expected {self.axes} axes and {self.channels} channels, got {tuple(waveforms.shape)}")
        single = waveforms if self.axes == 2 else waveforms[None] if self.axes == 1 else waveforms.mean(1)
        scores = self.then(single)
        return scores[0] if self.axes == 1 else scores


# --- Layouts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "layout"),
    [
        (Takes(2), "(batch, time)"),
        (Takes(3, 2), "(batch, 2, time)"),
        (Takes(1), "(time,)"),
        (nn.Sequential(nn.Conv1d(4, 3, 9), nn.AdaptiveAvgPool1d(1), nn.Flatten()), "(batch, 4, time)"),
    ],
)
def test_the_layout_is_found_and_said(model: nn.Module, layout: str) -> None:
    seeded(model, dtype=torch.float32)
    found = load(model)
    assert f"waveforms are given as {layout}" in found.notes
    assert found.gradient
    logits = found.module(CLIPS)
    if isinstance(model, Takes):
        torch.testing.assert_close(logits, logits_of(CLIPS[:, 0]))
    else:
        torch.testing.assert_close(logits, model(CLIPS.expand(-1, 4, -1)))


def test_the_first_layout_that_fits_is_taken_and_the_module_stays_as_it_is() -> None:
    anything = nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(8), nn.Linear(8, 3))
    found = load(anything)
    assert found.module is anything
    assert found.notes == ()
    assert (found.activation, found.gradient, found.name, len(found.revision)) == ("softmax", True, "Sequential", 12)
    assert load(copy.deepcopy(anything)).revision == found.revision


def test_a_model_of_single_clips_is_called_clip_by_clip() -> None:
    def only_one(waveforms: Tensor) -> Tensor:
        if len(waveforms) != 1:
            raise ValueError("one at a time")
        return logits_of(waveforms[:, 0])

    found = load(Function(only_one))
    assert "clips go through the model one by one" in found.notes
    torch.testing.assert_close(found.module(CLIPS), logits_of(CLIPS[:, 0]))


def test_scores_without_the_axis_of_the_batch_are_those_of_one_clip() -> None:
    found = load(Takes(2, then=lambda waveforms: logits_of(waveforms).squeeze()))
    torch.testing.assert_close(found.module(CLIPS), logits_of(CLIPS[:, 0]))
    torch.testing.assert_close(found.module(CLIPS[:1]), logits_of(CLIPS[:1, 0]))


def test_what_files_say_of_their_input() -> None:
    assert declared([15_600]) == ((Layout(("time",)),), 15_600, None)
    assert declared(["batch", 400]) == ((Layout(("batch", "time")),), 400, None)
    assert declared([1, None]) == ((Layout(("batch", "time")),), None, 1)
    assert declared([None, 43_844, 1]) == ((Layout(("batch", "time", "channels")),), 43_844, None)
    assert declared([1, 2, -1]) == ((Layout(("batch", "channels", "time"), 2),), None, 1)
    for shape in ([1, 1, 128, 100], [1, 128, 100], []):
        with pytest.raises(UserError, match="none of waveforms"):
            declared(shape)


# --- Outputs ---------------------------------------------------------------------------------------------------------

Pair = namedtuple("Pair", ["scores", "hidden"])
CONTAINERS: dict[str, Callable[[Tensor], Any]] = {
    "mapping of one": lambda z: {"scores": z},
    "mapping with logits": lambda z: {"embedding": z.repeat(1, 4), "logits": z, "loss": None},
    "object": lambda z: SimpleNamespace(logits=z, hidden=z + 1.0),
    "object of another name": lambda z: SimpleNamespace(scores=z, count=3),
    "tuple of one": lambda z: (z,),
    "list": lambda z: [z, None],
    "named tuple": lambda z: Pair(z, (z, z)),
    "scores and a state": lambda z: (z, torch.zeros(2, len(z), 8)),
    "scores and features": lambda z: (z[:, :, None, None].expand(-1, -1, 2, 2), z),
    "scores and whole numbers": lambda z: (z, z.argmax(1)),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_scores_are_found_in_what_is_returned(container: str) -> None:
    found = load(Takes(3, then=lambda waveforms: CONTAINERS[container](logits_of(waveforms))))
    torch.testing.assert_close(found.module(CLIPS), logits_of(CLIPS[:, 0]))
    said = any("the scores are output" in note for note in found.notes)
    assert said == ("logits" not in container and container != "object")


def test_several_outputs_are_asked_for_by_name() -> None:
    model = Takes(3, then=lambda w: {"birds": logits_of(w), "calls": -logits_of(w)})
    with pytest.raises(UserError, match="output='birds' or output='calls'"):
        load(model)
    torch.testing.assert_close(load(model, output="calls").module(CLIPS), -logits_of(CLIPS[:, 0]))
    with pytest.raises(UserError, match=r"output is 'call' .*'birds' of shape"):
        load(model, output="call")
    several = Takes(3, then=lambda w: (logits_of(w), logits_of(w).repeat(1, 5)))
    with pytest.raises(UserError, match="output=0 or output=1"):
        load(several)
    torch.testing.assert_close(load(several, output=0).module(CLIPS), logits_of(CLIPS[:, 0]))
    assert load(several, class_names=["a", "b", "c"]).module(CLIPS).shape == (3, 3)


def returning(thing: Any, _: Tensor) -> Any:
    return thing


def test_an_output_without_scores_is_refused() -> None:
    for wrong in ({"ids": torch.zeros(3, dtype=torch.int64)}, "dog", None, (torch.tensor([True]), "dog")):
        with pytest.raises(UserError, match=r"no tensor|shape"):
            load(Takes(3, then=partial(returning, wrong)))


# --- Frames ----------------------------------------------------------------------------------------------------------


def by_class(waveforms: Tensor) -> Tensor:
    return frames_of(waveforms).transpose(1, 2)


@pytest.mark.parametrize("scores", [frames_of, by_class])
@pytest.mark.parametrize("names", [(), ("a", "b", "c")])
@pytest.mark.parametrize("pool", [None, "mean", "max"])
def test_scores_per_frame_are_pooled_over_the_axis_that_is_time(scores: Any, names: Any, pool: Any) -> None:
    found = load(Takes(2, then=scores), class_names=names, pool=pool)
    frames = frames_of(CLIPS[:, 0])
    due = frames.amax(1) if pool == "max" else frames.mean(1)
    torch.testing.assert_close(found.module(CLIPS), due)
    assert f"the logits of all frames are pooled by their {pool or 'mean'}" in found.notes


def test_probabilities_per_frame_become_logits_before_they_are_pooled() -> None:
    sigmoids = load(Takes(2, then=lambda w: frames_of(w).sigmoid()), outputs="sigmoid")
    torch.testing.assert_close(sigmoids.module(CLIPS), frames_of(CLIPS[:, 0]).mean(1), rtol=1e-4, atol=1e-4)
    softmax = load(Takes(2, then=lambda w: frames_of(w).softmax(2)), outputs="softmax")
    due = frames_of(CLIPS[:, 0]).log_softmax(2).mean(1)
    torch.testing.assert_close(softmax.module(CLIPS), due, rtol=1e-4, atol=1e-4)
    with pytest.raises(UserError, match="outputs='softmax'"):
        load(Takes(2, then=lambda w: frames_of(w).softmax(2)))
    with pytest.raises(UserError, match="outputs='sigmoid'"):
        load(Takes(2, then=lambda w: frames_of(w).sigmoid()))


def test_frames_of_one_label_are_recognised_because_they_grow() -> None:
    found = load(Takes(2, then=lambda waveforms: frames_of(waveforms)[:, :, 0]))
    assert found.activation == "sigmoid"
    torch.testing.assert_close(found.module(CLIPS), frames_of(CLIPS[:, 0])[:, :, :1].mean(1))


def test_axes_of_which_either_may_be_frames_are_asked_for() -> None:
    fixed = Takes(2, then=lambda waveforms: frames_of(waveforms[:, :4_000]))
    with pytest.raises(UserError, match="frame_axis=1 or frame_axis=2, or class_names"):
        load(fixed, duration_s=1.0)
    torch.testing.assert_close(load(fixed, duration_s=1.0, frame_axis=1).module(CLIPS), frames_of(CLIPS[:, 0]).mean(1))
    with pytest.raises(UserError, match="frame_axis is 3"):
        load(fixed, duration_s=1.0, frame_axis=3)


def test_sound_is_no_score() -> None:
    with pytest.raises(UserError, match="which is sound"):
        load(nn.Identity())


# --- What scores are -------------------------------------------------------------------------------------------------


def test_what_was_said_of_the_outputs_is_checked() -> None:
    with pytest.raises(UserError, match="give outputs='logits'"):
        load(Takes(3), outputs="sigmoid")
    with pytest.raises(UserError, match=r"do not add up to 1.*outputs='sigmoid'"):
        load(Takes(3, then=lambda w: logits_of(w).sigmoid()), outputs="softmax")
    within = Takes(3, then=lambda w: 0.5 + 0.1 * torch.tanh(logits_of(w)))
    assert load(within).activation == "softmax"


def test_labels_say_so_by_outputs_activation_or_an_attribute() -> None:
    own = Takes(3)
    vars(own)["activation"] = "sigmoid"
    for found in (
        load(Takes(3), activation="sigmoid"),
        load(Takes(3, then=lambda w: logits_of(w).sigmoid()), outputs="sigmoid"),
        load(own),
        load(Takes(3, then=lambda w: logits_of(w)[:, :1])),
    ):
        assert found.activation == "sigmoid"
        assert activation_of(found.module) == "sigmoid"
    assert load(own).module is own
    assert load(Takes(3)).activation == activation_of(load(Takes(3)).module) == "softmax"


def test_our_classifiers_may_have_labels() -> None:
    domain = LogMel(8_000, 1.0, bands=32, frames=32)
    classifier = build("small_cnn", domain, 3, 0)
    plain = ax.load_model(classifier)
    assert (plain.module, plain.activation, plain.gradient) == (classifier, "softmax", True)
    labels = ax.load_model(classifier, activation="sigmoid")
    assert isinstance(labels.module, Classifier)
    assert labels.module.domain == domain
    assert {labels.activation, activation_of(labels.module), activation_of(labels.module.body)} == {"sigmoid"}
    clips = 0.3 * draw(2, 1, 8_000, dtype=torch.float32)
    torch.testing.assert_close(labels.module(clips), classifier(clips))
    probabilities = Classifier(domain, nn.Sequential(classifier.body, nn.Sigmoid())).eval()
    stated = ax.load_model(probabilities, outputs="sigmoid")
    torch.testing.assert_close(stated.module(clips), classifier(clips), rtol=1e-4, atol=1e-4)
    assert isinstance(stated.module.body, LogitsOfProbabilities)


def test_names_have_to_be_as_many_as_scores() -> None:
    with pytest.raises(UserError, match="2 class names but the model returns 3 scores"):
        load(Takes(3), class_names=["a", "b"])


# --- Plain functions -------------------------------------------------------------------------------------------------


def of_arrays(waveforms: Any) -> Any:
    assert isinstance(waveforms, np.ndarray)
    return logits_of(torch.from_numpy(waveforms)).numpy()


def of_one_array(waveform: Any) -> Any:
    return [float(one) for one in logits_of(torch.from_numpy(waveform)[None])[0]]


def of_tensors(waveforms: Any) -> Tensor:
    if not isinstance(waveforms, Tensor):
        raise TypeError("tensors only")
    return logits_of(waveforms)


@pytest.mark.parametrize("function", [of_arrays, of_one_array, of_tensors])
def test_functions_are_black_boxes(function: Callable[[Any], Any]) -> None:
    found = load(function, class_names=["a", "b", "c"])
    torch.testing.assert_close(found.module(CLIPS), logits_of(CLIPS[:, 0]))
    assert (found.gradient, found.name) == (False, function.__name__)
    assert "no gradient passes" in found.gradient_refused
    made = ax.explain(CLIPS[0], found, sample_rate=RATE_HZ, method="random")
    assert made.label in ("a", "b", "c")


def test_what_functions_return_is_asked_for_where_nothing_tells() -> None:
    with pytest.raises(UserError, match=r"outputs='sigmoid'\), or outputs='logits'"):
        load(lambda w: torch.sigmoid(logits_of(torch.from_numpy(w))).numpy())
    with pytest.raises(UserError, match="outputs='softmax'"):
        load(lambda w: torch.softmax(logits_of(torch.from_numpy(w)), 1).numpy())
    assert load(lambda w: torch.sigmoid(logits_of(torch.from_numpy(w))), outputs="logits").activation == "softmax"


def test_a_class_is_no_function() -> None:
    with pytest.raises(UserError, match="class Takes; give an object"):
        load(Takes)


@pytest.mark.parametrize("thing", [3, None, CLIPS])
def test_what_is_no_model_is_refused(thing: Any) -> None:
    with pytest.raises(UserError, match="model is of type"):
        load(thing)


# --- Gradients -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        (lambda w: logits_of(w.detach()), "no gradient at its input"),
        (lambda w: torch.from_numpy(logits_of(w).detach().numpy()), "no gradient at its input"),
        (lambda w: (20.0 * logits_of(w)).round(), "is zero at the clip"),
        (lambda w: logits_of(w) + (w - w).abs().pow(0.3).sum(1, keepdim=True), "NaN or infinity"),
    ],
)
def test_why_no_gradient_reaches_the_waveform(scores: Any, reason: str) -> None:
    found = load(Takes(3, then=scores))
    assert not found.gradient
    assert reason in found.gradient_refused
    assert not found.gradient_refused.endswith(".")


def test_recurrent_models_have_a_gradient() -> None:
    class Recurrent(nn.Module):
        def __init__(self, kind: type[nn.LSTM] | type[nn.GRU]) -> None:
            super().__init__()
            self.layer, self.head = kind(40, 8, batch_first=True), nn.Linear(8, 3)

        def forward(self, waveforms: Tensor) -> Tensor:
            return self.head(self.layer(waveforms[:, 0].unfold(1, 40, 40))[0][:, -1])

    for kind in (nn.LSTM, nn.GRU):
        model = seeded(Recurrent(kind), dtype=torch.float32)
        assert load(model).gradient
        assert load(model).module is model


def test_a_model_that_is_not_defined_in_silence_gets_noise_that_nobody_hears() -> None:
    def magnitudes(waveforms: Tensor) -> Tensor:
        spectrum = torch.stft(waveforms, 64, 32, window=torch.hann_window(64), return_complex=True)
        level = (spectrum.real.square() + spectrum.imag.square()).sqrt().mean(2)
        return level[:, :8] @ WEIGHTS.T

    def normalised(waveforms: Tensor) -> Tensor:
        return logits_of(waveforms / waveforms.std(1, keepdim=True))

    for scores in (magnitudes, normalised):
        found = load(Takes(2, then=scores))
        assert any("−120 dB" in note for note in found.notes)
        silence = torch.zeros(1, 1, RATE_HZ, requires_grad=True)
        logits = found.module(silence.clone())
        (gradient,) = torch.autograd.grad(logits.sum(), silence)
        assert bool(logits.isfinite().all())
        assert bool(gradient.isfinite().all())
        torch.testing.assert_close(found.module(CLIPS), scores(CLIPS[:, 0]), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(found.module(CLIPS), found.module(CLIPS), rtol=0.0, atol=0.0)


# --- What makes a model unfit ----------------------------------------------------------------------------------------


class Draws(nn.Module):
    def forward(self, waveforms: Tensor) -> Tensor:
        return logits_of(waveforms[:, 0]) + torch.randn(len(waveforms), 3)


class Remembers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.state = torch.zeros(3)

    def forward(self, waveforms: Tensor) -> Tensor:
        scores = logits_of(waveforms[:, 0]) + self.state
        self.state = self.state + scores[-1].detach()
        return scores


class Forgets(Remembers):
    def reset_states(self) -> None:
        self.state = torch.zeros(3)


def loud_only(waveforms: Tensor) -> Tensor:
    return logits_of(waveforms).where(waveforms.abs().amax(1, keepdim=True) > 0.4, torch.nan)


REFUSED: dict[str, tuple[Any, str]] = {
    "the same whatever the sound": (
        Takes(3, then=lambda w: torch.ones(len(w), 3)),
        "the same scores for two different clips",
    ),
    "only the length matters": (
        Takes(3, then=lambda w: w.new_full((len(w), 3), w.shape[1])),
        "say nothing of the sound",
    ),
    "NaN": (Takes(3, then=lambda w: logits_of(w) * torch.nan), "NaN or infinite scores for a clip"),
    "NaN in noise": (Takes(3, then=loud_only), "NaN or infinite scores"),
    "random": (Draws(), "when the same clip comes again"),
    "a state": (Remembers(), "when the same clip comes again"),
    "four axes": (Takes(3, then=lambda w: logits_of(w)[:, :, None, None]), "none of the layouts"),
    "no layout": (nn.Linear(7, 3), "none of the layouts (batch, 1, time), (batch, time), (batch, 2, time), (time,)"),
    "half precision": (seeded(nn.Linear(4_000, 3)).half(), "half precision"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_models_that_cannot_be_explained_are_refused_in_one_sentence(case: str) -> None:
    model, words = REFUSED[case]
    with pytest.raises(UserError) as caught:
        load(model, duration_s=1.0)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_state_that_can_be_reset_is_reset_before_every_call() -> None:
    found = load(Forgets())
    assert "the model's state is reset before every call" in found.notes
    first = found.module(CLIPS)
    torch.testing.assert_close(found.module(CLIPS), first, rtol=0.0, atol=0.0)


def test_clips_that_depend_on_their_company_go_alone() -> None:
    def by_batch(waveforms: Tensor) -> Tensor:
        scores = logits_of(waveforms)
        return scores - scores.mean(0, keepdim=True) + logits_of(waveforms[:, : RATE_HZ // 2])

    def in_turn(waveforms: Tensor) -> Tensor:
        return logits_of(waveforms).cumsum(0)

    for scores in (by_batch, in_turn):
        found = load(Takes(2, then=scores))
        assert "clips go through the model one by one" in found.notes
        together, alone = found.module(CLIPS), [found.module(CLIPS[row : row + 1]) for row in range(3)]
        torch.testing.assert_close(together, torch.cat(alone), rtol=0.0, atol=0.0)


def test_double_precision_is_given_double_precision() -> None:
    model = seeded(nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(8), nn.Linear(8, 3)))
    found = load(model)
    logits = found.module(CLIPS)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, model(CLIPS.double()).float())


def test_a_sample_rate_that_forward_asks_for_is_given() -> None:
    class Asks(nn.Module):
        def forward(self, waveforms: Tensor, sampling_rate: int) -> Tensor:
            return logits_of(waveforms[:, 0]) * (sampling_rate / RATE_HZ)

    found = load(Asks())
    torch.testing.assert_close(found.module(CLIPS), logits_of(CLIPS[:, 0]))
    assert "given to every call: sampling_rate=4000" in found.notes
    with pytest.raises(UserError, match="takes the sample rate as its input 'sampling_rate'"):
        ax.load_model(Asks())


def test_the_trial_leaves_the_model_and_the_random_state_as_they_were() -> None:
    model = seeded(nn.Sequential(nn.Conv1d(1, 3, 9), nn.BatchNorm1d(3), nn.AdaptiveAvgPool1d(1), nn.Flatten()))
    model.float().train()
    with nothing_touched(model, CLIPS):
        load(model)
    assert model.training


# --- A length that is not known --------------------------------------------------------------------------------------


def test_a_model_of_one_length_is_tried_on_the_clip_that_it_is_to_explain() -> None:
    model = seeded(nn.Sequential(nn.Flatten(), nn.Linear(1_000, 3)), dtype=torch.float32)
    untried = load(model)
    assert untried.trial is not None
    clip = CLIPS[:1, :, :1_000]
    found = untried.fitted(clip)
    assert (found.trial, found.module, found.gradient) == (None, model, True)
    assert found.fitted(clip) is found
    made = ax.explain(clip[0], untried, sample_rate=RATE_HZ, method="saliency")
    assert bool(made.attributions.any())
    assert made.waveform.shape == clip.shape
    with pytest.raises(UserError, match="none of the layouts"):
        ax.explain(CLIPS[0], untried, sample_rate=RATE_HZ, method="saliency")
    with pytest.raises(UserError, match="none of the layouts"):
        load(model, duration_s=1.0)
    flat = load(Takes(2, then=lambda w: logits_of(w.reshape(len(w), 1_000)))).fitted(clip)
    assert isinstance(flat.module, Adapted)


@pytest.mark.parametrize("seconds", [0.5, 1.0, 2.0])
def test_a_trial_finds_the_same_whatever_the_length_of_its_clip(seconds: float) -> None:
    clip = trial_clip(RATE_HZ, seconds)
    assert clip.shape == (1, 1, round(seconds * RATE_HZ))
    assert float(clip.abs().max()) < 1.0
    found = Trial([Candidate(Takes(2, then=frames_of), layout) for layout in of_modules()]).run(clip)
    assert isinstance(found.module, Adapted)
    assert found.module.adaptation == Adaptation(FLAT, frame_axis=1)
    assert (found.activation, found.gradient) == ("softmax", True)


# --- Factories -------------------------------------------------------------------------------------------------------

SOURCE = """
import torch
from torch import nn
import audioxai as ax

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, 3)

    def forward(self, waveforms):
        return self.head(nn.functional.adaptive_avg_pool1d(waveforms, 8))

def scores(waveforms):
    return waveforms.std(1, keepdims=True) * [1.0, 2.0, -3.0]

def made():
    return scores

def whole():
    return ax.load_model(Net(), sample_rate=4_000, class_names=["a", "b", "c"])

def two(waveforms, more):
    return waveforms
"""


def test_factories_may_return_modules_functions_and_models(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(SOURCE, encoding="utf-8")
    net = load(f"{file}:Net")
    assert "waveforms are given as (batch, time)" in net.notes
    assert net.name == f"{file}:Net"
    for name in ("scores", "made"):
        found = load(f"{file}:{name}")
        assert not found.gradient
        expected = CLIPS[:, 0].std(1, keepdim=True, correction=0) * torch.tensor([1.0, 2.0, -3.0])
        torch.testing.assert_close(found.module(CLIPS), expected)
        with pytest.raises(UserError, match="leave weights out"):
            load(f"{file}:{name}", weights="any.safetensors")
    whole = ax.load_model(f"{file}:whole")
    assert (whole.class_names, whole.sample_rate_hz) == (("a", "b", "c"), RATE_HZ)
    with pytest.raises(UserError, match="needs waveforms, more"):
        load(f"{file}:two")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("model.h5", "convert it to ONNX"),
        ("model.keras", "convert it to ONNX"),
        ("model.ckpt", "can run any code"),
        ("model.xyz", "TorchScript (.pt)"),
        ("nowhere.pt", "does not exist"),
        ("nowhere.pt2", "does not exist"),
        ("nowhere.onnx", "does not exist"),
        ("nowhere.tflite", "does not exist"),
    ],
)
def test_files_that_are_none_of_these_are_refused(name: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        load(name)
    assert name in str(caught.value)
    assert words in str(caught.value)
