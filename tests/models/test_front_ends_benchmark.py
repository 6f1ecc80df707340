"""The benchmark of front ends: its clips are real, reproducible and as long as stated, and it sees a difference."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from helpers.tiny_hugging_face import save_classifier, speech_like

from audioxai.models.front_ends import ClipFrontEnd
from audioxai.utils.errors import UserError

RATES_HZ = (8000, 16_000)


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "front_ends.py"
    spec = importlib.util.spec_from_file_location("front_ends_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look for their module.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    folder = tmp_path_factory.mktemp("recordings")
    found: dict[str, list[Path]] = {}
    for rate_hz in RATES_HZ:
        paths = [folder / f"{rate_hz}_{number}.wav" for number in range(3)]
        for number, path in enumerate(paths):
            soundfile.write(path, speech_like(rate_hz, 0.4, number), rate_hz)
        found[str(rate_hz)] = paths
    return found


def test_clips_are_as_long_as_stated_and_the_same_again(
    benchmark: ModuleType, recordings: dict[str, list[Path]]
) -> None:
    lengths_s = [0.1, 0.4, 1.3, 0.1]
    first, second = (list(benchmark.real_clips(recordings, lengths_s, 16_000)) for _ in range(2))
    assert [clip.shape for clip in first] == [(1, 1, round(length * 16_000)) for length in lengths_s]
    for clip, again in zip(first, second, strict=True):
        assert torch.equal(clip, again)
        assert float(clip.std()) > 0.0
    assert not torch.equal(first[0], first[3])


def test_a_difference_is_seen_and_counted(
    benchmark: ModuleType, recordings: dict[str, list[Path]], tmp_path: Path
) -> None:
    module = benchmark.saved(str(save_classifier("audio-spectrogram-transformer", tmp_path)))
    clips = list(benchmark.real_clips(recordings, np.geomspace(0.1, 2.0, 4).tolist(), 16_000))
    benchmark.scale_last_step(module, clips)
    row = benchmark.compared("tiny", module, module.front_end, clips)
    assert (row.clips, row.same_class, row.refused) == (4, 4, 0)
    assert row.features < 1e-5
    assert row.logit_spread == pytest.approx(benchmark.SPREAD, rel=1e-3)
    assert row.mean_padding == pytest.approx(
        np.mean([module.front_end.padding_share(clip.shape[-1]) for clip in clips])
    )
    assert "tiny" in benchmark.line(row)

    class Louder(type(module.front_end)):  # type: ignore[misc]
        def inputs(self, *arguments: Any) -> Any:
            return {name: value + 0.5 for name, value in super().inputs(*arguments).items()}

    front_end: ClipFrontEnd = module.front_end
    front_end.__class__ = Louder
    wrong = benchmark.compared("wrong", module, front_end, clips)
    assert wrong.features == pytest.approx(0.5, abs=1e-5)
    assert wrong.refused == 4


def test_without_data_one_sentence_says_so(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "find_root", lambda _: None)
    with pytest.raises(UserError, match="prepare_datasets"):
        benchmark.found_recordings()
    with pytest.raises(UserError, match="at least 2"):
        benchmark.main(["--clips", "1"])
