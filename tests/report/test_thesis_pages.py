"""The thesis' pages: captions, LaTeX that compiles, rankings against slow twins, grey, and the same bytes again."""

import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.objective2_rows import make_objective2_rows
from helpers.synthetic_rows import make_cards, make_rows
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from PIL import Image

from audioxai.report.canvas import new_figure
from audioxai.report.figures import Overlay
from audioxai.report.objective2_curves import Curves
from audioxai.report.style import METHODS, method_style
from audioxai.report.thesis import objective1, objective2
from audioxai.report.thesis.findings import AdaptationFindings, Findings
from audioxai.report.thesis.latex import escaped, floating, tabular
from audioxai.report.thesis.objective1_ranks import contests_of
from audioxai.report.thesis.pages import FigurePage, Source, TablePage, write_pages
from audioxai.report.thesis.pairwise import noise_table, pairwise_matrices, pairwise_table
from audioxai.report.thesis.ranks import (
    Contest,
    critical_difference_diagrams,
    groups_alike,
    rank_table,
)
from audioxai.utils.errors import UserError
from audioxai.utils.statistics import compare

SOURCE = Source("audio fsdd", (0, 1), "python x.py --profile quick")
FEW = ("saliency", "integrated_gradients", "random")
METRICS = ("faithfulness_correlation", "sparseness", "mprt")
DIRECTIONS: dict[str, bool | None] = {
    "faithfulness_correlation": True,
    "average_sensitivity": False,
    "sparseness": None,
    "random_logit": False,
    "mprt": False,
}


def overlay(methods: tuple[str, ...] = FEW) -> Overlay:
    generator = np.random.default_rng(0)
    return Overlay(
        title="fsdd: class 7, speaker theo, predicted 7",
        inputs=generator.uniform(-80, 0, size=(16, 24)),
        attributions={method: generator.normal(size=(16, 24)) for method in methods},
        row_axis=("frequency", "Hz", np.geomspace(60, 7500, 16).tolist()),
        column_axis=("time", "s", np.linspace(0, 1, 24).tolist()),
        value_unit="dB re. full-scale sine",
        notes={"integrated_gradients": "ΔF = 3.697, gap 0.4 %"},
    )


def findings(**changes: object) -> Findings:
    rows = make_rows(samples=8, methods=FEW, method_step=0.3)
    rows = rows[(rows["resolution"] >= 64) & rows["metric"].isin(METRICS)]
    made = Findings(
        rows=rows,
        repeats=rows,
        directions=DIRECTIONS,
        cards=make_cards(),
        overlays={"o1_overlay_audio_1": overlay(), "o1_overlay_column": overlay(("integrated_gradients",))},
        command="python scripts/run_demo.py --profile quick; python scripts/generate_thesis_figures.py",
    )
    return replace(made, **changes)


def adaptation_findings(stand_in_for: str | None = None) -> AdaptationFindings:
    rows = make_objective2_rows(
        speakers=5, seeds=(0,), datasets=("fsdd",), models=("small_cnn",), stand_in_for=stand_in_for
    )
    fractions = np.linspace(0, 1, 5)
    scores = np.random.default_rng(0).uniform(size=(6, 2, 2, 5))
    curves = Curves(scores, fractions, ["a", "a", "b", "b", "c", "c"])
    own = dict.fromkeys(("plain", "silence", "dual", "energy", "random"), curves)
    return AdaptationFindings(
        rows=rows,
        curves={("fsdd", "small_cnn"): own},
        overlays={"o2_overlay_1": overlay(("silence", "dual", "energy"))},
        command="python experiments/objective2/evaluate_adaptations.py --profile quick",
    )


def contest(pairs: int = 24, clusters: int = 8, step: float = 1.0, repeats: float | None = None) -> Contest:
    """Methods a, b, c, d, each ``step`` worse than the one before, unit noise; ``repeats`` is a metric seed's noise."""
    generator = np.random.default_rng(3)
    index = pd.MultiIndex.from_arrays([range(pairs), np.arange(pairs) % clusters], names=["pair", "cluster"])
    scores = pd.DataFrame(generator.normal(size=(pairs, 4)) - step * np.arange(4), index=index, columns=list("abcd"))
    again = {seed: scores + generator.normal(scale=repeats or 0, size=(1, 4)) for seed in range(3)}
    repeated = None if repeats is None else pd.concat(again, names=["seed"])
    return Contest("a to d", scores, higher_is_better=True, repeats=repeated)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[FigurePage | TablePage]]:
    folder = tmp_path_factory.mktemp("pages")
    pages = [*objective1.pages(findings()), *objective2.pages(adaptation_findings())]
    write_pages(pages, folder)
    return folder, pages


