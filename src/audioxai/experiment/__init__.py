"""Studies: declared, planned, run. A study is data; the runner is the same for all of them."""

from audioxai.experiment.execution import run, run_study
from audioxai.experiment.models import DataSpec, ModelSpec
from audioxai.experiment.plan import Plan
from audioxai.experiment.runner import results_of
from audioxai.experiment.study import Cell, MetricSpec, RunOptions, Study

__all__ = [
    "Cell",
    "DataSpec",
    "MetricSpec",
    "ModelSpec",
    "Plan",
    "RunOptions",
    "Study",
    "results_of",
    "run",
    "run_study",
]
