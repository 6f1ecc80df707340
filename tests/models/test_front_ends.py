"""Front ends give what the extractors give, and a finite gradient everywhere; held statistics do not couple cells."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers.tiny_hugging_face import extractor_of, speech_like
from torch import Tensor

from audioxai.models.front_ends import DRAW_SEED, FRONT_ENDS, ClipFrontEnd, front_end_of
from audioxai.utils.errors import UserError

# Name in test ids → class and fields of the extractor, and the largest difference of a feature in single precision.
# Whisper's extractor rounds in single precision too, 1e-4 of its unit at the floor; the others compute in double.
CASES: dict[str, tuple[str, dict[str, Any], float]] = {
    "wav2vec2": ("Wav2Vec2FeatureExtractor", {}, 2e-6),
    "wav2vec2-raw": ("Wav2Vec2FeatureExtractor", {"do_normalize": False}, 0.0),
    "ast": ("ASTFeatureExtractor", {}, 1e-6),
    "ast-raw": ("ASTFeatureExtractor", {"do_normalize": False, "num_mel_bins": 64, "max_length": 100}, 2e-6),
    "whisper": ("WhisperFeatureExtractor", {}, 5e-4),
    "whisper-128": ("WhisperFeatureExtractor", {"feature_size": 128, "chunk_length": 5}, 5e-4),
    "whisper-dither": ("WhisperFeatureExtractor", {"dither": 1e-3, "chunk_length": 2}, 5e-4),
    "clap-fused": ("ClapFeatureExtractor", {}, 1e-4),
    "clap-cut": ("ClapFeatureExtractor", {"truncation": "rand_trunc"}, 2e-5),
    "clap-repeat": ("ClapFeatureExtractor", {"truncation": "rand_trunc", "padding": "repeat"}, 2e-5),
    "clap-pad": ("ClapFeatureExtractor", {"padding": "pad", "max_length_s": 2}, 1e-4),
    "seamless": ("SeamlessM4TFeatureExtractor", {}, 2e-4),
    "seamless-3": ("SeamlessM4TFeatureExtractor", {"stride": 3, "padding_value": 1.0}, 2e-4),
}
SECONDS = (0.1, 0.7, 1.013, 10.004, 35.0)
COUPLED = ("wav2vec2", "whisper", "seamless")


def made(case: str) -> tuple[Any, ClipFrontEnd, float]:
    name, fields, tolerance = CASES[case]
    extractor = extractor_of(name, **fields)
    front_end = front_end_of(extractor)
    assert front_end is not None
    return extractor, front_end, tolerance


def clip_for(front_end: ClipFrontEnd, seconds: float, seed: int = 0) -> Tensor:
    return torch.tensor(speech_like(front_end.sample_rate_hz, seconds, seed))[None, None]


def extracted(extractor: Any, clip: Tensor) -> dict[str, Tensor]:
    """What the extractor returns, its draws from the stated seed; the global state is as before."""
    state = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(DRAW_SEED)
        np.random.seed(DRAW_SEED)  # noqa: NPY002
        found = extractor(clip[0, 0].numpy(), sampling_rate=extractor.sampling_rate, return_tensors="pt")
    np.random.set_state(state)  # noqa: NPY002
    return dict(found)


def features(front_end: ClipFrontEnd) -> Callable[[Tensor], Tensor]:
    return lambda waveforms: next(iter(front_end(waveforms).values()))


def test_the_five_extractors_are_known_and_a_subclass_is_not() -> None:
    assert {name for name, _, _ in CASES.values()} == set(FRONT_ENDS)
    from transformers import ASTFeatureExtractor

    class Louder(ASTFeatureExtractor):  # type: ignore[misc]
        pass

    assert front_end_of(extractor_of("ASTFeatureExtractor")) is not None
    assert front_end_of(Louder.__new__(Louder)) is None


@pytest.mark.parametrize("seconds", SECONDS)
@pytest.mark.parametrize("case", CASES)
def test_features_are_those_of_the_extractor(case: str, seconds: float) -> None:
    extractor, front_end, tolerance = made(case)
    clip = clip_for(front_end, seconds)
    expected, found = extracted(extractor, clip), front_end(clip)
    name = next(iter(found))
    assert found[name].dtype == torch.float32
    assert found[name].shape == expected[name].shape
    torch.testing.assert_close(found[name], expected[name].float(), rtol=0.0, atol=tolerance)
    if "attention_mask" in found:
        assert torch.equal(found["attention_mask"], expected["attention_mask"])
    if case in ("clap-fused", "clap-pad"):
        assert torch.equal(found["is_longer"], expected["is_longer"].bool())


@pytest.mark.parametrize("seconds", [0.1, 1.013, 35.0])
@pytest.mark.parametrize("case", CASES)
def test_at_the_clip_held_statistics_change_nothing(case: str, seconds: float) -> None:
    _, front_end, _ = made(case)
    clip = clip_for(front_end, seconds)
    assert torch.equal(features(front_end.frozen(clip))(clip), features(front_end)(clip))
    # The layer that it was made from is as before.
    other = clip_for(front_end, seconds, seed=1) * 0.5
    assert torch.equal(features(front_end)(other), features(made(case)[1])(other))


@pytest.mark.parametrize("case", CASES)
def test_clips_of_a_batch_do_not_meet(case: str) -> None:
    _, front_end, _ = made(case)
    clips = torch.cat([clip_for(front_end, 0.5, seed) for seed in (0, 1)])
    together = front_end(clips)
    for row in range(2):
        for name, value in front_end(clips[row : row + 1]).items():
            torch.testing.assert_close(together[name][row : row + 1], value, rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_gradient_against_finite_differences(case: str, frozen: bool) -> None:
    _, front_end, _ = made(case)
    clip = clip_for(front_end, 0.15).double() if "clap" not in case else clip_for(front_end, 0.05).double()
    if frozen:
        front_end = front_end.frozen(clip * 0.8 + 1e-3)
    draw = torch.Generator().manual_seed(0)
    weights = torch.randn(features(front_end)(clip).shape, generator=draw, dtype=torch.float64)

    def score(waveforms: Tensor) -> Tensor:
        found = features(front_end)(waveforms)
        assert found.dtype == torch.float64
        return (weights * found).sum()

    leaf = clip.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(score(leaf), leaf)
    for _ in range(3):
        # In proportion to the sound, so that the difference quotient stays where the logarithm is smooth.
        direction = clip * torch.randn(clip.shape, generator=draw, dtype=torch.float64)
        step = 1e-6
        quotient = (score(clip + step * direction) - score(clip - step * direction)) / (2.0 * step)
        torch.testing.assert_close((gradient * direction).sum(), quotient, rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_gradient_is_finite_at_silence(case: str, frozen: bool, dtype: torch.dtype) -> None:
    _, front_end, _ = made(case)
    clip = clip_for(front_end, 0.3).to(dtype)
    silence = torch.zeros_like(clip).requires_grad_(True)
    found = features(front_end.frozen(clip) if frozen else front_end)(silence)
    assert bool(found.isfinite().all())
    (gradient,) = torch.autograd.grad((found * torch.linspace(-1.0, 1.0, found.shape[-1], dtype=dtype)).sum(), silence)
    assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("case", COUPLED)
def test_held_statistics_part_the_beginning_from_the_end(case: str) -> None:
    _, front_end, _ = made(case)
    clip = clip_for(front_end, 1.0)
    changed = clip.clone()
    # Louder than all else, so that mean, variance and maximum change.
    changed[..., -4000:] = 0.9 * torch.sign(torch.sin(torch.arange(4000.0)))
    along = -1 if case in ("wav2vec2", "whisper") else 1
    early = features(front_end)(clip).shape[along] // (60 if case == "whisper" else 2)

    def beginning(layer: ClipFrontEnd, waveforms: Tensor) -> Tensor:
        return features(layer)(waveforms).narrow(along, 0, early)

    held = front_end.frozen(clip)
    torch.testing.assert_close(beginning(held, changed), beginning(held, clip), rtol=0.0, atol=1e-5)
    assert float((beginning(front_end, changed) - beginning(front_end, clip)).abs().max()) > 0.05


def test_a_path_from_silence_adds_up_where_statistics_are_held() -> None:
    _, front_end, _ = made("wav2vec2")
    clip = clip_for(front_end, 0.3).double()
    weights = torch.randn(clip.shape[-1], generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def gap(layer: ClipFrontEnd) -> float:
        steps = (torch.arange(50, dtype=torch.float64)[:, None, None] + 0.5) / 50
        path = (steps * clip).requires_grad_(True)
        (gradients,) = torch.autograd.grad((features(layer)(path) @ weights).sum(), path)
        change = (features(layer)(clip) - features(layer)(torch.zeros_like(clip))) @ weights
        return float(((gradients.mean(0) * clip[0]).sum() - change[0]).abs() / change[0].abs())

    assert gap(front_end.frozen(clip)) < 1e-9
    # Normalised anew at every step, nearly all steps are the same clip.
    assert gap(front_end) > 0.5


def test_padding_of_ast_is_a_constant_block_louder_than_silence() -> None:
    _, front_end, _ = made("ast")
    clip = clip_for(front_end, 1.0)
    found = features(front_end)(clip)[0]
    padding, silence = 4.2677393 / (2 * 4.5689974), (np.log(1.192092955078125e-07) + 4.2677393) / (2 * 4.5689974)
    is_padding = ((found - padding).abs() < 1e-6).all(1)
    assert front_end.padding_share(clip.shape[-1]) == float(is_padding.float().mean()) > 0.9
    assert f"{padding:+.3f}" in front_end.notes[0]
    assert f"{silence:+.3f}" in front_end.notes[0]
    assert float(features(front_end)(torch.zeros_like(clip))[0, 0, 0]) == pytest.approx(silence, abs=1e-6)


def test_padding_is_counted() -> None:
    shares = {case: made(case)[1] for case in CASES}
    assert shares["wav2vec2"].padding_share(100) == 0.0
    assert shares["whisper"].padding_share(16_000) == pytest.approx(29 / 30)
    # 1.2 s fit eight times into 10 s.
    assert shares["clap-cut"].padding_share(57_600) == pytest.approx(1.0 - 9.6 / 10.0)
    assert shares["clap-pad"].padding_share(48_000) == 0.5
    assert shares["clap-repeat"].padding_share(57_600) == 0.0
    # Frames: 1 + (560 − 400) / 160 = 2, then 3 and one that is added.
    assert shares["seamless"].padding_share(560) == 0.0
    assert shares["seamless"].padding_share(720) == 0.25
    for front_end in shares.values():
        assert front_end.padding_share(60 * front_end.sample_rate_hz) in (0.0, pytest.approx(1 / 6000, abs=1e-4))


@pytest.mark.parametrize("case", ["ast", "ast-raw", "whisper", "clap-cut"])
def test_of_the_longest_clip_every_part_counts_and_no_more(case: str) -> None:
    _, front_end, _ = made(case)
    longest = front_end.longest_samples
    assert longest is not None
    clip = clip_for(front_end, (longest + 4000) / front_end.sample_rate_hz)
    assert front_end.padding_share(longest) == 0.0
    whole = features(front_end)(clip[..., :longest])
    silent_end = clip[..., :longest].clone()
    silent_end[..., -200:] = 0.0
    assert not torch.equal(features(front_end)(silent_end), whole)
    if case != "clap-cut":
        torch.testing.assert_close(features(front_end)(clip), whole)


@pytest.mark.parametrize(("case", "samples"), [("ast", 399), ("seamless", 559)])
def test_clips_without_a_frame_are_refused(case: str, samples: int) -> None:
    _, front_end, _ = made(case)
    front_end(torch.ones(1, 1, samples + 1))
    with pytest.raises(UserError, match=f"{samples} samples"):
        front_end(torch.ones(1, 1, samples))
    with pytest.raises(UserError, match=r"\(batch, 1, time\)"):
        front_end(torch.ones(1, 16_000))
