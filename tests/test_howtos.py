"""The code in the documentation runs page by page, as a reader would run it: from top to bottom, in an empty folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[1]
HOW_TOS = ROOT / "docs" / "how-to"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^```(\w*)\n.*?^```$", re.MULTILINE | re.DOTALL)
# Pages that other tests run, with files that these make.
RUN_ELSEWHERE = {"docs/data.md": "tests/datasets/test_data_page.py", "docs/metrics.md": "tests/metrics/test_docs.py"}
STUDY = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# The files that the README's reader has.
NET = "from torch import nn\ndef build():\n    return nn.Sequential(nn.Flatten(), nn.Linear(16_000, 3))\n"
# What every page may use without saying so.
PREAMBLE = "import warnings\nfrom pathlib import Path\nimport torch\nwarnings.simplefilter('error')\n"


def blocks_of(page: Path) -> list[str]:
    """Python blocks of a page."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


WRITTEN = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in WRITTEN if blocks_of(page) and page.relative_to(ROOT).as_posix() not in RUN_ELSEWHERE]


def code_of(page: Path) -> str:
    """All Python of a page, every line at its own line number so that a traceback points into the page."""
    text = page.read_text(encoding="utf-8")
    lines = [""] * text.count("\n")
    for block in BLOCK.finditer(text):
        first = text.count("\n", 0, block.start(1))
        code = block.group(1).splitlines()
        lines[first : first + len(code)] = code
    return "\n".join(lines)


def test_there_is_a_page_for_each_thing_that_can_be_added() -> None:
    assert {page.stem for page in HOW_TOS.glob("*.md")} == {"method", "metric", "data_set", "model"}
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert all(f"docs/how-to/{page.name}" in contributing for page in HOW_TOS.glob("*.md"))


def test_every_python_block_of_every_page_runs_somewhere() -> None:
    for page, test in RUN_ELSEWHERE.items():
        assert blocks_of(ROOT / page)
        assert Path(page).name in (ROOT / test).read_text(encoding="utf-8")
    assert sum(len(blocks_of(page)) for page in WRITTEN) >= 26


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_is_fenced_is_run_or_shown(page: Path) -> None:
    """Python runs here, commands are looked up by ``test_documented_commands``, studies are read; text is output."""
    assert set(FENCE.findall(page.read_text(encoding="utf-8"))) <= {"python", "bash", "yaml", "text"}


def own_files(folder: Path) -> None:
    """A network in a file, a clip and a folder of clips."""
    (folder / "my_net.py").write_text(NET, encoding="utf-8")
    (folder / "clips").mkdir()
    time_s = np.arange(16_000) / 16_000
    for place in ("bark.wav", "clips/a.wav", "clips/b.wav"):
        soundfile.write(folder / place, 0.5 * np.sin(2 * np.pi * 200 * len(place) * time_s), 16_000)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    code = code_of(page)
    assert code.strip()
    if HOW_TOS not in page.parents:
        own_files(tmp_path)
    program = f"{PREAMBLE}exec(compile(Path({str(tmp_path / 'page.py')!r}).read_text(), {str(page)!r}, 'exec'))"
    (tmp_path / "page.py").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_study_of_the_readme_is_declared_as_it_says(tmp_path: Path) -> None:
    from audioxai.experiment.declared import read_study

    found = re.search(
        r"^```yaml\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert found is not None
    (tmp_path / "my.yaml").write_text(found.group(1), encoding="utf-8")
    own_files(tmp_path)
    (tmp_path / "clips").rename(tmp_path / "recordings")
    study, options = read_study(tmp_path / "my.yaml")
    (cell,) = study.cells
    assert (study.name, cell.samples, cell.model.name, cell.model.grid) == ("birds", 20, "small_cnn", (64, 64))
    assert {"ordered", "energy", "random"} < set(study.methods)
    assert options.results == tmp_path / "results"


def test_code_is_found_at_its_own_lines(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A\n\n```python\na = 1\n```\n\n```bash\nls\n```\n\n```python\nb = 2\n```\n", encoding="utf-8")
    assert code_of(page).splitlines()[3:] == ["a = 1", "", "", "", "", "", "", "", "b = 2"]
    assert len(code_of(page).splitlines()) == 12
