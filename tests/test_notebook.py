"""The notebooks: the same cells in both files, and they run from top to bottom.

That of the results runs on a results folder alone and is kept without outputs, the three for readers with them.
"""

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jupytext
import nbclient
import pytest
from helpers.tiny_data import write_digit_images, write_spoken_digits

PROJECT = Path(__file__).resolve().parents[1]
NOTEBOOK = PROJECT / "notebooks" / "results_analysis.ipynb"
FOR_READERS = ("explain_one_clip", "evaluate_methods", "audit_shortcuts")


def cells_of(path: Path) -> list[tuple[str, str]]:
    """Kind and source of every cell."""
    return [(cell["cell_type"], cell["source"]) for cell in jupytext.read(path)["cells"]]


def test_both_files_hold_the_same_cells_and_no_outputs() -> None:
    assert cells_of(NOTEBOOK) == cells_of(NOTEBOOK.with_suffix(".py"))
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in jupytext.read(NOTEBOOK)["cells"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with a tiny Objective 1, made where nothing else is left: neither data nor checkpoints."""
    import audioxai as ax
    from audioxai.experiment.models import forget
    from audioxai.studies import objective1

    work = tmp_path_factory.mktemp("made")
    write_spoken_digits(work / "data" / "spoken_digits")
    write_digit_images(work / "data" / "digits_8x8")
    config = replace(
        objective1.PROFILES["quick"],
        images="digits_8x8",
        audio="spoken_digits",
        image_resolutions=(28,),
        audio_resolutions=(32,),
        image_epochs=(1,),
        audio_epochs=(1,),
        samples_per_seed=3,
        methods=("saliency", "integrated_gradients", "random"),
        metrics=("faithfulness_correlation", "sparseness"),
        faithfulness_runs=6,
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AUDIO_XAI_DATA", str(work / "data"))
        forget()
        ax.run(objective1.declare(config), ax.RunOptions(work / "results", work / "checkpoints", device="cpu"))
        forget()
    copied = tmp_path_factory.mktemp("copied") / "results"
    (work / "results").rename(copied)
    return copied


def executed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Outputs of all cells; a cell that fails raises."""
    monkeypatch.setenv("AUDIO_XAI_RESULTS", str(folder))
    monkeypatch.setenv("AUDIO_XAI_DATA", str(folder / "no data"))
    return run(NOTEBOOK, monkeypatch)


def run(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Outputs of all cells; a cell that fails raises."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PROJECT / "src"), os.environ.get("PYTHONPATH", "")]))
    notebook = jupytext.read(path)
    nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}, kernel_name="python3"
    ).execute()
    return [output for cell in notebook["cells"] for output in cell.get("outputs", [])]


def printed(outputs: list[dict[str, Any]]) -> str:
    """What cells printed."""
    return "".join(output["text"] for output in outputs if output.get("name") == "stdout")


@pytest.mark.parametrize("name", FOR_READERS)
def test_notebooks_for_readers_are_kept_with_outputs(name: str) -> None:
    path = PROJECT / "notebooks" / f"{name}.ipynb"
    assert cells_of(path) == cells_of(path.with_suffix(".py"))
    cells = jupytext.read(path)["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not any(output["output_type"] == "error" or output.get("name") == "stderr" for output in outputs)
    assert path.stat().st_size < 500_000


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_erased_hum_and_nothing_else_changes_the_class(monkeypatch: pytest.MonkeyPatch) -> None:
    said = printed(run(PROJECT / "notebooks" / "audit_shortcuts.ipynb", monkeypatch))
    erased, elsewhere = re.findall(r"(\d+)% of the clips\n.*at most (\d+)%", said)[0]
    assert int(erased) >= 80
    assert int(elsewhere) <= 10


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_one_clip_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    said = printed(run(PROJECT / "notebooks" / "explain_one_clip.ipynb", monkeypatch))
    kept, rest = (float(value) for value in re.findall(r"probability of rising (\d\.\d+)", said))
    assert kept > 0.5 > rest


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_methods_are_compared_with_loudness(monkeypatch: pytest.MonkeyPatch) -> None:
    said = printed(run(PROJECT / "notebooks" / "evaluate_methods.ipynb", monkeypatch))
    leads = {name: float(value) for name, value in re.findall(r"^(\w+) +([+-]\d\.\d+) \[", said, re.MULTILINE)}
    assert set(leads) == {"ordered", "silence", "saliency", "occlusion", "random"}
    assert leads["random"] < min(leads[name] for name in leads if name != "random")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_it_shows_a_copied_results_folder(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from audioxai.report.document import Figure
    from audioxai.studies.reports import documents_in

    outputs = executed(finished, monkeypatch)
    shown = [output["data"] for output in outputs if "data" in output]
    ((_, document),) = documents_in(finished)
    drawn = [figure for figure in document.blocks(Figure) if "overlay" not in figure.name]
    # Every figure of the document but its samples, and the overlay of the chosen one.
    assert sum("image/png" in data for data in shown) == len(drawn) + 1
    players = [data["text/html"] for data in shown if "<audio" in data.get("text/html", "")]
    assert len(players) == 3
    assert len(set(players)) == 3
    sentences = [data["text/markdown"] for data in shown if "text/markdown" in data]
    assert any("python experiments/objective2/audio_adapted_ig.py" in text for text in sentences)
    assert any("| Saliency |" in text for text in sentences)
    assert not [output for output in outputs if output["output_type"] == "error"]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_it_says_how_to_fill_a_folder_that_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = [output["data"] for output in executed(tmp_path / "none", monkeypatch) if "data" in output]
    sentences = [data["text/markdown"] for data in shown if "text/markdown" in data]
    assert any("python scripts/run_demo.py" in text for text in sentences)
    assert any("python experiments/objective2/audio_adapted_ig.py" in text for text in sentences)
    assert not any("image/png" in data for data in shown)
