"""Estimates of Objective 2: means, gains over silence IG, leads of the best audio IG and completeness, as tidy frames.

Conventions
-----------
A *scope* is one data set with one architecture, or ``all models``, where every data set counts alike. A *pair* is one
clip under one training seed and architecture. Clusters are groups (speakers, source recordings); a data set with one
group, or with none that is known, has its clips as clusters, and its intervals then hold for that group alone. A
*budget* is the number of gradients asked for per map; methods that always cost the same stand in every budget.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from audioxai.report.blocks import Record
from audioxai.report.estimates import contrast, estimate, ordered, paired_scores, prepared
from audioxai.report.style import Style, listed
from audioxai.statistics import holm, pooled_mean
from audioxai.utils.errors import UserError

if TYPE_CHECKING:
    from audioxai.results import ResultSet

PLAIN, REFERENCE, CHANCE = "plain", "silence", "random"
# Maps of the audio IGs are smoothed: what of a difference smoothing alone makes.
SMOOTHED = "silence_smoothed"
REMOVALS = ("removal_silence", "removal_noise", "removal_worst")
LEADING = "removal_worst"
GAP = "completeness_gap"
CLIPS = "clips"
TRUTHS = {"mixtures": "two words at once", "cues": "planted cues", "sequences": "two words in sequence"}
LOCATED = {"mixtures": "relevance_rank", "cues": "relevance_mass", "sequences": "relevance_mass"}
# The mission's measures beside faithfulness.
FAITHFULNESS, OTHER_MEASURES = "faithfulness_correlation", ("average_sensitivity", "sparseness", "random_logit", "mprt")
AGAIN = {"average_sensitivity", "random_logit", "mprt"}
ALL = "all models"
MAIN_BUDGET = 32
LEVEL = 0.05


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything that the document on Objective 2 says, as tidy frames.

    Attributes
    ----------
    rows : DataFrame
        Result rows with ``recordings`` (data set, a stand-in named as such), ``scope``, ``clip``, ``pair`` and
        ``cluster`` added, in a fixed order.
    means : DataFrame
        Mean and interval per material × scope × budget × method × metric, and ``cost``: model passes per map.
    gains : DataFrame
        Method − silence IG per scope × budget under the worse removal: columns of
        :func:`audioxai.statistics.compare_with`, and ``p_clips`` and ``p_clips_holm`` with clips as clusters.
    leads : DataFrame
        The best audio IG minus each peer and control, likewise, at the main budget.
    measures : DataFrame
        Method − plain IG and method − silence IG per scope by the mission's measures, at the main budget, of the
        methods that stand side by side, and the best audio IG − smoothed silence IG; p corrected over all of a scope.
    mission : tuple of str
        The mission's measures that were scored: faithfulness of the smallest patches, sensitivity, sparseness, random
        logit, parameter randomisation; none where neither sensitivity nor randomisation was.
    side_by_side : tuple of str
        Plain and silence IG, the latter smoothed too, the best audio IG, the thesis' other methods, the best peer, and
        the controls.
    gaps : DataFrame
        Median and 95th percentile of the completeness gap of clips per scope × budget × method.
    best : str or None
        Among the methods made for audio here, the one with the highest mean under the worse removal, over all models,
        at the main budget.
    main_budget : int
        32 gradients per map where they were spent, else the most.
    style : Style
        Names, order and colours of methods and metrics.
    group_name : str
        What a group is, such as ``speaker``.
    """

    rows: pd.DataFrame
    means: pd.DataFrame
    gains: pd.DataFrame
    leads: pd.DataFrame
    measures: pd.DataFrame
    mission: tuple[str, ...]
    side_by_side: tuple[str, ...]
    gaps: pd.DataFrame
    best: str | None
    main_budget: int
    style: Style
    group_name: str

    @property
    def clips(self) -> pd.DataFrame:
        """Rows of the recordings themselves, without ground truth."""
        return self.rows[self.rows["material"] == CLIPS]

    @property
    def budgets(self) -> list[int]:
        """Gradients per map that were spent on the recordings."""
        return sorted({int(budget) for budget in self.means.loc[self.means["material"] == CLIPS, "gradients"]})

    @property
    def materials(self) -> list[str]:
        """Kinds of ground truth that were measured."""
        return [material for material in TRUTHS if (self.means["material"] == material).any()]

    def of_role(self, *roles: str) -> list[str]:
        """Methods of these roles that have rows, in the study's order."""
        return [name for name in self.style.ordered_methods(set(self.rows["method"])) if self._role(name) in roles]

    def mean(self, material: str, scope: str, method: str, metric: str, budget: int | None = None) -> Record:
        """One record of ``means``, at the main budget if none is given; empty where there is none."""
        own = self.by_method(material, scope, metric, budget)
        return _only(own[own["method"] == method])

    def by_method(self, material: str, scope: str, metric: str, budget: int | None = None) -> pd.DataFrame:
        """Rows of ``means``, one per method; without a budget at the main one, or the most where that was not spent."""
        table = self.means
        own = table[(table["material"] == material) & (table["scope"] == scope) & (table["metric"] == metric)]
        main = self.main_budget if (own["gradients"] == self.main_budget).any() else own["gradients"].max()
        return own[own["gradients"] == (main if budget is None else budget)]

    def best_located(self, material: str, scope: str, metric: str) -> Record:
        """Record of silence IG or the audio IG with the highest mean; empty where none was measured."""
        own = self.by_method(material, scope, metric)
        own = own[own["method"].isin([REFERENCE, *self.of_role("ours")]) & own["mean"].notna()]
        return _only(own.sort_values("mean", ascending=False, kind="stable"))

    def gains_at(self, scope: str, budget: int | None = None) -> pd.DataFrame:
        """Rows of ``gains``, one per method, at the main budget if none is given."""
        table = self.gains
        at = self.main_budget if budget is None else budget
        return table if table.empty else table[(table["scope"] == scope) & (table["gradients"] == at)]

    def gain(self, scope: str, method: str | None) -> Record:
        """One record of ``gains`` at the main budget; empty where there is none."""
        own = self.gains_at(scope)
        return {} if own.empty else _only(own[own["first"] == method])

    def gap(self, scope: str, method: str, most: int) -> Record:
        """One record of ``gaps``, of the largest budget up to ``most``; empty where there is none."""
        table = self.gaps
        if table.empty:
            return {}
        own = table[(table["scope"] == scope) & (table["method"] == method) & (table["gradients"] <= most)]
        return _only(own.iloc[::-1])

    def leads_over(self, scope: str, *roles: str) -> pd.DataFrame:
        """Rows of ``leads`` over methods of these roles."""
        table = self.leads
        if table.empty:
            return table
        return table[(table["scope"] == scope) & table["second"].isin(self.of_role(*roles))]

    def scopes(self, material: str = CLIPS) -> list[str]:
        """Data set × architecture of one material, without the pooled one."""
        return [scope for scope in self._scopes(material) if scope != ALL]

    def overall(self, material: str = CLIPS) -> str:
        """The pooled scope, or the only one."""
        named = self._scopes(material)
        return ALL if ALL in named else named[0]

    def described(self, scope: str, material: str = CLIPS) -> str:
        """A scope in a caption; the pooled one names every data set and architecture, so that stand-ins are named."""
        if scope != ALL:
            return scope
        datasets, models = zip(*(own.rsplit(", ", 1) for own in self.scopes(material)), strict=True)
        return f"{listed(list(dict.fromkeys(datasets)))}; {listed(list(dict.fromkeys(models)))}"

    def clustered_by_clips(self) -> list[str]:
        """Data sets whose clips are the clusters: of one group, or of none that is known."""
        groups = self.clips.groupby("recordings")["group"].nunique()
        return sorted(map(str, groups.index[groups < 2]))

    def _role(self, method: str) -> str:
        return self.style.methods[method].role if method in self.style.methods else "method"

    def _scopes(self, material: str) -> list[str]:
        return list(dict.fromkeys(self.means.loc[self.means["material"] == material, "scope"]))