def test_every_page_has_all_its_files(made: tuple[Path, list[FigurePage | TablePage]]) -> None:
    folder, pages = made
    figures = {page.name for page in pages if isinstance(page, FigurePage)}
    tables = {page.name for page in pages if isinstance(page, TablePage)}
    endings = ("pdf", "png", "caption.tex", "caption.txt")
    expected = {f"{name}.{ending}" for name in figures for ending in endings}
    expected |= {f"{name}.{ending}" for name in tables for ending in ("tex", "csv")} | {"thesis.tex"}
    assert {path.name for path in folder.iterdir()} == expected
    assert figures >= {"o1_scores_audio", "o1_scores_image", "o1_resolution", "o1_audio_minus_image", "o1_cost"}
    assert figures >= {"o1_critical_difference_audio", "o1_pairwise", "o1_rank_stability", "o1_overlay_audio_1"}
    assert figures >= {"o2_curves_two_removals", "o2_score_against_gradients", "o2_ground_truth", "o2_pairwise"}
    assert tables >= {"o1_means_audio", "o1_differences", "o1_trends", "o1_ranks", "o1_models"}
    assert tables >= {"o2_scores", "o2_gains", "o2_localisation", "o2_completeness", "o2_ranks"}


# One of every way to draw; all tables come on top.
DRAWN_AGAIN = (
    "o1_scores_audio",
    "o1_cost",
    "o1_overlay_audio_1",
    "o1_critical_difference_audio",
    "o1_pairwise",
    "o1_rank_stability",
    "o2_curves_two_removals",
    "o2_ground_truth",
)


def test_rows_in_any_order_give_the_same_bytes(made: tuple[Path, list[FigurePage | TablePage]], tmp_path: Path) -> None:
    folder, _ = made
    shuffled = findings(rows=findings().rows.sample(frac=1, random_state=1))
    pages = [*objective1.pages(shuffled), *objective2.pages(adaptation_findings())]
    again = [page for page in pages if isinstance(page, TablePage) or page.name in DRAWN_AGAIN]
    written = write_pages(again, tmp_path)[:-1]
    assert len(written) == 4 * len(DRAWN_AGAIN) + 2 * sum(isinstance(page, TablePage) for page in pages)
    assert [path.read_bytes() for path in written] == [(folder / path.name).read_bytes() for path in written]


def test_captions_say_data_n_seeds_and_command(made: tuple[Path, list[FigurePage | TablePage]]) -> None:
    for page in made[1]:
        data = "fsdd" if page.name.startswith("o2") else "audio fsdd and image mnist"
        assert f"Data: {data}" in page.caption, page.name
        assert re.search(r"n = [\d–]+ (a cell|clips|samples?|models|pairs)", page.caption), page.name
        assert re.search(r"training seed(s 0 and 1| 0)\. Command: python ", page.caption), page.name


def test_pictures_are_a_column_or_a_page_wide_with_clean_margins(
    made: tuple[Path, list[FigurePage | TablePage]],
) -> None:
    folder, pages = made
    for page in pages:
        if isinstance(page, FigurePage):
            with Image.open(folder / f"{page.name}.png") as picture:
                grey = np.asarray(picture.convert("L"))
            assert grey.shape[1] == (1380 if page.wide else 670), page.name
            edges = (grey[0], grey[-1], grey[:, 0], grey[:, -1])
            assert all((edge == 255).all() for edge in edges), f"{page.name}: something is clipped"


def test_pdfs_are_vector_without_dates(made: tuple[Path, list[FigurePage | TablePage]]) -> None:
    content = (made[0] / "o1_critical_difference_audio.pdf").read_bytes()
    assert b"/FontFile2" in content
    assert b"/Subtype /Image" not in content
    for path in made[0].glob("*.pdf"):
        assert not [word for word in (b"CreationDate", b"/Creator", b"/Producer") if word in path.read_bytes()]


def test_stand_ins_are_named_on_every_page() -> None:
    for page in objective2.pages(adaptation_findings("audio_mnist")):
        assert "STAND-IN for audio_mnist" in page.caption


def test_what_one_modality_at_one_resolution_cannot_show_is_left_out() -> None:
    rows = findings().rows.query("modality == 'audio' and resolution == 64")
    names = {page.name for page in objective1.pages(findings(rows=rows, repeats=rows, overlays={}, cards=[]))}
    assert not names & {"o1_resolution", "o1_audio_minus_image", "o1_differences", "o1_trends", "o1_models"}
    assert names >= {"o1_scores_audio", "o1_cost", "o1_means_audio", "o1_pairwise"}


def test_one_speaker_is_not_ranked() -> None:
    rows = findings().rows.query("modality == 'audio' and speaker == 's00'")
    names = {page.name for page in objective1.pages(findings(rows=rows, repeats=rows, overlays={}))}
    assert not {name for name in names if "rank" in name or "pairwise" in name or "critical" in name}
    assert "o1_scores_audio" in names


def test_pages_need_names_of_their_own(tmp_path: Path) -> None:
    page = FigurePage("twice", "told", lambda: new_figure(1))
    with pytest.raises(UserError, match="name of its own"):
        write_pages([page, page], tmp_path)


def test_tables_hold_the_numbers_of_their_frames(made: tuple[Path, list[FigurePage | TablePage]]) -> None:
    folder, pages = made
    page = next(page for page in pages if page.name == "o1_means_audio")
    assert isinstance(page, TablePage)
    frame = pd.read_csv(folder / "o1_means_audio.csv")
    own = frame.query("resolution == 64 and method == 'saliency' and metric == 'mprt'").iloc[0]
    line = next(line for line in page.lines if line[:2] == ["64", "Saliency"])
    assert line[-1] == f"{own['mean']:.3f} [{own['low']:.3f}, {own['high']:.3f}]"


