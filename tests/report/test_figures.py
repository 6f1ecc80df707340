"""Figures show the numbers that they are given, in place, and never rank a control."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from helpers.synthetic_results import METHODS, audio_cell, image_cell
from helpers.synthetic_rows import MakeRows
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D

from audioxai.domains import Waveform
from audioxai.report.canvas import rendered
from audioxai.report.document import Figure
from audioxai.report.estimates import contrast, estimate, prepared
from audioxai.report.figures import cost_against_score, curves, forest, heat_map
from audioxai.report.overlays import Overlay, attribution_overlay, of_different_titles, overlay, overlay_of, titles_of
from audioxai.report.style import Style
from audioxai.report.verdicts import with_outcomes

WIDE = 6.9


def shown(methods: tuple[str, ...] = tuple(METHODS), rows: int = 16) -> Overlay:
    generator = np.random.default_rng(0)
    return Overlay(
        title="Digit 7, speaker 26",
        inputs=generator.uniform(-80, 0, size=(rows, 24)),
        attributions={method: generator.normal(size=(rows, 24)) for method in methods},
        row_axis=("frequency", "Hz", np.geomspace(60, 7500, rows).tolist()),
        column_axis=("time", "s", np.linspace(0, 1, 24).tolist()),
        value_unit="dB re. full-scale sine",
    )


def points(line: Line2D) -> list[tuple[float, float]]:
    """What a line joins, in data coordinates."""
    return [(float(x), float(y)) for x, y in np.asarray(line.get_xydata())]


def test_a_control_is_never_ranked_however_well_it_scores(rows_with: MakeRows, style: Style) -> None:
    rows = rows_with(samples=4)
    rows.loc[rows["method"] == "random", "score"] = np.where(rows["metric"] == "average_sensitivity", 0.0, 9.0)[
        rows["method"] == "random"
    ]
    cells = estimate(prepared(rows[rows["modality"] == "audio"]), ["resolution", "method", "metric"])
    figure = heat_map(cells[cells["resolution"] == 64], style, "resolution", "Audio", WIDE)
    ranks = figure.axes[0].images[0].get_array()
    assert ranks is not None
    methods = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert methods[-1] == "Random (control)"
    assert np.isnan(np.ma.filled(ranks[-1].astype(float), np.nan)).all()
    metrics = style.ordered_metrics(cells["metric"])
    column = metrics.index("average_sensitivity")
    means = cells[(cells["resolution"] == 64) & (cells["metric"] == "average_sensitivity")].set_index("method")["mean"]
    best = means.drop("random").idxmin()
    assert ranks[methods.index(style.method(str(best)))][column] == 1
    undirected = ranks[:, metrics.index("sparseness")]
    assert np.isnan(np.ma.filled(undirected.astype(float), np.nan)).all()


def test_right_is_always_better(rows_with: MakeRows, style: Style) -> None:
    table = with_outcomes(contrast(prepared(rows_with(samples=6)), ["modality", "metric"], "random"), style)
    figure = forest(table, style, "modality", "method", "Differences", WIDE)
    for axes in figure.axes[: table["metric"].nunique()]:
        metric = next(name for name in style.metrics if style.metric(name).split()[0] in axes.get_title())
        assert axes.get_xlabel() == ("method higher →" if metric == "sparseness" else "method better →")
        low, high = axes.get_xlim()
        assert (low > high) == (style.direction(metric) is False)


def test_markers_are_filled_where_the_rule_decides(rows_with: MakeRows, style: Style) -> None:
    table = contrast(prepared(rows_with(samples=6, method_step=0.3)), ["modality", "metric"], "random")
    table = with_outcomes(table[table["metric"] == "faithfulness_correlation"], style)
    axes = forest(table, style, "modality", "method", "Differences", WIDE).axes[0]
    marks = [line for line in axes.lines if len(points(line)) == 1]
    filled = {points(line)[0][0]: line.get_markerfacecolor() != "white" for line in marks}
    assert filled == {row["mean"]: row["outcome"] != "undecided" for row in table.to_dict("records")}


def test_curves_show_the_means(rows_with: MakeRows, style: Style) -> None:
    cells = estimate(prepared(rows_with(samples=6)), ["modality", "resolution", "method", "metric"])
    cells = cells.assign(x=cells["resolution"].astype(float))
    figure = curves(cells, style, "modality", "resolution (rows)", WIDE)
    where = "metric == 'faithfulness_correlation' and modality == 'audio' and method == 'saliency'"
    expected = cells.query(where).sort_values("resolution")
    line = figure.axes[0].lines[0]
    np.testing.assert_array_equal(line.get_xdata(), expected["resolution"])
    np.testing.assert_array_equal(line.get_ydata(), expected["mean"])
    assert to_rgb(line.get_color()) == to_rgb(style.colour("saliency"))


def test_costs_stand_at_their_passes(rows_with: MakeRows, style: Style) -> None:
    cells = estimate(prepared(rows_with(samples=6).query("resolution == 64")), ["modality", "method", "metric"])
    table = cells[cells["metric"] == "mprt"].assign(panel="here", passes=range(0, 14))
    axes = cost_against_score(table[table["modality"] == "audio"], style, "MPRT ↓", WIDE).axes[0]
    marks = dict(points(line)[0] for line in axes.lines if len(points(line)) == 1)
    own = table[table["modality"] == "audio"]
    assert marks == dict(zip(own["passes"], own["mean"], strict=True))


def test_no_letter_is_smaller_than_seven_points(style: Style) -> None:
    figure = attribution_overlay(shown(), style, WIDE)
    assert min(float(text.get_fontsize()) for text in figure.findobj(mpl.text.Text)) >= 7


def test_frequency_ticks_sit_at_their_band(style: Style) -> None:
    axes = attribution_overlay(shown(), style, WIDE).axes[0]
    coordinates = np.geomspace(60, 7500, 16)
    for place, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True):
        hertz = float(label.get_text())
        assert np.interp(place, np.arange(16), coordinates) == pytest.approx(hertz)
    assert axes.get_ylabel() == "frequency (Hz)"
    assert axes.get_ylim()[0] < axes.get_ylim()[1]


def test_attributions_are_scaled_each_by_its_own_size(style: Style) -> None:
    plain = shown(methods=("saliency", "occlusion"))
    plain.attributions["occlusion"][:] = 1000 * plain.attributions["saliency"]
    one, other = (np.asarray(axes.images[-1].get_array()) for axes in attribution_overlay(plain, style, WIDE).axes[1:3])
    np.testing.assert_allclose(one, other)
    assert abs(one).max() <= 1


def test_constant_zero_attributions_can_be_drawn(style: Style) -> None:
    plain = shown(methods=("saliency",))
    plain.attributions["saliency"][:] = 0
    attribution_overlay(plain, style, 3.35).draw_without_rendering()


def test_a_waveform_is_drawn_as_a_line(style: Style) -> None:
    domain = Waveform(8000, 0.05)
    wave = np.sin(np.arange(400) / 10.0)
    plain = overlay_of(domain, "a wave", wave, {"saliency": np.gradient(wave)})
    assert plain.inputs.shape == (1, 400)
    axes = attribution_overlay(plain, style, WIDE).axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), wave)


def test_samples_are_titled_by_class_group_and_prediction(tmp_path: Path) -> None:
    cell, images = audio_cell(tmp_path), image_cell(tmp_path)
    assert titles_of(cell)[0] == "fsdd: class 7, speaker theo, predicted 7"
    assert titles_of(images)[1] == "mnist: class 3, predicted 3"
    assert of_different_titles(cell, 2) == [0, 1]


def test_gaps_come_from_the_stored_changes(tmp_path: Path) -> None:
    cell = audio_cell(tmp_path)
    found = overlay(cell, 0, ["saliency", "integrated_gradients"])
    assert set(found.attributions) == {"saliency", "integrated_gradients"}
    assert list(found.notes) == ["integrated_gradients"]
    assert found.notes["integrated_gradients"].endswith("gap 0.4 %")
    np.testing.assert_array_equal(found.attributions["saliency"], cell.attributions("saliency").values[0, 0].numpy())


def test_settings_are_given_back_and_files_are_the_same_bytes(style: Style) -> None:
    figure = Figure("x", "X", "", lambda width: attribution_overlay(shown(("saliency",)), style, width))
    first = rendered(figure, ("png", "pdf"))
    assert mpl.rcParams["font.size"] == mpl.rcParamsDefault["font.size"]
    assert rendered(figure, ("png", "pdf")) == first
    assert (first["png"][:4], first["pdf"][:4]) == (b"\x89PNG", b"%PDF")