def gather(results: "ResultSet") -> Evidence:
    """All estimates of Objective 2.

    Raises
    ------
    UserError
        If there are no rows, a column is missing or only ground truth was scored.
    """
    style, tidy = Style(results.methods, results.metrics), _scoped(prepared(results.rows))
    clips = tidy[tidy["material"] == CLIPS]
    if clips.empty:
        raise UserError(f"the results of {results.study} hold ground truth only; score the recordings too")
    scored = tidy[tidy["metric"] != GAP]
    means = _concatenated(
        _labelled(table, material=material)
        for material in (CLIPS, *TRUTHS)
        for table in _by_block(scored[scored["material"] == material], style, _means)
    )
    budgets = sorted(set(means.loc[means["material"] == CLIPS, "gradients"]))
    main = MAIN_BUDGET if MAIN_BUDGET in budgets else int(budgets[-1])
    judged, roles = clips[clips["metric"] == LEADING], {name: entry.role for name, entry in results.methods.items()}
    best = _best(means, main, [name for name, role in roles.items() if role == "ours"])
    others = [name for name, role in roles.items() if role in ("peer", "control")]
    mission, side_by_side = _mission(set(clips["metric"]), style), _side_by_side(means, main, best, roles, style)
    beside = clips[clips["metric"].isin(mission) & clips["method"].isin(side_by_side)]
    gains = _concatenated(_by_block(judged, style, lambda part: _compared(part, REFERENCE)))
    leads = pd.DataFrame()
    if best:
        rivals = judged[judged["method"].isin([best, *others])]
        leads = _concatenated(_by_block(rivals, style, lambda part: _reversed(_compared(part, best)), main))
    return Evidence(
        rows=tidy,
        means=means,
        gains=gains,
        leads=leads,
        measures=_concatenated(_by_block(beside, style, lambda part: _measured(part, best), main)),
        mission=mission,
        side_by_side=side_by_side,
        gaps=_concatenated(_by_block(clips[(clips["metric"] == GAP) & clips["score"].notna()], style, _gaps)),
        best=best,
        main_budget=main,
        style=style,
        group_name=next((cell.group_name for cell in results.cells if cell.group_name), "group"),
    )


