"""The folder for a thesis: every file, captions, LaTeX that compiles, and the same bytes again."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.html_documents import first_document, picture
from helpers.synthetic_results import audio_cell, image_cell, result_set
from helpers.synthetic_rows import make_rows
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from audioxai.report.document import Document, Figure, Section, Table
from audioxai.report.objective1 import objective1_document
from audioxai.report.render.latex import escaped, floating, tabular, write_thesis
from audioxai.utils.errors import UserError

FEW = ("saliency", "integrated_gradients", "random")
METRICS = ("faithfulness_correlation", "sparseness", "mprt")


def document(folder: Path, shuffled: bool = False) -> Document:
    rows = make_rows(samples=8, methods=FEW, method_step=0.3)
    rows = rows[(rows["resolution"] >= 64) & rows["metric"].isin(METRICS)]
    rows = rows.sample(frac=1, random_state=1) if shuffled else rows
    return objective1_document(result_set(rows, cells=(audio_cell(folder), image_cell(folder))))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Figure | Table]]:
    folder = tmp_path_factory.mktemp("pages")
    found = document(tmp_path_factory.mktemp("results"))
    write_thesis([found], folder)
    return folder, [*found.blocks(Figure), *found.blocks(Table)]


def test_every_block_has_all_its_files(made: tuple[Path, list[Figure | Table]]) -> None:
    folder, blocks = made
    figures = {block.name for block in blocks if isinstance(block, Figure)}
    tables = {block.name for block in blocks if isinstance(block, Table)}
    endings = ("pdf", "png", "caption.tex", "caption.txt")
    expected = {f"{name}.{ending}" for name in figures for ending in endings}
    expected |= {f"{name}.{ending}" for name in tables for ending in ("tex", "csv")} | {"thesis.tex"}
    assert {path.name for path in folder.iterdir()} == expected
    assert figures >= {"o1_scores_audio", "o1_scores_image", "o1_resolution", "o1_audio_minus_image", "o1_cost"}
    assert figures >= {"o1_critical_difference", "o1_pairwise", "o1_rank_stability", "o1_overlay_audio_1"}
    assert tables >= {"o1_means", "o1_differences", "o1_trends", "o1_ranks", "o1_models", "o1_leaders"}


def test_rows_in_any_order_give_the_same_bytes(made: tuple[Path, list[Figure | Table]], tmp_path: Path) -> None:
    written = write_thesis([document(tmp_path / "results", shuffled=True)], tmp_path / "pages")
    assert [path.read_bytes() for path in written] == [(made[0] / path.name).read_bytes() for path in written]


def test_captions_say_data_seeds_and_command(made: tuple[Path, list[Figure | Table]]) -> None:
    for path in made[0].glob("*.caption.txt"):
        caption = path.read_text(encoding="utf-8").strip()
        assert "data: audio fsdd and image mnist" in caption.lower(), path.name
        assert "training seeds 0 and 1; profile quick" in caption, path.name
        assert caption.endswith("Command: make demo"), path.name


def test_pictures_are_a_column_or_a_page_wide_with_clean_margins(made: tuple[Path, list[Figure | Table]]) -> None:
    folder, blocks = made
    for block in blocks:
        if isinstance(block, Figure):
            with Image.open(folder / f"{block.name}.png") as image:
                grey = np.asarray(image.convert("L"))
            assert grey.shape[1] == (1380 if block.wide else 670), block.name
            edges = (grey[0], grey[-1], grey[:, 0], grey[:, -1])
            assert all((edge == 255).all() for edge in edges), f"{block.name}: something is clipped"


def test_pdfs_are_vector_without_dates(made: tuple[Path, list[Figure | Table]]) -> None:
    content = (made[0] / "o1_critical_difference.pdf").read_bytes()
    assert b"/FontFile2" in content
    assert b"/Subtype /Image" not in content
    for path in made[0].glob("*.pdf"):
        assert not [word for word in (b"CreationDate", b"/Creator", b"/Producer") if word in path.read_bytes()]


def test_blocks_need_names_of_their_own(tmp_path: Path) -> None:
    twice = Document("x", "X", "", [Section("answer", "Answer", [picture(), picture()])])
    with pytest.raises(UserError, match="name of its own"):
        write_thesis([twice], tmp_path)
    with pytest.raises(UserError, match="name of its own"):
        write_thesis([first_document(), first_document()], tmp_path)
    assert not list(tmp_path.iterdir())


def test_tables_hold_the_numbers_of_their_frames(made: tuple[Path, list[Figure | Table]]) -> None:
    folder, blocks = made
    table = next(block for block in blocks if block.name == "o1_means")
    assert isinstance(table, Table)
    frame = pd.read_csv(folder / "o1_means.csv")
    own = frame.query("modality == 'audio' and resolution == 64 and method == 'saliency' and metric == 'mprt'").iloc[0]
    line = next(row for row in table.rows if [cell.text for cell in row[:3]] == ["audio", "64", "Saliency"])
    assert line[-1].text == f"{own['mean']:.3f} [{own['low']:.3f}, {own['high']:.3f}]"


def test_a_table_without_a_frame_is_written_as_it_is_shown(tmp_path: Path) -> None:
    write_thesis([first_document()], tmp_path)
    shown = pd.read_csv(tmp_path / "o1_scores.csv")
    assert list(shown.columns) == ["Method", "Models", "Score ↑"]
    assert len(shown) == 15


COMMANDS = {
    r"\textbackslash{}": "\\",
    r"\textasciitilde{}": "~",
    r"\textasciicircum{}": "^",
    r"\textless{}": "<",
    r"\textgreater{}": ">",
    r"\textbar{}": "|",
    r"\{": "{",
    r"\}": "}",
    r"\&": "&",
    r"\%": "%",
    r"\$": "$",
    r"\#": "#",
    r"\_": "_",
    "{[}": "[",
    "{]}": "]",
    "-{}": "-",
}


def read_back(latex: str) -> str:
    """What LaTeX would show of escaped ASCII, refusing anything that it would obey."""
    shown, rest = "", latex
    while rest:
        command = next((name for name in COMMANDS if rest.startswith(name)), None)
        if command is None and rest[0] in "\\{}&%$#_~^<>|[]":
            raise AssertionError(f"LaTeX would obey {rest[:10]!r}")
        shown += rest[0] if command is None else COMMANDS[command]
        rest = rest[1 if command is None else len(command) :]
    return shown


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"')))
def test_whatever_a_name_holds_is_shown_and_never_obeyed(text: str) -> None:
    assert read_back(escaped(text)) == text
    assert "--" not in escaped(text).replace("-{}-", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("audio − image ± 5 %", r"audio $-$ image $\pm$ 5 \%"),
        ("Input × gradient ↑", r"Input $\times$ gradient $\uparrow$"),
        ("|ΣA − ΔF|", r"\textbar{}$\Sigma$A $-$ $\Delta$F\textbar{}"),
        ("--audio_limit", r"-{}-audio\_limit"),
        ("10–20", "10--20"),
        ("two\nlines\x07", "two lines "),
        ("Əliyev", "Əliyev"),
    ],
)
def test_signs_become_mathematics(text: str, expected: str) -> None:
    assert escaped(text) == expected


def test_a_table_is_whole_and_leaves_repeated_names_out() -> None:
    written = tabular(["A", "B_1", "C"], [["x", "m", "1"], ["x", "n & o", "2"], ["y", "m", "3"]], left_columns=2)
    assert written.splitlines() == [
        r"\begin{tabular}{@{}llr@{}}",
        r"\toprule",
        r"A & B\_1 & C \\",
        r"\midrule",
        r"x & m & 1 \\",
        r" & n \& o & 2 \\",
        r"\addlinespace",
        r"y & m & 3 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_floats_open_and_close_what_they_open(made: tuple[Path, list[Figure | Table]]) -> None:
    whole = (made[0] / "thesis.tex").read_text(encoding="utf-8")
    opened: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{([a-z]+\*?)\}", whole):
        if kind == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert not opened
    unescaped = re.sub(r"\\[{}]", "", whole)
    assert unescaped.count("{") == unescaped.count("}")
    assert len(re.findall(r"(?<!\\)\$", whole)) % 2 == 0
    labels = re.findall(r"\\label\{([^}]*)\}", whole)
    assert len(labels) == len(set(labels)) == len(made[1])
    assert all((made[0] / name).exists() for name in re.findall(r"\\includegraphics\{([^}]*)\}", whole))


def test_captions_stand_above_tables_and_below_figures() -> None:
    table, figure = (floating(kind, "CONTENT", "told", "x") for kind in ("table", "figure*"))
    assert table.index("caption") < table.index("CONTENT")
    assert figure.index("caption") > figure.index("CONTENT")
    assert figure.startswith(r"\begin{figure*}")
