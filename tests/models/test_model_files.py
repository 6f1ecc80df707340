"""Models in files: TorchScript, programs of torch.export, ONNX, TensorFlow Lite; read, or refused in one sentence."""

import copy
import io
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.model_files import SAMPLES, linear, write_exported, write_onnx, write_tflite, write_torchscript
from helpers.tiny_models import draw, seeded
from torch import Tensor, nn

import audioxai as ax
from audioxai.utils.errors import UserError

RATE_HZ = 4_000
CLIPS = 0.3 * draw(3, 1, SAMPLES, dtype=torch.float32)
TENSOR_KINDS = {"float": 1, "int32": 6, "int64": 7, "float16": 10, "double": 11}


def load(path: Path, **options: Any) -> ax.Model:
    return ax.load_model(path, **{"sample_rate": RATE_HZ, **options})


def network() -> nn.Module:
    layers = (nn.Conv1d(1, 4, 9), nn.BatchNorm1d(4), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3))
    return seeded(nn.Sequential(*layers), dtype=torch.float32)


def refused(path: Path, words: str, **options: Any) -> None:
    with pytest.raises(UserError) as caught:
        load(path, **options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


# --- PyTorch ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".pt", ".ts", ".jit", ".pth", ".torchscript"])
def test_torchscript_has_scores_and_gradients_of_its_module(tmp_path: Path, suffix: str) -> None:
    model = network()
    found = load(write_torchscript(tmp_path / f"net{suffix}", model))
    assert (found.gradient, found.name, len(found.revision)) == (True, f"net{suffix}", 12)
    for waveforms in (CLIPS, CLIPS[:, :, :300]):
        torch.testing.assert_close(found.module(waveforms), model(waveforms))
    one, two = (
        ax.explain(CLIPS[0], known, sample_rate=RATE_HZ, method="saliency", target=1).attributions
        for known in (found, ax.load_model(model, sample_rate=RATE_HZ))
    )
    torch.testing.assert_close(one, two)


@pytest.mark.parametrize("frozen", [True, False])
def test_torchscript_is_in_evaluation_mode(tmp_path: Path, frozen: bool) -> None:
    model = nn.Sequential(network(), nn.Dropout(0.5)).train(not frozen)
    found = load(write_torchscript(tmp_path / "net.pt", model, frozen=frozen))
    torch.testing.assert_close(found.module(CLIPS), model.eval()(CLIPS))


def test_probabilities_in_torchscript_are_asked_for(tmp_path: Path) -> None:
    path = write_torchscript(tmp_path / "net.pt", nn.Sequential(network(), nn.Sigmoid()))
    refused(path, "outputs='sigmoid'")
    found = load(path, outputs="sigmoid")
    torch.testing.assert_close(found.module(CLIPS), network()(CLIPS), rtol=1e-4, atol=1e-4)


def test_torchscript_is_told_its_sample_rate(tmp_path: Path) -> None:
    class Asks(nn.Module):
        def forward(self, waveforms: Tensor, sr: int) -> Tensor:
            return waveforms[:, 0, :3] * (sr / 4_000)

    path = write_torchscript(tmp_path / "net.pt", Asks())
    torch.testing.assert_close(load(path).module(CLIPS), CLIPS[:, 0, :3])
    refused(path, "takes the sample rate as its input 'sr'", sample_rate=None)


@pytest.mark.parametrize("any_batch", [True, False])
def test_programs_state_the_length_and_the_batch_that_they_take(tmp_path: Path, any_batch: bool) -> None:
    model = network()
    example = torch.zeros(2 if any_batch else 1, 1, SAMPLES)
    found = load(write_exported(tmp_path / "net.pt2", model, example, any_batch=any_batch))
    assert (found.duration_s, found.gradient) == (0.1, True)
    torch.testing.assert_close(found.module(CLIPS), model(CLIPS))
    assert ("clips go through the model one by one" in found.notes) == (not any_batch)
    refused(tmp_path / "net.pt2", "takes 400 samples, 0.1 s", duration_s=0.2)


def test_a_program_itself_is_a_model() -> None:
    model = network()
    program = torch.export.export(model, (torch.zeros(1, 1, SAMPLES),))
    found = ax.load_model(program, sample_rate=RATE_HZ)
    torch.testing.assert_close(found.module(CLIPS), model(CLIPS))
    two = torch.export.export(nn.Bilinear(4, 4, 3), (torch.zeros(1, 4), torch.zeros(1, 4)))
    with pytest.raises(UserError, match="export it with one input"):
        ax.load_model(two, sample_rate=RATE_HZ)


def test_a_program_of_several_clips_is_refused(tmp_path: Path) -> None:
    path = write_exported(tmp_path / "net.pt2", network(), torch.zeros(4, 1, SAMPLES), any_batch=False)
    refused(path, "batches of 4 clips only")


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.place,)


