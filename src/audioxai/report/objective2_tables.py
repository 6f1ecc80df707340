"""Tables of Objective 2: means, gains over silence IG and completeness, clustered by speaker, as tidy frames.

Conventions
-----------
``rows`` is the tidy frame of the store: one row a clip × method × metric. A *scope* is one dataset with one
architecture, or ``all models`` with every dataset counting alike; a *pair* is one clip under one training seed and
architecture. Clusters are speakers; a dataset of one speaker has its clips as clusters, and its intervals then speak of
that speaker alone. A *budget* is what silence IG spent on a clip; methods that always cost the same stand beside every
budget.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from audioxai.report.style import CONTROL, FAMILIES, METHODS, METRICS, in_order, listed
from audioxai.report.tables import COLUMNS
from audioxai.utils.errors import UserError
from audioxai.utils.statistics import compare_with, holm, pooled_mean

REFERENCE = "silence"
LEADING = "removal_worst"
GAP = "completeness_gap"
CLIPS = "clips"
TRUTHS = {"mixtures": "two digits at once", "cues": "planted cues", "sequences": "two digits in sequence"}
ALL = "all models"
MAIN_BUDGET = 32
CONTROLS = (*FAMILIES["controls"][2], CONTROL)
PEERS = (*FAMILIES["peers"][2], "expected", "occlusion")
DIRECTIONS: dict[str, bool | None] = {
    **dict.fromkeys(("removal_silence", "removal_noise", LEADING), True),
    **{f"faithfulness_correlation_{patch}": True for patch in (1, 8, 16)},
    **dict.fromkeys(("sparseness", "complexity"), None),
    GAP: False,
    **dict.fromkeys(("relevance_rank", "relevance_mass", "pointing_game"), True),
}


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything that the report on Objective 2 says, as tidy frames.

    Attributes
    ----------
    means : DataFrame
        Mean and interval a material × scope × budget × method × metric.
    gains : DataFrame
        Method − silence IG a scope × budget under the worse removal: columns of
        :func:`audioxai.utils.statistics.compare_with`, and ``p_clips`` and ``p_clips_holm`` with clips as clusters.
    leads : DataFrame
        The best audio IG minus each peer and control, likewise, at the main budget.
    gaps : DataFrame
        Median and 95th percentile of the completeness gap of recordings a scope × budget × method.
    best : str or None
        The audio IG with the highest mean under the worse removal over all models at the main budget.
    main_budget : int
        32 gradients where they were spent, else the most.
    """

    means: pd.DataFrame
    gains: pd.DataFrame
    leads: pd.DataFrame
    gaps: pd.DataFrame
    best: str | None
    main_budget: int

    def mean(self, material: str, scope: str, method: str, metric: str, budget: int | None = None) -> dict[str, Any]:
        """One record of ``means``, at the main budget if none is given; or nothing."""
        own = self.by_method(material, scope, metric, budget)
        found = own[own["method"] == method]
        return {str(key): value for key, value in found.iloc[0].items()} if len(found) else {}

    def by_method(self, material: str, scope: str, metric: str, budget: int | None = None) -> pd.DataFrame:
        """Rows of ``means``, one a method, at the main budget if none is given: the most where that was not spent."""
        table = self.means
        own = table[(table["material"] == material) & (table["scope"] == scope) & (table["metric"] == metric)]
        main = self.main_budget if (own["gradients"] == self.main_budget).any() else own["gradients"].max()
        return own[own["gradients"] == (main if budget is None else budget)]

    def gain(self, scope: str, method: str, budget: int | None = None) -> dict[str, Any]:
        """One record of ``gains``, at the main budget if none is given; or nothing."""
        table = self.gains
        if table.empty:
            return {}
        at = self.main_budget if budget is None else budget
        found = table[(table["scope"] == scope) & (table["first"] == method) & (table["gradients"] == at)]
        return {str(key): value for key, value in found.iloc[0].items()} if len(found) else {}

    def scopes(self, material: str = CLIPS) -> list[str]:
        """Dataset × architecture of one material, without the pooled one."""
        return [scope for scope in self._named(material) if scope != ALL]

    def overall(self, material: str = CLIPS) -> str:
        """The pooled scope, or the only one."""
        named = self._named(material)
        return ALL if ALL in named else named[0]

    def described(self, scope: str) -> str:
        """A scope in a caption; the pooled one names every dataset and architecture, so that stand-ins are named."""
        if scope != ALL:
            return scope
        datasets, models = zip(*(own.rsplit(", ", 1) for own in self.scopes()), strict=True)
        return f"{listed(list(dict.fromkeys(datasets)))}; {listed(list(dict.fromkeys(models)))}"

    def _named(self, material: str) -> list[str]:
        return list(dict.fromkeys(self.means.loc[self.means["material"] == material, "scope"]))


