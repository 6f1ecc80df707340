"""Explain and evaluate on arrays, files, checkpoints and modules of one's own: values, files, errors, determinism."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from helpers.tiny_models import Function, nothing_touched
from helpers.tiny_studies import model_of
from torch import Tensor, nn

import audioxai as ax
from audioxai.domains import LogMel, Mask, Pixels, Stft, Waveform
from audioxai.experiment.models import ensure_model, weights_path
from audioxai.models import build
from audioxai.utils.errors import UserError
from audioxai.xai_methods import METHODS
from audioxai.xai_methods.masks import methods_in_masks

RATE_HZ = 8_000
DOMAIN = LogMel(RATE_HZ, 0.25, bands=32, frames=24)
NAMES = ("bell", "crow", "rain", "train")


@pytest.fixture(scope="module")
def spectrogram_model() -> ax.Model:
    module = build("small_cnn", DOMAIN, class_count=4, seed=0).eval()
    return ax.load_model(module, class_names=NAMES)


class OfWaveforms(nn.Module):
    """Somebody's own model of waveforms of any length."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Conv1d(1, 6, 64, 16), nn.ReLU(), nn.AdaptiveAvgPool1d(4), nn.Flatten(), nn.Linear(24, classes)
        )

    def forward(self, waveforms: Tensor) -> Tensor:
        return self.layers(waveforms)


@pytest.fixture(scope="module")
def waveform_model() -> ax.Model:
    with torch.random.fork_rng():
        return ax.load_model(OfWaveforms().eval(), sample_rate=RATE_HZ, class_names=NAMES)


def clip(seed: int = 0, samples: int = 2000) -> Tensor:
    return torch.rand(samples, generator=torch.Generator().manual_seed(seed)) - 0.5


