from audioxai import baselines, datasets, domains, metrics
from audioxai import testing as testing
from audioxai import xai_methods as methods
from audioxai.api import explain
from audioxai.datasets import AudioFolder
from audioxai.evaluation import Scores, evaluate
from audioxai.experiment import Cell, DataSpec, MetricSpec, ModelSpec, RunOptions, Study
from audioxai.experiment import run_study as run
from audioxai.explanation import Explanation
from audioxai.models.loading import Model, load_model
from audioxai.results import Results
from audioxai.utils.errors import UserError

__version__: str
__all__ = [
    "AudioFolder",
    "Cell",
    "DataSpec",
    "Explanation",
    "MetricSpec",
    "Model",
    "ModelSpec",
    "Results",
    "RunOptions",
    "Scores",
    "Study",
    "UserError",
    "__version__",
    "baselines",
    "datasets",
    "domains",
    "evaluate",
    "explain",
    "load_model",
    "methods",
    "metrics",
    "run",
    "testing",
]