def gather(rows: pd.DataFrame) -> Evidence:
    """All tables of Objective 2.

    Raises
    ------
    UserError
        If there are no rows, a column is missing or no recordings were judged.
    """
    tidy = prepared(rows)
    clips = tidy[tidy["material"] == CLIPS]
    if clips.empty:
        raise UserError(
            "the result rows hold ground truth only; run python experiments/objective2/evaluate_adaptations.py"
        )
    means = _means(tidy)
    budgets = sorted(means.loc[means["material"] == CLIPS, "gradients"].unique())
    main = MAIN_BUDGET if MAIN_BUDGET in budgets else int(budgets[-1])
    best = _best(means, main)
    gains = _compared(clips, REFERENCE, sorted(set(clips["method"])))
    others = [method for method in (*PEERS, *CONTROLS) if method in set(clips["method"])]
    leads = _compared(clips, best, others) if best else pd.DataFrame()
    if len(leads):
        leads = _towards_best(leads[leads["gradients"] == main])
    return Evidence(means, gains, leads, _gaps(clips), best, main)


def audio_methods(methods: list[str]) -> list[str]:
    """Those that are Integrated Gradients made for sound: no plain IG, silence IG, peer or control."""
    return [method for method in methods if method not in {"plain", REFERENCE, *PEERS, *CONTROLS}]