def trap(place: Path) -> bytes:
    content = io.BytesIO()
    torch.save(Trap(place), content)
    return content.getvalue()


def with_member(path: Path, ending: str, change: Callable[[bytes], bytes]) -> Path:
    """A copy of an archive in which the members of this ending are changed."""
    changed = path.with_name(f"changed_{path.name}")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, change(content) if name.endswith(ending) else content)
    return changed


def test_nothing_in_a_program_is_unpickled(tmp_path: Path) -> None:
    path = write_exported(tmp_path / "net.pt2", network(), torch.zeros(2, 1, SAMPLES))
    place = tmp_path / "ran"
    refused(with_member(path, "sample_inputs/model.pt", lambda _: trap(place)), "pickled objects")
    pickled = with_member(path, "model_weights_config.json", lambda b: b.replace(b'_pickle": false', b'_pickle": true'))
    refused(pickled, "pickled objects")
    refused(with_member(path, "model_constants_config.json", lambda _: b"{}"), "pickled objects")
    assert not place.exists()
    legacy = tmp_path / "legacy.pt2"
    with zipfile.ZipFile(legacy, "w") as archive:
        archive.writestr("version", "8.9")
        archive.writestr("serialized_state_dict.pt", trap(place))
    refused(legacy, "pickled objects")
    assert not place.exists()


def test_pickles_are_refused_unread(tmp_path: Path) -> None:
    place = tmp_path / "ran"
    for name in ("model.pt", "model.pth"):
        (tmp_path / name).write_bytes(trap(place))
        refused(tmp_path / name, "is a pickle, which can run any code")
    assert not place.exists()


@pytest.mark.parametrize("name", ["a.pt", "a.pt2", "a.onnx", "a.tflite"])
@pytest.mark.parametrize("content", [b"", b"neither of these formats", b"PK\x05\x06" + bytes(18)])
def test_files_of_other_content_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=r"cannot be read as|is a pickle"):
        load(tmp_path / name)


def test_half_precision_is_refused(tmp_path: Path) -> None:
    refused(write_torchscript(tmp_path / "net.pt", network().half()), "half precision")


# --- ONNX ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "layout", "alone"),
    [
        (("batch", SAMPLES), "(batch, time)", False),
        ((1, SAMPLES), "(batch, time)", True),
        (("batch", 1, SAMPLES), "", False),
        ((1, 1, SAMPLES), "", True),
        (("batch", SAMPLES, 1), "(batch, time, 1)", False),
        ((SAMPLES,), "(time,)", False),
    ],
)
def test_onnx_files_state_their_layout_length_and_batch(tmp_path: Path, shape: Any, layout: str, alone: bool) -> None:
    found = load(write_onnx(tmp_path / "net.onnx", shape))
    torch.testing.assert_close(found.module(CLIPS), linear(CLIPS), rtol=1e-4, atol=1e-4)
    assert (found.duration_s, found.gradient, found.name) == (0.1, False, "net.onnx")
    assert [note for note in found.notes if "given as" in note] == [f"waveforms are given as {layout}"] * bool(layout)
    assert ("clips go through the model one by one" in found.notes) == alone


def test_an_onnx_file_of_any_length_is_tried_on_the_first_clip(tmp_path: Path) -> None:
    found = load(write_onnx(tmp_path / "net.onnx", ("batch", "time")), sample_rate=4_100)
    assert found.trial is not None
    assert not found.gradient
    made = ax.explain(CLIPS[0], found, sample_rate=4_100, method="random")
    torch.testing.assert_close(made.logits, linear(CLIPS[:1])[0], rtol=1e-4, atol=1e-4)


def test_a_state_starts_at_zero_in_every_call(tmp_path: Path) -> None:
    found = load(write_onnx(tmp_path / "net.onnx", state=True))
    assert "the state that the model takes as 'state' is zero at the start of every clip" in found.notes
    for _ in range(2):
        torch.testing.assert_close(found.module(CLIPS), linear(CLIPS), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [[], [1], ["batch"]])
