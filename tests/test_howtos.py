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
# Pages whose reader has files of their own.
OF_USERS = (ROOT / "README.md", ROOT / "docs" / "explain_your_model.md")
PAGES = [*sorted(HOW_TOS.glob("*.md")), *OF_USERS]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STUDY = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# The files that the README's reader has.
NET = "from torch import nn\ndef build():\n    return nn.Sequential(nn.Flatten(), nn.Linear(16_000, 3))\n"
# What every page may use without saying so.
PREAMBLE = "import warnings\nfrom pathlib import Path\nimport torch\nwarnings.simplefilter('error')\n"


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
    if page in OF_USERS:
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