def prepared(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with ``material``, ``recordings``, ``scope``, ``cluster`` and ``pair`` added, in a fixed order.

    Raises
    ------
    UserError
        If there are no rows or a column is missing.
    """
    missing = [column for column in (*COLUMNS, "map_passes") if column not in rows.columns]
    if missing:
        raise UserError(f"the result rows lack the column {missing[0]!r}; read them from the results store")
    if rows.empty:
        raise UserError("there are no result rows yet; run python experiments/objective2/evaluate_adaptations.py")
    dataset = rows["dataset"].astype(str)
    suffix = dataset.str.extract(f"_({'|'.join(TRUTHS)})$")[0]
    recordings = dataset.str.replace(f"_({'|'.join(TRUTHS)})$", "", regex=True)
    stood = rows["stand_in_for"].astype(object)
    named = (recordings + " (STAND-IN for " + stood.astype(str) + ")").where(stood.notna(), recordings)
    sample = recordings + "\n" + rows["sample"].astype(str)
    tidy = rows.assign(
        material=suffix.fillna(CLIPS).astype(object),
        recordings=named,
        scope=named + ", " + rows["model"].astype(str),
        clip=sample,
        pair=sample + "\n" + rows["model"].astype(str) + "\n" + rows["training_seed"].astype(str),
    )
    tidy["cluster"] = _clusters(tidy)
    return tidy.sort_values(["material", "scope", "method", "map_passes", "metric", "pair", "score"], ignore_index=True)


def clustered_by_clips(tidy: pd.DataFrame) -> list[str]:
    """Names of recordings whose intervals rest on clips: of one speaker, or of none that is known."""
    return sorted(set(tidy.loc[tidy["cluster"] == tidy["clip"], "recordings"]))


def by_budget(tidy: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame]]:
    """Rows of every budget; methods that always cost the same are in each."""
    if tidy.empty:
        return
    spent = _budgets(tidy)
    free = tidy.groupby("method")["map_passes"].agg(lambda passes: not set(passes) & set(spent))
    always = tidy["method"].map(free) | tidy["method"].isin(CONTROLS)
    for budget in spent:
        yield budget, tidy[always | (tidy["map_passes"] == budget)]


def by_scope(tidy: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Rows of every dataset × architecture, then of all together where there are several."""
    scopes = sorted(set(tidy["scope"]))
    yield from ((scope, tidy[tidy["scope"] == scope]) for scope in scopes)
    if len(scopes) > 1:
        yield ALL, tidy


def _clusters(tidy: pd.DataFrame) -> "pd.Series[Any]":
    """Speakers, their names made distinct between datasets; clips where a dataset has one speaker only."""
    speakers = tidy["recordings"] + "\nspeaker " + tidy["speaker"].astype(str)
    several = tidy.groupby("recordings")["speaker"].transform("nunique") > 1
    return speakers.where(several & tidy["speaker"].notna(), tidy["clip"])


def _budgets(tidy: pd.DataFrame) -> list[int]:
    own = tidy.loc[tidy["method"] == REFERENCE, "map_passes"]
    if own.empty:
        own = tidy.loc[~tidy["method"].isin(CONTROLS), "map_passes"]
    if own.empty:
        own = tidy["map_passes"]
    return sorted(int(passes) for passes in own.unique())


def _means(tidy: pd.DataFrame) -> pd.DataFrame:
    records = [
        {
            "material": material,
            "scope": scope,
            "gradients": budget,
            "method": method,
            "metric": metric,
            "cost": int(cell["map_passes"].iloc[0]),
            **asdict(pooled_mean(cell["score"], cell["cluster"], cell["recordings"]).interval()),
        }
        for material in in_order(set(tidy["material"]), (CLIPS, *TRUTHS))
        for budget, at in by_budget(tidy[(tidy["material"] == material) & (tidy["metric"] != GAP)])
        for scope, part in by_scope(at)
        for (method, metric), cell in part.groupby(["method", "metric"])
    ]
    return _sorted(pd.DataFrame(records), "method")


def _compared(clips: pd.DataFrame, reference: str, methods: list[str]) -> pd.DataFrame:
    """Every method against one under the worse removal, Holm over the methods of a scope and budget."""
    tables = []
    for budget, at in by_budget(clips[clips["metric"] == LEADING]):
        for scope, part in by_scope(at[at["method"].isin([*methods, reference])]):
            keys = ["pair", "cluster", "recordings", "clip"]
            scores = part.groupby([*keys, "method"], sort=True)["score"].mean().unstack("method")  # noqa: PD010 (keeps NaN)
            if reference not in scores or scores.shape[1] < 2:
                continue
            units = {key: scores.index.get_level_values(key) for key in keys}
            table = compare_with(reference, scores, units["cluster"], units["recordings"])
            differences = (scores[method] - scores[reference] for method in table["first"])
            table["p_clips"] = [
                pooled_mean(difference, units["clip"], units["recordings"]).p_value for difference in differences
            ]
            table["p_clips_holm"] = holm(table["p_clips"])
            tables.append(table.assign(scope=scope, gradients=budget))
    return _sorted(pd.concat(tables, ignore_index=True), "first") if tables else pd.DataFrame()


def _towards_best(leads: pd.DataFrame) -> pd.DataFrame:
    """Comparisons turned round, so that the best method comes first."""
    swapped = leads.assign(first=leads["second"], second=leads["first"])
    for name in ("mean", "d_z", "rank_biserial"):
        low, high = ("low", "high") if name == "mean" else (f"{name}_low", f"{name}_high")
        swapped[name] = -leads[name]
        swapped[low], swapped[high] = -leads[high], -leads[low]
    swapped["superiority"] = 1 - leads["superiority"]
    swapped["superiority_low"] = 1 - leads["superiority_high"]
    swapped["superiority_high"] = 1 - leads["superiority_low"]
    return swapped.reset_index(drop=True)


def _gaps(clips: pd.DataFrame) -> pd.DataFrame:
    own = clips[(clips["metric"] == GAP) & clips["score"].notna()]
    if own.empty:
        return pd.DataFrame()
    records = [
        {
            "scope": scope,
            "gradients": budget,
            "method": method,
            "median": float(cell["score"].median()),
            "p95": float(np.percentile(cell["score"], 95)),
            "n": len(cell),
        }
        for budget, at in by_budget(own)
        for scope, part in by_scope(at)
        for method, cell in part.groupby("method")
    ]
    return _sorted(pd.DataFrame(records), "method")


def _best(means: pd.DataFrame, budget: int) -> str | None:
    own = means[(means["material"] == CLIPS) & (means["metric"] == LEADING) & (means["gradients"] == budget)]
    if own.empty:
        return None
    overall = ALL if ALL in set(own["scope"]) else own["scope"].iloc[0]
    own = own[(own["scope"] == overall) & own["mean"].notna()]
    own = own[own["method"].isin(audio_methods(list(own["method"])))]
    ranked = sorted(zip(-own["mean"], own["method"], strict=True))
    return str(ranked[0][1]) if ranked else None


def _sorted(table: pd.DataFrame, method: str) -> pd.DataFrame:
    """Materials, scopes, budgets, metrics and methods in the report's order, the pooled scope last."""
    if table.empty:
        return table
    ranks = {
        "material": (CLIPS, *TRUTHS),
        "scope": (*sorted(set(table["scope"]) - {ALL}), ALL),
        "metric": in_order(table["metric"], METRICS) if "metric" in table else (),
        method: in_order({*table[method]}, METHODS),
    }
    keys = pd.DataFrame(
        {
            name: table[name].map(list(ranks[name]).index) if name in ranks else table[name]
            for name in ("material", "scope", "gradients", "metric", method)
            if name in table
        }
    )
    return table.loc[keys.sort_values(list(keys.columns), kind="stable").index].reset_index(drop=True)