def by_budget(tidy: pd.DataFrame, style: Style) -> Iterator[tuple[int, pd.DataFrame]]:
    """Rows of every budget; methods that always cost the same are in each.

    Budgets are those of silence IG; without it, those of all methods but the controls. A method always costs the same
    if it is a control, or if it was run once at a number of passes that is no budget.
    """
    if tidy.empty:
        return
    control = tidy["method"].map(style.is_control).astype(bool)
    own = next(part for part in (tidy[tidy["method"] == REFERENCE], tidy[~control], tidy) if len(part))
    budgets = sorted(int(budget) for budget in own["gradients"].unique())
    fixed = {
        method: len(set(part["gradients"])) == 1 and not set(part["map_passes"]) & set(budgets)
        for method, part in tidy.groupby("method")
    }
    always = control | tidy["method"].map(fixed)
    for budget in budgets:
        yield budget, tidy[always | (tidy["gradients"] == budget)]


def _scoped(tidy: pd.DataFrame) -> pd.DataFrame:
    dataset, stood = tidy["dataset"].astype(str), tidy["stand_in_for"].astype(object)
    named = (dataset + " (STAND-IN for " + stood.astype(str) + ")").where(stood.notna(), dataset)
    scope = named + ", " + tidy["model"].astype(str)
    return tidy.assign(recordings=named, scope=scope, clip=dataset + "\n" + tidy["sample"].astype(str))


def _by_block(
    tidy: pd.DataFrame, style: Style, made: Callable[[pd.DataFrame], pd.DataFrame], budget: int | None = None
) -> Iterator[pd.DataFrame]:
    """A table per scope and budget, or for one budget alone; the pooled scope last."""
    scopes, blocks = sorted(set(tidy["scope"])), [one for one in by_budget(tidy, style) if budget in (None, one[0])]
    for scope in [*scopes, *([ALL] if len(scopes) > 1 else [])]:
        for spent, rows in blocks:
            part = rows if scope == ALL else rows[rows["scope"] == scope]
            table = made(part) if len(part) else pd.DataFrame()
            if len(table):
                yield _labelled(ordered(table, style), scope=scope, gradients=spent)


