import numpy as np
import pytest
from helpers.objective2_rows import LEVELS, make_cells, make_objective2_results
from scipy import stats

from audioxai.report.canvas import rendered
from audioxai.report.document import Figure
from audioxai.report.objective2 import objective2_document
from audioxai.report.objective2_estimates import ALL, Evidence, gather
from audioxai.report.objective2_figures import (
    Curves,
    budget_figure,
    curve_figure,
    curves_of,
    gain_figure,
    ground_truth_figure,
    shown_methods,
)
from audioxai.results import ResultSet
from audioxai.utils.errors import UserError

FRACTIONS = np.linspace(0, 1, 5)
WIDTH_INCHES = 6.9


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> ResultSet:
    made = make_objective2_results(dict(list(LEVELS.items())[:4]), seeds=(0, 1), speakers=6)
    root = tmp_path_factory.mktemp("results")
    cells = make_cells(root, made, ["plain", "silence", "amplitude", "dual", "energy", "random"])
    return ResultSet(**{**vars(made), "cells": cells})


@pytest.fixture(scope="module")
def evidence(results: ResultSet) -> Evidence:
    return gather(results)


def make_curves(seed: int = 0, groups: tuple[str | None, ...] = ("a", "a", "b", "c")) -> Curves:
    return Curves(np.random.default_rng(seed).uniform(size=(4, 2, 2, 5)), FRACTIONS, groups)


def test_every_figure_is_drawn_and_one_twice_to_the_same_bytes(results: ResultSet) -> None:
    figures = {figure.name: figure for figure in objective2_document(results).blocks(Figure)}
    assert list(figures) == [
        "o2_curves_plain_and_silence",
        "o2_curves_two_removals",
        "o2_difference_from_silence",
        "o2_critical_difference",
        "o2_rank_stability",
        "o2_pairwise",
        "o2_method_by_metric",
        "o2_score_against_gradients",
        "o2_cost",
        "o2_ground_truth",
        "o2_overlay_1",
        "o2_overlay_2",
        "o2_overlay_3",
    ]
    pictures = {name: rendered(figure)["png"] for name, figure in figures.items()}
    assert rendered(figures["o2_difference_from_silence"])["png"] == pictures["o2_difference_from_silence"]


def test_what_cannot_be_shown_is_left_out() -> None:
    few = make_objective2_results(
        {"dual": 0.5},
        datasets=("fsdd",),
        models=("small_cnn",),
        seeds=(0,),
        budgets=(8,),
        speakers=3,
        ground_truth=False,
    )
    names = {figure.name for figure in objective2_document(few).blocks(Figure)}
    assert names == {"o2_method_by_metric", "o2_cost"}


def test_curves_show_means_and_t_intervals_over_groups(evidence: Evidence) -> None:
    curves = make_curves()
    mean, low, high = curves.ribbon(1, 0)
    clusters = np.array([curves.scores[:2, 1, 0].mean(0), curves.scores[2, 1, 0], curves.scores[3, 1, 0]])
    np.testing.assert_allclose(mean, clusters.mean(0))
    half = stats.t.ppf(0.975, 2) * clusters.std(0, ddof=1) / np.sqrt(3)
    np.testing.assert_allclose([low, high], [mean - half, mean + half])
    shown = {"fsdd, alexnet": {"plain": curves}}
    figure = curve_figure(shown, ("plain", "silence"), ("noise",), evidence.style, WIDTH_INCHES)
    np.testing.assert_allclose(np.asarray(figure.axes[0].lines[0].get_ydata()), mean)
    assert [len(axes.lines) for axes in figure.axes] == [1, 1]


@pytest.mark.parametrize("groups", [("a",) * 4, (None,) * 4, ("a", "b", None, "c")])
def test_curves_of_one_group_or_of_unknown_ones_have_intervals_over_clips(groups: tuple[str | None, ...]) -> None:
    curves = make_curves(groups=groups)
    mean, low, _ = curves.ribbon(0, 1)
    values = curves.scores[:, 0, 1]
    np.testing.assert_allclose(mean - low, stats.t.ppf(0.975, 3) * values.std(0, ddof=1) / 2)


def test_curves_of_another_shape_are_refused() -> None:
    with pytest.raises(UserError, match=r"\(4, 2, 5\)"):
        Curves(np.zeros((4, 2, 5)), FRACTIONS, ("a",) * 4)


def test_curves_are_read_at_the_main_budget_and_joined_over_seeds(results: ResultSet, evidence: Evidence) -> None:
    curves = curves_of(results, evidence, {"dual", "random", "contrastive"})
    assert list(curves) == evidence.scopes()
    assert set(curves["fsdd, alexnet"]) == {"dual", "random"}
    own = [cell for cell in results.cells if (cell.dataset, cell.model) == ("fsdd", "alexnet")]
    stored = [cell.curves("dual", 32) for cell in own]
    expected = np.concatenate([one[0].double().numpy() for one in stored if one is not None])
    np.testing.assert_array_equal(curves["fsdd, alexnet"]["dual"].scores, expected)
    assert len(curves["fsdd, alexnet"]["dual"].groups) == 2 * 6


def test_figures_show_the_estimates(evidence: Evidence) -> None:
    forest = gain_figure(evidence, WIDTH_INCHES).axes[0]
    drawn = {round(float(np.ravel(line.get_xdata())[0]), 12) for line in forest.lines}
    assert round(evidence.gain(ALL, "dual")["mean"], 12) in drawn
    panel = budget_figure(evidence, ["dual", "silence"], WIDTH_INCHES).axes[0]
    own = evidence.means.query("scope == 'audio_mnist_az, alexnet' and method == 'dual' and metric == 'removal_worst'")
    np.testing.assert_allclose(np.asarray(panel.lines[0].get_ydata()), own["mean"].to_numpy())
    located = ground_truth_figure(evidence, WIDTH_INCHES)
    chance = evidence.mean("cues", ALL, "random", "relevance_mass")["mean"]
    dashed = [line for line in located.axes[1].lines if line.get_linestyle() == "--"]
    assert [float(np.ravel(line.get_xdata())[0]) for line in dashed] == [chance]


def test_the_methods_that_are_shown_are_chosen_by_role_and_score(evidence: Evidence) -> None:
    assert shown_methods(evidence) == ["plain", "silence", "amplitude", "dual", "energy"]


def test_stand_ins_are_named_in_figures() -> None:
    evidence = gather(
        make_objective2_results(datasets=("spoken_digits",), seeds=(0,), speakers=3, stand_in_for="audio_mnist")
    )
    for figure in (gain_figure(evidence, WIDTH_INCHES), ground_truth_figure(evidence, WIDTH_INCHES)):
        assert "spoken_digits (STAND-IN for audio_mnist); alexnet and small_cnn" in figure.get_suptitle()
    assert "STAND-IN" in budget_figure(evidence, ["dual"], WIDTH_INCHES).axes[0].get_title()