@pytest.mark.parametrize("name", ["sr", "sample_rate", "length", "audio_lengths"])
@pytest.mark.parametrize("kind", ["int64", "int32"])
def test_rates_and_lengths_are_given(tmp_path: Path, shape: Any, name: str, kind: str) -> None:
    path = write_onnx(tmp_path / "net.onnx", others=[(name, TENSOR_KINDS[kind], shape)])
    torch.testing.assert_close(load(path).module(CLIPS), linear(CLIPS), rtol=1e-4, atol=1e-4)
    if "len" not in name:
        refused(path, f"takes the sample rate as its input '{name}'", sample_rate=None)


def test_other_precisions_are_cast(tmp_path: Path) -> None:
    half = load(write_onnx(tmp_path / "half.onnx", kind=TENSOR_KINDS["float16"]))
    assert "the model computes in half precision, to about three digits" in half.notes
    torch.testing.assert_close(half.module(CLIPS), linear(CLIPS), rtol=0.05, atol=0.05)
    double = load(write_onnx(tmp_path / "double.onnx", kind=TENSOR_KINDS["double"]))
    torch.testing.assert_close(double.module(CLIPS), linear(CLIPS), rtol=1e-4, atol=1e-4)


def test_outputs_have_names_and_files_may_state_their_rate(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "net.onnx", second_output=True, metadata={"sample_rate": "4000"})
    found = ax.load_model(path)
    assert found.sample_rate_hz == RATE_HZ
    torch.testing.assert_close(found.module(CLIPS), linear(CLIPS), rtol=1e-4, atol=1e-4)
    chosen = ax.load_model(path, output="embedding")
    torch.testing.assert_close(chosen.module(CLIPS), -linear(CLIPS), rtol=1e-4, atol=1e-4)
    with pytest.raises(UserError, match="output is 'class'"):
        ax.load_model(path, output="class")


def test_onnx_inputs_that_nobody_can_fill_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    refused(write_onnx(path, others=[("mode", TENSOR_KINDS["int64"], [])]), "has the input mode of tensor(int64) []")
    both = [("audio", TENSOR_KINDS["float"], ["batch", SAMPLES])]
    refused(write_onnx(path, others=both), "which takes the waveform is not known")
    refused(write_onnx(path, (1, 1, 128, 100)), "(1, 1, 128, 100), which is none of waveforms")
    refused(write_onnx(path, (4, SAMPLES)), "batches of 4 clips only")
    refused(write_onnx(path, kind=TENSOR_KINDS["int64"]), "which takes the waveform is not known")
    refused(write_onnx(path), "sample rate is not known", sample_rate=None)


def test_black_boxes_can_be_copied_and_explained_by_masks(tmp_path: Path) -> None:
    found = load(write_onnx(tmp_path / "net.onnx"))
    twin = copy.deepcopy(found.module)
    torch.testing.assert_close(twin(CLIPS), found.module(CLIPS), rtol=0.0, atol=0.0)
    made = ax.explain(CLIPS[0], found, sample_rate=RATE_HZ, method="occlusion")
    assert bool(made.attributions.any())
    with pytest.raises(UserError, match="gradient"):
        ax.explain(CLIPS[0], found, sample_rate=RATE_HZ, method="saliency")


# --- TensorFlow Lite -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, SAMPLES), (SAMPLES,)])
def test_tflite_files_are_called_clip_by_clip(tmp_path: Path, shape: tuple[int, ...]) -> None:
    found = load(write_tflite(tmp_path / "net.tflite", shape))
    torch.testing.assert_close(found.module(CLIPS), linear(CLIPS), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.module(CLIPS)[1:], found.module(CLIPS[1:]), rtol=0.0, atol=0.0)
    assert (found.duration_s, found.gradient, len(found.revision)) == (0.1, False, 12)


# --- Libraries that are not there ------------------------------------------------------------------------------------


LIBRARIES = [("onnx", "onnxruntime", "onnx"), ("tflite", "ai_edge_litert", "tflite")]


@pytest.mark.parametrize(("suffix", "module", "extra"), LIBRARIES)
def test_missing_libraries_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, module: str, extra: str
) -> None:
    path = (write_onnx if suffix == "onnx" else write_tflite)(tmp_path / f"net.{suffix}")
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, f"{module}.interpreter", None)
    refused(path, f"install audioxai[{extra}]")


def test_loading_a_module_imports_neither_library() -> None:
    program = (
        "import sys, torch, audioxai as ax; layers = torch.nn.Flatten(), torch.nn.Linear(800, 2); "
        "ax.load_model(torch.nn.Sequential(*layers), sample_rate=800); "
        "sys.exit('onnxruntime' in sys.modules or 'ai_edge_litert' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=False).returncode == 0
