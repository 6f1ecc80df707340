"""What scoring will cost: model passes of every metric, known before anything runs."""

import pandas as pd
import torch

from audioxai.core import Metric
from audioxai.models import build
from audioxai.studies.objective1.config import Objective1Config
from audioxai.studies.objective1.plan import CLASS_COUNT, Cell, own_cells, paths, scorer


def passes_of(cell: Cell, metric: Metric) -> int:
    """Model passes that a metric takes on all samples of a cell, counted without a weight or a sample."""
    with torch.device("meta"):
        body = build(cell.wanted.architecture, cell.domain, CLASS_COUNT, cell.wanted.training.seed).body
        inputs = torch.empty(cell.samples, 1, *cell.domain.shape)
    return metric.passes(body, inputs)


def pass_budget(config: Objective1Config) -> pd.DataFrame:
    """One row a cell × method × metric of the study.

    Returns
    -------
    DataFrame
        Columns ``dataset``, ``resolution``, ``seed``, ``samples``, ``method``, ``metric``, ``passes`` (what the metric
        takes by itself; passes that do not depend on the method are sent once and shared) and ``done`` (whether the
        scores are in the store).
    """
    return pd.DataFrame(
        [
            {
                "dataset": cell.wanted.dataset,
                "resolution": cell.wanted.resolution,
                "seed": cell.wanted.training.seed,
                "samples": cell.samples,
                "method": method,
                "metric": name,
                "passes": passes_of(cell, scorer(config, cell, method, name)),
                "done": _done(config, cell, method, name),
            }
            for cell in own_cells(config, "image") + own_cells(config, "audio")
            for name in config.metrics
            for method in config.methods
        ]
    )


def _done(config: Objective1Config, cell: Cell, method: str, name: str) -> bool:
    place = paths(config, cell)
    return place.trained and place.scores(method, scorer(config, cell, method, name), name).exists()
