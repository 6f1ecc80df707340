from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.objective2_rows import LEVELS, make_objective2_rows
from scipy import stats

from audioxai.report.objective2_curves import Curves, curve_figure
from audioxai.report.objective2_figures import budget_figure, gain_figure, ground_truth_figure, write_figures
from audioxai.report.objective2_tables import ALL, gather
from audioxai.utils.errors import UserError

FRACTIONS = np.linspace(0, 1, 5)
FROM_ROWS = ["method_by_metric", "score_against_gradients", "ground_truth", "difference_from_silence"]


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return make_objective2_rows(dict(list(LEVELS.items())[:4]), seeds=(0,), speakers=3)


def make_curves(seed: int = 0, speakers: tuple[str, ...] = ("a", "a", "b", "c")) -> Curves:
    scores = np.random.default_rng(seed).uniform(size=(4, 2, 2, 5))
    return Curves(scores, FRACTIONS, speakers)


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_every_figure_comes_in_both_formats_with_the_same_bytes(rows: pd.DataFrame, tmp_path: Path) -> None:
    curves = {("fsdd", "alexnet"): {"plain": make_curves(), "silence": make_curves(1), "dual": make_curves(2)}}
    first = write_figures(rows, curves, tmp_path / "first")
    second = write_figures(rows.sample(frac=1, random_state=1), curves, tmp_path / "second")
    stems = ["curves_plain_and_silence", "curves_two_removals", *FROM_ROWS]
    assert names(first) == [f"{stem}.{kind}" for stem in stems for kind in ("png", "pdf")]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_what_cannot_be_shown_is_left_out(tmp_path: Path) -> None:
    rows = make_objective2_rows({"dual": 0.5}, ("fsdd",), ("small_cnn",), (0,), (8,), speakers=3, ground_truth=False)
    assert names(write_figures(rows, {}, tmp_path)) == ["method_by_metric.png", "method_by_metric.pdf"]


def test_curves_show_means_and_t_intervals_over_speakers() -> None:
    curves = make_curves()
    mean, low, high = curves.ribbon(1, 0)
    clusters = np.array([curves.scores[:2, 1, 0].mean(0), curves.scores[2, 1, 0], curves.scores[3, 1, 0]])
    np.testing.assert_allclose(mean, clusters.mean(0))
    half = stats.t.ppf(0.975, 2) * clusters.std(0, ddof=1) / np.sqrt(3)
    np.testing.assert_allclose([low, high], [mean - half, mean + half])
    figure = curve_figure({"fsdd, alexnet": {"plain": curves}}, ("plain", "silence"), ("noise",), "title")
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), mean)
    assert [len(axes.lines) for axes in figure.axes] == [1, 1]


def test_one_speakers_curves_have_intervals_over_clips() -> None:
    curves = make_curves(speakers=("a",) * 4)
    mean, low, _ = curves.ribbon(0, 1)
    values = curves.scores[:, 0, 1]
    np.testing.assert_allclose(mean - low, stats.t.ppf(0.975, 3) * values.std(0, ddof=1) / 2)


def test_curves_of_another_shape_are_refused() -> None:
    with pytest.raises(UserError, match=r"\(4, 2, 5\)"):
        Curves(np.zeros((4, 2, 5)), FRACTIONS, ("a",) * 4)


def test_figures_show_the_tables(rows: pd.DataFrame) -> None:
    evidence = gather(rows)
    forest = gain_figure(evidence).axes[0]
    drawn = {round(float(np.ravel(line.get_xdata())[0]), 12) for line in forest.lines}
    assert round(evidence.gain(ALL, "dual")["mean"], 12) in drawn
    panel = budget_figure(evidence).axes[0]
    own = evidence.means.query("scope == 'audio_mnist_az, alexnet' and method == 'dual' and metric == 'removal_worst'")
    np.testing.assert_allclose(panel.lines[0].get_ydata(), own["mean"])
    located = ground_truth_figure(evidence)
    chance = evidence.mean("cues", ALL, "random", "relevance_mass")["mean"]
    dashed = [line for line in located.axes[1].lines if line.get_linestyle() == "--"]
    assert [line.get_xdata()[0] for line in dashed] == [chance]


def test_curves_without_rows_are_refused(rows: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="curves of fsdd, vgg but no result rows"):
        write_figures(rows, {("fsdd", "vgg"): {"plain": make_curves()}}, tmp_path)


def test_stand_ins_are_named_in_figures() -> None:
    rows = make_objective2_rows(datasets=("spoken_digits",), seeds=(0,), speakers=3, stand_in_for="audio_mnist")
    evidence = gather(rows)
    for figure in (gain_figure(evidence), ground_truth_figure(evidence)):
        assert "spoken_digits (STAND-IN for audio_mnist); alexnet and small_cnn" in figure.get_suptitle()
    assert "STAND-IN" in budget_figure(evidence).axes[0].get_title()
