"""The code of docs/data.md runs, in order, on a folder as it describes."""

import re
from pathlib import Path
from typing import Any

import pytest
from helpers.dataset_files import write_table, write_tone

from audioxai.datasets import DATASETS, names_of

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(encoding="utf-8")


@pytest.fixture
def birds(tmp_path, monkeypatch):
    rows = ["recording,species,site"]
    for label, species in enumerate(("jay", "owl", "wren")):
        for site in range(8):
            for hour in ("0700", "1900"):
                name = f"{species}/site{site:02d}_{hour}.wav"
                write_tone(tmp_path / "my_birds" / name, 300 + 200 * label)
                rows.append(f"{name},{species},{site}")
    write_table(tmp_path / "my_birds" / "observations.csv", rows)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUDIO_XAI_DATA", str(tmp_path))
    monkeypatch.setattr(DATASETS, "_entries", dict(DATASETS))


def test_bring_your_data(birds, capsys):
    names: dict[str, Any] = {}
    loaded = []
    for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(code, "docs/data.md", "exec"), names)
        loaded.append(names["dataset"])
    assert capsys.readouterr().out == "('jay', 'owl', 'wren') 48 16000 torch.Size([48, 1, 4800])\n"
    assert [one.split_name for one in loaded] == ["by_clip", *["group_disjoint"] * 3]
    assert [one.group_name for one in loaded] == [None, "site", "site", "site"]
    assert loaded[2].inputs.shape == (48, 1, 8_000)
    assert loaded[3].ids == loaded[1].ids
    assert names_of("audio")[-1] == "my_birds"


def test_every_data_set_is_on_the_page():
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == set(DATASETS)