# ---------------------------------------------------------------------------------------------------------------- LaTeX

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


def test_floats_open_and_close_what_they_open(made: tuple[Path, list[FigurePage | TablePage]]) -> None:
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


# ------------------------------------------------------------------------------------------------------------- rankings


@pytest.mark.parametrize("step", [0.0, 0.3, 1.0, 3.0])
def test_bars_join_the_longest_runs_within_the_critical_difference(step: float) -> None:
    found = contest(step=step).ranked()
    ranks = found.mean_ranks.tolist()
    alike = [
        (first, last)
        for first, last in combinations(range(len(ranks)), 2)
        if ranks[last] - ranks[first] < found.critical_difference
    ]
    longest = [
        (first, last)
        for first, last in alike
        if not any((a, b) != (first, last) and a <= first and last <= b for a, b in alike)
    ]
    assert groups_alike(found) == longest


def test_a_diagram_places_every_method_at_its_mean_rank() -> None:
    one = contest()
    axes = critical_difference_diagrams([one]).axes[0]
    marks = sorted(line.get_xdata()[0] for line in axes.lines if line.get_marker() not in ("None", "", "|"))
    np.testing.assert_allclose(marks, sorted(one.ranked().mean_ranks))
    assert len(axes.texts) == 4


def test_a_method_without_scores_is_left_out_of_the_ranking() -> None:
    one = contest()
    scores = one.scores.assign(e=np.nan)
    table = rank_table([replace(one, scores=scores)])
    assert set(table["method"]) == set("abcd")
    pd.testing.assert_frame_equal(table, rank_table([one]))
    assert not replace(one, scores=scores[["a", "e"]]).decidable


def test_a_method_that_is_always_best_leads_every_resample() -> None:
    first = rank_table([contest(step=50.0)]).iloc[0]
    assert (first["method"], first["rank_low"], first["rank_high"], first["first"], first["kept"]) == ("a", 1, 1, 1, 1)


def test_pairs_are_compared_on_their_clusters() -> None:
    one = contest()
    table = pairwise_table([one])
    row = table[(table["first"] == "a") & (table["second"] == "c")].iloc[0]
    expected = compare(one.scores["a"], one.scores["c"], one.scores.index.get_level_values("cluster"))
    assert row["mean"] == expected.difference.mean
    assert row["p"] == expected.p_value
    assert len(table) == 6


def shown_marks(one: Contest) -> dict[tuple[int, int], str]:
    axes = pairwise_matrices(pairwise_table([one]), columns=1).axes[0]
    return {(int(text.get_position()[1]), int(text.get_position()[0])): text.get_text() for text in axes.texts}


def test_matrices_mirror_and_mark_what_is_sure() -> None:
    marks = shown_marks(contest(step=2.0))
    assert len(marks) == 12
    assert marks[0, 3].endswith("*")
    for (row, column), text in marks.items():
        assert marks[column, row].replace("−", "") == text.replace("−", "")


def test_what_the_metric_s_own_draws_could_make_is_marked_as_that() -> None:
    sure, noisy = contest(step=0.5, repeats=1e-9), contest(step=0.5, repeats=5.0)
    assert not any("≈" in text for text in shown_marks(sure).values())
    assert all("≈" in text for text in shown_marks(noisy).values())
    noise = noise_table([noisy]).set_index("method")
    by_seed = noisy.repeats["a"].groupby(["seed", "cluster"]).mean().groupby("seed").mean()
    assert noise.loc["a", "of_mean"] == pytest.approx(by_seed.std(ddof=1))
    assert noise_table([contest()]).empty


def test_repeats_come_from_rows_of_several_metric_seeds() -> None:
    rows = findings().rows
    again = rows.assign(seed=1, score=rows["score"] + 0.01)
    made = contests_of(findings(repeats=pd.concat([rows, again])))
    noise = noise_table(list(made.values()))
    assert set(noise["repeats"]) == {2}
    np.testing.assert_allclose(noise["of_mean"], 0.01 / 2**0.5, atol=1e-12)
    assert all(one.repeats is None for one in contests_of(findings()).values())


# ----------------------------------------------------------------------------------------------------------------- grey


def luma(colour: str) -> float:
    return float(np.dot(to_rgb(colour), (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize(
    "methods",
    [
        tuple(make_rows(samples=1)["method"].unique()),
        ("plain", "silence", "random"),
        ("dual", "silence", "energy", "random"),
        ("dual", "silence", "expected", "expected_noise", "idgi", "guided"),
    ],
)
def test_methods_drawn_together_have_markers_of_their_own(methods: tuple[str, ...]) -> None:
    assert len({method_style(method).marker for method in methods}) == len(methods)


def test_methods_ranked_together_differ_in_marker_or_brightness() -> None:
    for first, second in combinations([METHODS[name] for name in objective2.RANKED], 2):
        assert first.marker != second.marker or abs(luma(first.colour) - luma(second.colour)) > 0.05, (first, second)