@pytest.fixture(scope="module")
def checkpoint(sounds_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of ours of the four sounds."""
    spec, folder = model_of(sounds_folder), tmp_path_factory.mktemp("checkpoints")
    ensure_model(spec, folder, torch.device("cpu"))
    return weights_path(spec, folder)


def test_an_explanation_holds_what_the_model_saw_and_said(spectrogram_model: ax.Model) -> None:
    made = ax.explain(clip(), spectrogram_model, sample_rate=RATE_HZ, domain="model")
    module: Any = spectrogram_model.module
    with torch.inference_mode():
        logits = module(clip()[None, None])[0]
        levels = module.front_end(clip()[None, None])
    torch.testing.assert_close(made.logits, logits)
    torch.testing.assert_close(made.inputs, levels)
    assert made.prediction == made.target == int(logits.argmax())
    assert made.label == NAMES[made.target]
    assert made.score == pytest.approx(float(logits.softmax(0)[made.target]))
    assert made.attributions.shape == made.inputs.shape == (1, 1, 32, 24)
    assert made.domain == DOMAIN
    assert made.method == "ordered"
    torch.testing.assert_close(made.probabilities, logits.softmax(0))
    in_masks = ax.explain(clip(), spectrogram_model, sample_rate=RATE_HZ)
    assert isinstance(in_masks.domain, Mask)
    assert in_masks.attributions.shape == in_masks.inputs.shape == (1, 1, *in_masks.domain.shape)
    torch.testing.assert_close(in_masks.inputs, in_masks.domain.analysis(clip()[None, None]))
    assert not made.attributions.requires_grad
    assert made.label in repr(made)


def test_a_named_target_is_explained(spectrogram_model: ax.Model) -> None:
    by_name = ax.explain(clip(), spectrogram_model, sample_rate=RATE_HZ, target="crow", method="saliency")
    by_index = ax.explain(clip(), spectrogram_model, sample_rate=RATE_HZ, target=1, method="saliency")
    assert by_name.target == by_index.target == 1
    assert by_name.label == "crow"
    torch.testing.assert_close(by_name.attributions, by_index.attributions, rtol=0, atol=0)
    other = ax.explain(clip(), spectrogram_model, sample_rate=RATE_HZ, target=2, method="saliency")
    assert not torch.equal(other.attributions, by_name.attributions)


def test_attributions_are_those_of_the_method_itself(spectrogram_model: ax.Model) -> None:
    made = ax.explain(clip(), spectrogram_model, sample_rate=RATE_HZ, method="saliency", target=3, domain="model")
    module: Any = spectrogram_model.module
    own = METHODS["saliency"].bind({})
    with torch.inference_mode():
        levels = module.front_end(clip()[None, None]).clone()
    torch.testing.assert_close(made.attributions, own(module.body, levels.clone(), torch.tensor([3])))
    assert made.change is None
    assert made.completeness_gap is None


def test_completeness_is_measured_where_it_is_claimed(spectrogram_model: ax.Model) -> None:
    gaps = [
        ax.explain(clip(), spectrogram_model, sample_rate=RATE_HZ, method="silence", budget=budget, domain="model")
        for budget in (8, 128)
    ]
    few, many = (made.completeness_gap for made in gaps)
    assert few is not None
    assert many is not None
    assert 0 <= many < 0.1
    made = gaps[1]
    module: Any = spectrogram_model.module
    silence = torch.full_like(made.inputs, DOMAIN.silence_value)
    with torch.inference_mode():
        change = (module.body(made.inputs) - module.body(silence))[0, made.target]
    assert made.change == pytest.approx(float(change), rel=1e-4)


@pytest.mark.parametrize("method", [name for name, entry in METHODS.items() if not entry.domains])
def test_every_method_of_all_inputs_explains_both_kinds_of_models(
    method: str, spectrogram_model: ax.Model, waveform_model: ax.Model
) -> None:
    def made(model: ax.Model, domain: Literal["model", "waveform"]) -> ax.Explanation:
        return ax.explain(
            clip(), model, sample_rate=RATE_HZ, method=method, budget=8, domain=domain, trust=domain == "model"
        )

    in_spectrogram = made(spectrogram_model, "model")
    assert in_spectrogram.attributions.shape == (1, 1, 32, 24)
    assert bool(in_spectrogram.attributions.isfinite().all())
    assert in_spectrogram.trust is not None
    if method not in ("guided_grad_cam", "edges", "blur"):
        in_samples = made(waveform_model, "waveform")
        assert in_samples.attributions.shape == (1, 1, 2000)
        assert in_samples.domain == Waveform(RATE_HZ, 0.25)


@pytest.mark.parametrize("method", methods_in_masks())
def test_every_method_that_can_be_explains_every_model_in_masks(
    method: str, spectrogram_model: ax.Model, waveform_model: ax.Model
) -> None:
    # DeepLift has no rule for the front end's logarithm; guided Grad-CAM needs a layer of two dimensions.
    refused = {"deep_lift": spectrogram_model, "guided_grad_cam": waveform_model}
    for model in (spectrogram_model, waveform_model):
        if refused.get(method) is model:
            with pytest.raises(UserError):
                ax.explain(clip(), model, sample_rate=RATE_HZ, method=method, domain="mask", trust=False)
            continue
        made = ax.explain(clip(), model, sample_rate=RATE_HZ, method=method, budget=40, domain="mask", trust=False)
        assert made.domain == Mask.of(RATE_HZ, 0.25)
        assert made.attributions.shape == (1, 1, *made.domain.shape)
        assert bool(made.attributions.isfinite().all())


def test_a_waveform_model_is_explained_in_time_and_frequency(waveform_model: ax.Model) -> None:
    made = ax.explain(clip(), waveform_model, sample_rate=RATE_HZ, budget=8)
    assert made.method == "ordered"
    assert isinstance(made.domain, Mask)
    pulled = ax.explain(clip(), waveform_model, sample_rate=RATE_HZ, method="pullback", budget=8)
    assert isinstance(pulled.domain, Stft)
    assert pulled.attributions.shape == pulled.inputs.shape == (1, 1, *pulled.domain.shape)


def test_attributions_in_masks_add_up_to_the_change_from_the_removal(waveform_model: ax.Model) -> None:
    made = ax.explain(clip(), waveform_model, sample_rate=RATE_HZ, method="silence", budget=256, trust=False)
    with torch.inference_mode():
        ends = waveform_model.module(torch.stack([clip()[None], torch.zeros(1, 2000)]))[:, made.target]
    assert made.change == pytest.approx(float(ends[0] - ends[1]), rel=1e-4)
    assert made.completeness_gap is not None
    assert made.completeness_gap < 0.05


def test_trust_is_that_of_the_explanation(spectrogram_model: ax.Model) -> None:
    made = ax.explain(clip(), spectrogram_model, sample_rate=RATE_HZ, budget=8)
    assert made.trust is not None
    assert made.trust.label == made.label
    assert made.trust.probability == pytest.approx(made.score, abs=1e-6)
    assert made.trust.completeness_gap == made.completeness_gap
    assert list(made.trust.scores.index) == ["method", "energy", "random"]
    assert made.trust.verdict in ("rely", "caution", "do not rely")
    assert ax.explain(clip(), spectrogram_model, sample_rate=RATE_HZ, budget=8, trust=False).trust is None


def test_other_classes_stand_beside_the_explained_one(spectrogram_model: ax.Model) -> None:
    made = ax.explain(clip(), spectrogram_model, sample_rate=RATE_HZ, budget=8, compare=2, trust=False)
    order = made.logits.argsort(descending=True).tolist()
    assert [made.target, *(other.target for other in made.alternatives)] == order[:3]
    alone = ax.explain(
        clip(), spectrogram_model, sample_rate=RATE_HZ, budget=8, target=made.alternatives[0].target, trust=False
    )
    torch.testing.assert_close(made.alternatives[0].attributions, alone.attributions, rtol=0, atol=0)
    named = ax.explain(clip(), spectrogram_model, sample_rate=RATE_HZ, budget=8, compare=["crow", 0], trust=False)
    assert [other.target for other in named.alternatives] == [1, 0]


def test_windows_of_a_long_recording_are_clips_cut_by_hand(spectrogram_model: ax.Model) -> None:
    long = clip(samples=9_000)
    made = ax.explain(long, spectrogram_model, sample_rate=RATE_HZ, budget=8, windows=[0.5, 0.1], trust=False)
    assert [one.start_s for one in made.windows] == [0.5, 0.1]
    for one in made.windows:
        first = round(one.start_s * RATE_HZ)
        by_hand = ax.explain(long[first : first + 2_000], spectrogram_model, sample_rate=RATE_HZ, budget=8, trust=False)
        torch.testing.assert_close(one.attributions, by_hand.attributions, rtol=0, atol=0)
        torch.testing.assert_close(one.logits, by_hand.logits, rtol=0, atol=1e-6)
    timeline = made.timeline
    assert timeline is not None
    assert timeline.starts_s.tolist() == [0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875]
    assert timeline.recording_s == 1.125
    with torch.inference_mode():
        for start_s, row in zip(timeline.starts_s.tolist(), timeline.probabilities, strict=True):
            first = round(start_s * RATE_HZ)
            logits = spectrogram_model.module(long[None, None, first : first + 2_000])
            torch.testing.assert_close(row, logits.softmax(1)[0])
    chosen = ax.explain(long, spectrogram_model, sample_rate=RATE_HZ, budget=8, windows=2, target=2, trust=False)
    best = float(timeline.starts_s[timeline.probabilities[:, 2].argmax()])
    assert chosen.start_s == best
    assert abs(chosen.windows[1].start_s - best) >= 0.25
    assert all(one.target == 2 for one in chosen.windows)


def test_kept_and_removed_shares_of_the_sound_add_up(spectrogram_model: ax.Model) -> None:
    made = ax.explain(clip(), spectrogram_model, sample_rate=RATE_HZ, method="energy", trust=False)
    powers = [float(made.kept(share).square().sum()) for share in (0.05, 0.2, 0.5, 1.0)]
    assert powers == sorted(powers)
    torch.testing.assert_close(made.kept(1.0), made.waveform, rtol=0, atol=1e-5)
    torch.testing.assert_close(made.kept(0.2) + made.removed(0.2), made.waveform)


def test_sounds_come_as_tensors_arrays_files_and_channels(spectrogram_model: ax.Model, tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    soundfile.write(path, clip().numpy(), RATE_HZ, subtype="FLOAT")
    sounds: list[Any] = [clip(), clip().numpy(), clip()[None], torch.stack([clip(), clip()]), path, str(path)]
    made = [ax.explain(sound, spectrogram_model, sample_rate=RATE_HZ, method="saliency") for sound in sounds]
    for one in made:
        assert one.waveform.shape == (1, 1, 2000)
        # What is read from a file has lost its offset.
        torch.testing.assert_close(one.attributions, made[0].attributions, rtol=0, atol=1e-4)
    left_and_silence = torch.stack([clip(), torch.zeros(2000)])
    mono = ax.explain(left_and_silence, spectrogram_model, sample_rate=RATE_HZ, method="saliency").waveform
    torch.testing.assert_close(mono[0, 0], clip() / 2)


def test_other_rates_become_the_models_and_short_clips_are_padded_evenly(spectrogram_model: ax.Model) -> None:
    time_s = torch.arange(4000) / 16_000
    tone = 0.5 * torch.sin(2 * torch.pi * 1000 * time_s)
    made = ax.explain(tone, spectrogram_model, sample_rate=16_000, method="saliency")
    assert made.waveform.shape == (1, 1, 2000)
    spectrum = made.waveform[0, 0].double().numpy()
    assert np.abs(np.fft.rfft(spectrum)).argmax() * RATE_HZ / 2000 == 1000
    short = ax.explain(clip(samples=1000), spectrogram_model, sample_rate=RATE_HZ, method="saliency").waveform[0, 0]
    assert not short[:500].any()
    assert not short[1500:].any()
    torch.testing.assert_close(short[500:1500], clip(samples=1000))


def test_our_checkpoint_knows_its_rate_length_and_classes(checkpoint: Path, sounds_folder: Path) -> None:
    model = ax.load_model(checkpoint)
    assert (model.sample_rate_hz, model.duration_s, model.class_names) == (RATE_HZ, 0.25, NAMES)
    made = ax.explain(sounds_folder / "rain" / "00.wav", checkpoint)
    again = ax.explain(sounds_folder / "rain" / "00.wav", model)
    torch.testing.assert_close(made.attributions, again.attributions, rtol=0, atol=0)
    assert made.label in NAMES


def test_a_factory_in_a_file(tmp_path: Path) -> None:
    source = "from torch import nn\n\ndef build():\n    return nn.Sequential(nn.Flatten(), nn.Linear(2000, 3))\n"
    (tmp_path / "mine.py").write_text(source, encoding="utf-8")
    factory = f"{tmp_path / 'mine.py'}:build"
    one, two = (ax.explain(clip(), factory, sample_rate=RATE_HZ, method="saliency").attributions for _ in range(2))
    torch.testing.assert_close(one, two, rtol=0, atol=0)
    model = ax.load_model(factory, sample_rate=RATE_HZ)
    assert model.class_names == ()
    assert model.name_of(2) == "2"


def test_nothing_of_the_model_or_the_random_state_changes(spectrogram_model: ax.Model) -> None:
    sound = clip()
    with nothing_touched(spectrogram_model.module, sound):
        ax.explain(sound, spectrogram_model, sample_rate=RATE_HZ, budget=8)
        ax.evaluate([sound], spectrogram_model, sample_rate=RATE_HZ, budget=8, settings={"runs": 4, "draws": 1})


def test_the_same_seed_gives_the_same_attributions_and_another_seed_others(spectrogram_model: ax.Model) -> None:
    def made(seed: int) -> Tensor:
        return ax.explain(clip(), spectrogram_model, sample_rate=RATE_HZ, method="random", seed=seed).attributions

    assert torch.equal(made(3), made(3))
    assert not torch.equal(made(3), made(4))


def test_an_explanation_is_saved_to_look_at_to_hear_and_to_read(spectrogram_model: ax.Model, tmp_path: Path) -> None:
    made = ax.explain(clip(), spectrogram_model, sample_rate=RATE_HZ, budget=8, target="crow")
    written = made.save(tmp_path / "out")
    assert all(path.is_file() for path in written)
    assert sorted(tmp_path.joinpath("out").iterdir()) == sorted(set(written))
    by_suffix = {path.suffix: path for path in written}
    assert written[0] == tmp_path / "out" / "index.html"
    assert "crow" in written[0].read_text(encoding="utf-8")
    assert by_suffix[".png"].read_bytes().startswith(b"\x89PNG")
    arrays = np.load(by_suffix[".npz"], allow_pickle=False)
    assert np.array_equal(arrays["attributions"], made.attributions[0, 0].numpy())
    assert np.array_equal(arrays["waveform"], made.waveform[0, 0].numpy())
    facts = json.loads(by_suffix[".json"].read_text(encoding="utf-8"))
    assert facts["target"] == "crow"
    assert sum(facts["probabilities"].values()) == pytest.approx(1.0)
    assert facts["method"]["name"] == "ordered"
    assert facts["method"]["revision"] == METHODS["ordered"].revision
    sounds = [path for path in written if path.suffix == ".wav"]
    assert len(sounds) == 3
    for path in sounds:
        samples, rate_hz = soundfile.read(path)
        assert (rate_hz, len(samples)) == (RATE_HZ, 2000)


def test_what_is_kept_and_what_is_removed_are_parts_of_the_clip(spectrogram_model: ax.Model) -> None:
    made = ax.explain(clip(), spectrogram_model, sample_rate=RATE_HZ, method="saliency")
    sounds = made.sounds.sounds
    for part in (sounds.original, sounds.kept, sounds.removed):
        assert part.shape == (1, 1, 2000)
        assert bool(part.isfinite().all())


def test_scores_are_tidy_and_have_a_table_of_means(spectrogram_model: ax.Model) -> None:
    waveforms = torch.stack([clip(seed)[None] for seed in range(3)])
    scores = ax.evaluate(
        waveforms,
        spectrogram_model,
        sample_rate=RATE_HZ,
        methods=("saliency", "random"),
        metrics=("sparseness", "mprt"),
        targets=["crow", 2, 0],
    )
    assert list(scores.rows.columns) == ["sample", "target", "method", "metric", "score", "standard_error"]
    assert len(scores.rows) == 3 * 2 * 2
    assert set(zip(scores.rows["sample"], scores.rows["target"], strict=True)) == {
        ("0", "crow"),
        ("1", "rain"),
        ("2", "bell"),
    }
    means = scores.means()
    assert list(means.index) == ["saliency", "random"]
    assert list(means.columns) == ["sparseness", "mprt"]
    own = scores.rows.query("method == 'saliency' and metric == 'sparseness'")["score"].mean()
    assert means.loc["saliency", "sparseness"] == pytest.approx(own)
    assert means.loc["random", "mprt"] == pytest.approx(1.0)
    assert "saliency" in repr(scores)
    assert "<table" in scores._repr_html_()
    assert f"{own:.3f}" in repr(scores)


@pytest.mark.parametrize("domain", ["mask", "model"])
def test_a_score_is_that_of_the_metric_on_the_attributions_of_explain(domain: str, spectrogram_model: ax.Model) -> None:
    from audioxai.metrics import METRICS

    given: dict[str, Any] = {"sample_rate": RATE_HZ, "domain": domain}
    made = ax.explain(clip(), spectrogram_model, method="saliency", **given)
    scores = ax.evaluate([clip()], spectrogram_model, methods=["saliency"], metrics=["sparseness"], **given)
    module: Any = spectrogram_model.module
    expected = METRICS["sparseness"].bind({})(module.body, made.inputs, torch.tensor([made.target]), made.attributions)
    assert scores.rows["score"].tolist() == pytest.approx(expected.tolist())
    worst = ax.evaluate([clip()], spectrogram_model, methods=["saliency"], metrics=["removal_worst"], **given)
    assert made.trust is not None
    assert float(worst.rows["score"].iloc[0]) == pytest.approx(made.trust.scores["worse"]["method"])


def test_the_defaults_score_a_folder_with_a_checkpoint_the_same_every_time(
    checkpoint: Path, sounds_folder: Path
) -> None:
    folder = sounds_folder / "bell"
    made = [
        ax.evaluate(folder, checkpoint, budget=8, settings={"runs": 4, "draws": 1, "alternatives": 1}) for _ in range(2)
    ]
    pd.testing.assert_frame_equal(made[0].rows, made[1].rows, check_exact=True)
    assert set(made[0].rows["method"]) == {"ordered", "energy", "random"}
    assert made[0].rows["metric"].nunique() == 6
    assert set(made[0].rows["sample"]) == {str(path) for path in folder.iterdir()}


def test_models_of_few_classes_are_scored_by_default() -> None:
    module = build("small_cnn", DOMAIN, class_count=2, seed=0).eval()
    scores = ax.evaluate([clip()], module, sample_rate=RATE_HZ, methods=["saliency"], settings={"runs": 4, "draws": 1})
    assert scores.rows["metric"].nunique() == 6


Call = Callable[[Any, Any], object]
ERRORS: dict[str, tuple[Call, tuple[str, ...]]] = {
    "no rate of the array": (lambda s, _: ax.explain(clip(), s), ("rate", "sample_rate")),
    "three dimensions": (lambda s, _: ax.explain(torch.ones(1, 1, 9), s, sample_rate=RATE_HZ), ("(1, 1, 9)",)),
    "empty": (lambda s, _: ax.explain(torch.ones(0), s, sample_rate=RATE_HZ), ("(0,)",)),
    "whole numbers": (lambda s, _: ax.explain(torch.ones(9).long(), s, sample_rate=RATE_HZ), ("int64",)),
    "NaN": (lambda s, _: ax.explain(clip() * torch.nan, s, sample_rate=RATE_HZ), ("NaN",)),
    "silence": (lambda s, _: ax.explain(torch.zeros(2000), s, sample_rate=RATE_HZ), ("silent",)),
    "too long": (lambda s, _: ax.evaluate([clip(samples=2001)], s, sample_rate=RATE_HZ), ("0.25 s",)),
    "window beyond the end": (
        lambda s, _: ax.explain(clip(samples=4000), s, sample_rate=RATE_HZ, windows=[0.26]),
        ("0.26", "0.25"),
    ),
    "no window": (lambda s, _: ax.explain(clip(samples=4000), s, sample_rate=RATE_HZ, windows=0), ("windows is 0",)),
    "unknown domain": (
        lambda s, _: ax.explain(clip(), s, sample_rate=RATE_HZ, domain=cast(Any, "stft")),
        ("'stft'", "mask"),
    ),
    "no spectrogram": (lambda _, w: ax.explain(clip(), w, sample_rate=RATE_HZ, domain="model"), ("spectrogram",)),
    "compare": (lambda s, _: ax.explain(clip(), s, sample_rate=RATE_HZ, compare=-1), ("compare is -1",)),
    "time first": (lambda s, _: ax.explain(torch.ones(2000, 2), s, sample_rate=RATE_HZ), ("(channels, time)",)),
    "no file": (lambda s, _: ax.explain("nowhere.wav", s), ("nowhere.wav",)),
    "unknown method": (
        lambda s, _: ax.explain(clip(), s, sample_rate=RATE_HZ, method="saliancy"),
        ("'saliancy'", "did you mean 'saliency'"),
    ),
    "method of spectrograms": (
        lambda _, w: ax.explain(clip(), w, sample_rate=RATE_HZ, method="ordered", domain="waveform"),
        ("ordered", "log_mel", "waveforms"),
    ),
    "unknown option": (
        lambda s, _: ax.explain(clip(), s, sample_rate=RATE_HZ, method="occlusion", windw=3),
        ("occlusion", "'windw'"),
    ),
    "unknown class": (
        lambda s, _: ax.explain(clip(), s, sample_rate=RATE_HZ, target="crew"),
        ("'crew'", "did you mean 'crow'"),
    ),
    "class out of range": (lambda s, _: ax.explain(clip(), s, sample_rate=RATE_HZ, target=4), ("4", "0…3")),
    "negative class": (lambda s, _: ax.explain(clip(), s, sample_rate=RATE_HZ, target=-1), ("-1", "0…3")),
    "no rate of the model": (lambda *_: ax.load_model(OfWaveforms()), ("rate", "sample_rate")),
    "not a model": (lambda *_: ax.load_model("model.pt"), ("model.pt", "safetensors")),
    "no checkpoint": (lambda *_: ax.load_model("nowhere.safetensors"), ("nowhere.json",)),
    "no factory": (lambda *_: ax.load_model("nowhere.py:build", sample_rate=8000), ("nowhere.py",)),
    "model of images": (
        lambda *_: ax.load_model(build("small_cnn", Pixels(28, 28), 3, 0)),
        ("images",),
    ),
    "other output": (
        lambda *_: ax.explain(clip(), Function(lambda inputs: inputs), sample_rate=RATE_HZ, method="random"),
        ("scores", "8000"),
    ),
    "NaN of the model": (
        lambda *_: ax.explain(
            clip(), Function(lambda inputs: inputs[:, 0, :3] * torch.nan), sample_rate=RATE_HZ, method="random"
        ),
        ("NaN",),
    ),
    "no clips": (lambda s, _: ax.evaluate([], s, sample_rate=RATE_HZ), ("at least one",)),
    "no methods": (lambda s, _: ax.evaluate([clip()], s, sample_rate=RATE_HZ, methods=[]), ("method",)),
    "no metrics": (lambda s, _: ax.evaluate([clip()], s, sample_rate=RATE_HZ, metrics=[]), ("metric",)),
    "targets": (lambda s, _: ax.evaluate([clip()], s, sample_rate=RATE_HZ, targets=[0, 1]), ("2 targets", "1 clips")),
    "unknown metric": (
        lambda s, _: ax.evaluate([clip()], s, sample_rate=RATE_HZ, metrics=["sparsness"]),
        ("did you mean 'sparseness'",),
    ),
    "metric of masks": (
        lambda s, _: ax.evaluate([clip()], s, sample_rate=RATE_HZ, metrics=["relevance_rank"]),
        ("relevance_rank",),
    ),
    "unknown setting": (
        lambda s, _: ax.evaluate([clip()], s, sample_rate=RATE_HZ, settings={"rusn": 3}),
        ("'rusn'", "did you mean 'runs'"),
    ),
    "setting out of range": (
        lambda s, _: ax.evaluate([clip()], s, sample_rate=RATE_HZ, settings={"alternatives": 4}),
        ("alternatives is 4",),
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_bad_input_is_one_sentence(case: str, spectrogram_model: ax.Model, waveform_model: ax.Model) -> None:
    call, words = ERRORS[case]
    with pytest.raises(UserError) as caught:
        call(spectrogram_model, waveform_model)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message
    assert isinstance(caught.value, ValueError)


def test_what_cannot_be_scored_is_refused_before_anything_is_explained(
    spectrogram_model: ax.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(METHODS["saliency"].bind({})), "__call__", lambda *_: pytest.fail("explained"))
    for changes in (
        {"metrics": ["sparseness", "sparsness"]},
        {"settings": {"runs": 0}},
        {"methods": ["saliency", "x"]},
    ):
        wanted: dict[str, Any] = {"methods": ["saliency"], **changes}
        with pytest.raises(UserError):
            ax.evaluate([clip()], spectrogram_model, sample_rate=RATE_HZ, **wanted)


def test_a_folder_without_sounds_and_a_file_that_is_none(spectrogram_model: ax.Model, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no sound"):
        ax.evaluate(tmp_path, spectrogram_model)
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(UserError, match="no sound"):
        ax.evaluate(tmp_path, spectrogram_model)


def test_every_public_name_is_there_and_typed() -> None:
    for name in ax.__all__:
        assert getattr(ax, name) is not None
    stub = Path(ax.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    assert all(name in stub for name in ax.__all__)
    assert set(ax.__all__) <= set(dir(ax))
    with pytest.raises(AttributeError, match="explian"):
        getattr(ax, "explian")  # noqa: B009 (mypy knows that it is not there)


def test_importing_the_package_is_quick_and_loads_no_torch() -> None:
    program = "import sys, audioxai; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
