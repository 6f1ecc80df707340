"""Results of studies whose cells are conditions: the same measures where one thing differs, and what it changes.

A study that compares conditions names the condition of every cell in its context, in the order of its cells. Samples
are followed over conditions by their ids, whatever their data set is called there.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import pandas as pd

from audioxai.report.estimates import prepared
from audioxai.report.style import span
from audioxai.statistics import MeanEstimate, paired_differences, score_mean
from audioxai.statistics import contrast as combined
from audioxai.utils.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from audioxai.results import ExplainedCell, ResultSet

Stated = TypeVar("Stated")


def by_cell(results: "ResultSet", stated: Sequence[Stated]) -> "list[tuple[Stated, ExplainedCell, Mapping[str, Any]]]":
    """What is stated of every cell, with its explained samples and the card of its model.

    Raises
    ------
    UserError
        If the results do not hold as many cells as are stated.
    """
    if len(stated) != len(results.cells):
        raise UserError(
            f"the results of {results.study} hold {len(results.cells)} cells of {len(stated)} conditions; run the "
            "study to its end"
        )
    cards = {(card["weights_sha256"], card["data_fingerprint"]): card for card in results.models}
    return [(own, cell, cards[cell.model_key]) for own, cell in zip(stated, results.cells, strict=True)]


def rows_by_condition(results: "ResultSet", names: Sequence[str]) -> pd.DataFrame:
    """Tidy rows with their ``condition``; a pair is a sample of one training seed.

    Clusters are groups where a data set has several, else samples, as everywhere; they keep their number whatever the
    data set is called in another condition.

    Parameters
    ----------
    results : ResultSet
        Of the study.
    names : sequence of str
        Condition of every cell.
    """
    known = {
        (card["weights_sha256"], cell.dataset, cell.modality, cell.resolution): name
        for name, cell, card in by_cell(results, names)
    }
    rows = results.rows
    keys = zip(rows["checkpoint"], rows["dataset"], rows["modality"], rows["resolution"], strict=True)
    found = prepared(rows.assign(condition=[known[key] for key in keys]))
    pairs = found["sample"].astype(str) + "\n" + found["training_seed"].astype(str)
    several = found.groupby("dataset")["group"].transform("nunique") > 1
    groups = found["group"].where(several & found["group"].notna(), found["sample"]).astype(str)
    return found.assign(pair=pd.factorize(pairs, sort=True)[0], cluster=pd.factorize(groups, sort=True)[0])


def mean_of(rows: pd.DataFrame) -> MeanEstimate:
    """Mean score of rows, every score alike."""
    return score_mean(rows["score"], rows["cluster"])


def difference(first: pd.DataFrame, second: pd.DataFrame, paired: bool) -> MeanEstimate:
    """Difference of the mean scores of two sets of rows of one method and metric.

    Parameters
    ----------
    first, second : DataFrame
        Rows of :func:`rows_by_condition`.
    paired : bool
        Whether it is the mean over the pairs that both have; independent groups otherwise.
    """
    if not paired:
        return combined([mean_of(first), mean_of(second)], [1, -1])
    one, other = (rows.set_index("pair")["score"] for rows in (first, second))
    pairs = one.index.intersection(other.index).sort_values()
    clusters = first.set_index("pair")["cluster"].loc[pairs]
    return score_mean(paired_differences(one.loc[pairs], other.loc[pairs]), clusters)


def origin(results: "ResultSet") -> "Mapping[str, Any]":
    """Where the numbers come from, without what is stated of every cell."""
    return {name: value for name, value in results.context.items() if name not in ("conditions", "steps")}


def sizes(frame: pd.DataFrame) -> str:
    """``n = 80 scores per cell from 12–40 clusters``, for captions."""
    return f"n = {span(frame['n'])} scores per cell from {span(frame['clusters'])} clusters"