def _means(part: pd.DataFrame) -> pd.DataFrame:
    table = estimate(part, ["method", "metric"], "clusters")
    return table.assign(cost=table["method"].map(part.groupby("method")["map_passes"].first()))


def _compared(part: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Every method against one, Holm over them; p also with clips as clusters."""
    table = contrast(part, ["metric"], reference, weigh="clusters")
    if table.empty:
        return table
    scores = paired_scores(part)
    pairs, datasets = (scores.index.get_level_values(name) for name in ("pair", "dataset"))
    clips = part.drop_duplicates("pair").set_index("pair")["clip"].loc[pairs]
    found = [pooled_mean(scores[method] - scores[reference], clips, datasets).p_value for method in table["first"]]
    return table.assign(p_clips=found, p_clips_holm=holm(found))


def _measured(part: pd.DataFrame, best: str | None) -> pd.DataFrame:
    """Every method against plain and silence IG by every metric, each pair once, the best against smoothing; Holm."""
    smoothed = part[part["method"].isin([SMOOTHED, best])]
    compared = ((part, PLAIN), (part, REFERENCE), (smoothed, SMOOTHED))
    tables = [contrast(own, ["metric"], reference, weigh="clusters") for own, reference in compared]
    found = [table for table in tables if len(table)]
    if not found:
        return pd.DataFrame()
    table = pd.concat(found, ignore_index=True)
    table = table[(table["first"] != PLAIN)].reset_index(drop=True)
    return table.assign(p_holm=holm(table["p"]))


def _mission(scored: set[str], style: Style) -> tuple[str, ...]:
    if not scored & AGAIN:
        return ()
    faithfulness = [name for name in style.ordered_metrics(scored) if name.startswith(FAITHFULNESS)]
    return (*faithfulness[:1], *(name for name in OTHER_MEASURES if name in scored))


def _side_by_side(
    means: pd.DataFrame, budget: int, best: str | None, roles: Mapping[str, str], style: Style
) -> tuple[str, ...]:
    peer = _best(means, budget, [name for name, role in roles.items() if role == "peer"])
    methods, controls = (
        [name for name in style.ordered_methods(roles) if roles[name] == role] for role in ("method", "control")
    )
    chosen = (PLAIN, REFERENCE, SMOOTHED, best, *methods, peer, *controls)
    return tuple(dict.fromkeys(name for name in chosen if name is not None and name in roles))


def _reversed(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Comparisons the other way round: second − first."""
    swapped = comparisons.assign(first=comparisons["second"], second=comparisons["first"])
    for name, whole in (("mean", 0.0), ("d_z", 0.0), ("rank_biserial", 0.0), ("superiority", 1.0)):
        if name in comparisons:
            low, high = ("low", "high") if name == "mean" else (f"{name}_low", f"{name}_high")
            swapped[name] = whole - comparisons[name]
            swapped[low], swapped[high] = whole - comparisons[high], whole - comparisons[low]
    return swapped


def _gaps(part: pd.DataFrame) -> pd.DataFrame:
    scores = part.groupby("method")["score"]
    table = pd.DataFrame({"median": scores.median(), "p95": scores.agg(lambda own: np.percentile(own, 95))})
    return table.assign(n=scores.size()).reset_index()


def _best(means: pd.DataFrame, budget: int, ours: list[str]) -> str | None:
    own = means[(means["material"] == CLIPS) & (means["metric"] == LEADING) & (means["gradients"] == budget)]
    overall = ALL if (own["scope"] == ALL).any() else next(iter(own["scope"]), ALL)
    own = own[(own["scope"] == overall) & own["method"].isin(ours) & own["mean"].notna()]
    ranked = sorted(zip(-own["mean"], own["method"], strict=True))
    return str(ranked[0][1]) if ranked else None


def _labelled(table: pd.DataFrame, **keys: object) -> pd.DataFrame:
    return pd.DataFrame({name: [value] * len(table) for name, value in keys.items()}, index=table.index).join(table)


def _concatenated(tables: Iterator[pd.DataFrame]) -> pd.DataFrame:
    found = list(tables)
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _only(table: pd.DataFrame) -> Record:
    return table.iloc[0].to_dict() if len(table) else {}
