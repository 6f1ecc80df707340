"""The thesis' pages on Objective 2: its report's figures with captions, rankings, and tables."""

from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd
from matplotlib.figure import Figure

from audioxai.report.objective2_figures import figures_of
from audioxai.report.objective2_tables import CLIPS, LEADING, Evidence, by_budget, by_scope, gather, prepared
from audioxai.report.style import listed, metric_style
from audioxai.report.thesis.findings import AdaptationFindings, overlay_pages
from audioxai.report.thesis.objective2_tables import counted_clips, table_pages
from audioxai.report.thesis.pages import DOUBLE_INCHES, FigurePage, Page, Source, resized
from audioxai.report.thesis.pairwise import PAIRED, pairwise_matrices, pairwise_table
from audioxai.report.thesis.ranks import (
    NEMENYI,
    RESAMPLED,
    Contest,
    critical_difference_diagrams,
    pairs_counted,
    rank_intervals,
    ranks_page,
)

# Few enough for one diagram: the thesis' own, its repairs, the other meanings of "absent", peers and controls.
RANKED = (
    "plain",
    "silence",
    "amplitude",
    "expected",
    "expected_noise",
    "two_missingness",
    "dual",
    "ordered",
    "guided",
    "idgi",
    "blur",
    "smooth_grad",
    "grad_x_level",
    "energy",
    "random",
)
SPEAKERS = "Intervals are 95 % intervals over speakers (Student's t over their means; datasets count alike)."
TOLD = {
    "curves_plain_and_silence": (
        "Insertion and deletion under silence: probability of the explained class as the most relevant cells are put "
        "in or taken out, for Integrated Gradients from 0 dB and from silence and the random control."
    ),
    "curves_two_removals": (
        "Insertion and deletion under silence and under speech-shaped noise, for the best adaptation, silence IG and "
        "two controls."
    ),
    "method_by_metric": (
        "Scores of every adaptation, peer and control by every metric, darker for a better rank within a column."
    ),
    "score_against_gradients": "Insertion − deletion under the worse removal against the gradients spent on a map.",
    "ground_truth": (
        "Relevance where it is known to belong: two digits at once, planted cues, two digits in sequence. The dashed "
        "line is the random control."
    ),
    "difference_from_silence": (
        "Paired difference from silence IG under the worse removal; filled where p < 0.05 after Holm's correction."
    ),
}


def pages(findings: AdaptationFindings) -> list[Page]:
    """All pages that the rows and curves can fill.

    Raises
    ------
    UserError
        As :func:`audioxai.report.objective2_tables.gather`.
    """
    evidence = gather(findings.rows)
    source = source_of(findings, evidence)
    figures = figures_of(findings.rows, evidence, findings.curves)
    counted = counted_clips(evidence)
    return [
        *(
            FigurePage(f"o2_{name}", source.caption(f"{TOLD[name]} {SPEAKERS}", counted), _double(draw))
            for name, draw in figures.items()
        ),
        *overlay_pages(findings.overlays, source),
        *table_pages(evidence, source),
        *_rank_pages(findings.rows, evidence, source),
    ]


def source_of(findings: AdaptationFindings, evidence: Evidence) -> Source:
    """What the captions end with."""
    seeds = tuple(sorted(int(seed) for seed in findings.rows["training_seed"].unique()))
    data = listed(evidence.scopes()) + f"; {evidence.main_budget} gradients a map where nothing else is said"
    return Source(data, seeds, findings.command)


def contests_of(rows: pd.DataFrame, evidence: Evidence) -> dict[str, Contest]:
    """Every scope's methods under the worse removal at the main budget, all models together last."""
    tidy = prepared(rows)
    clips = tidy[(tidy["material"] == CLIPS) & (tidy["metric"] == LEADING)]
    at = dict(by_budget(clips)).get(evidence.main_budget, clips)
    return {scope: _contest(scope, part) for scope, part in by_scope(at)}


def _contest(scope: str, part: pd.DataFrame) -> Contest:
    scores = part.pivot_table(
        index=["pair", "cluster"], columns="method", values="score", aggfunc="mean", dropna=False, observed=True
    )
    defined = scores[scores.index.isin(set(zip(part["pair"], part["cluster"], strict=True)))]
    return Contest(scope, defined, higher_is_better=True)


def _shown(contest: Contest, best: str | None) -> Contest:
    """The contest of the best adaptation and those that it has to be seen beside."""
    names = [name for name in contest.scores.columns if name in RANKED or name == best]
    return Contest(contest.title, contest.scores[names], contest.higher_is_better)


def _rank_pages(rows: pd.DataFrame, evidence: Evidence, source: Source) -> list[Page]:
    whole = {scope: contest for scope, contest in contests_of(rows, evidence).items() if contest.decidable}
    contests = {scope: _shown(contest, evidence.best) for scope, contest in whole.items()}
    if not contests:
        return []
    overall = [contests.get(evidence.overall(), list(contests.values())[-1])]
    everywhere = list(contests.values())
    judged = f"{metric_style(LEADING).name}. "
    among = f" Among {overall[0].defined.shape[1]} methods; the table of ranks has all."
    told: dict[str, tuple[str, Sequence[Contest], Callable[[], Figure]]] = {
        "o2_critical_difference": (judged + NEMENYI + among, overall, partial(critical_difference_diagrams, overall)),
        "o2_pairwise": (judged + PAIRED, overall, partial(pairwise_matrices, pairwise_table(overall), 1)),
        "o2_rank_stability": (
            judged + RESAMPLED + among,
            everywhere,
            partial(rank_intervals, everywhere, min(2, len(everywhere))),
        ),
    }
    figures: list[Page] = [
        FigurePage(name, source.caption(text, pairs_counted(own)), draw) for name, (text, own, draw) in told.items()
    ]
    shown = [whole.get(evidence.overall(), list(whole.values())[-1])]
    return [*figures, ranks_page("o2_ranks", source, list(whole.values()), shown)]


def _double(draw: Callable[[], Figure]) -> Callable[[], Figure]:
    return lambda: resized(draw(), DOUBLE_INCHES)
