"""Explanations of audio classifiers: made, measured, and compared.

>>> import audioxai as ax
>>> "ordered" in ax.methods.METHODS
True
"""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"

# Public name → where it is; read when it is first used, so that importing the package costs nothing.
_PUBLIC = {
    "Explanation": "audioxai.explanation:Explanation",
    "Model": "audioxai.models.loading:Model",
    "Scores": "audioxai.evaluation:Scores",
    "evaluate": "audioxai.evaluation:evaluate",
    "explain": "audioxai.api:explain",
    "load_model": "audioxai.models.loading:load_model",
    "methods": "audioxai.xai_methods",
    "metrics": "audioxai.metrics",
    "baselines": "audioxai.baselines",
    "datasets": "audioxai.datasets",
    "domains": "audioxai.domains",
    "testing": "audioxai.testing",
    "AudioFolder": "audioxai.datasets:AudioFolder",
    "Cell": "audioxai.experiment:Cell",
    "DataSpec": "audioxai.experiment:DataSpec",
    "MetricSpec": "audioxai.experiment:MetricSpec",
    "ModelSpec": "audioxai.experiment:ModelSpec",
    "Results": "audioxai.results:Results",
    "RunOptions": "audioxai.experiment:RunOptions",
    "Study": "audioxai.experiment:Study",
    "run": "audioxai.experiment:run_study",
    "UserError": "audioxai.utils.errors:UserError",
}
__all__ = [*_PUBLIC, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _PUBLIC[name].partition(":")
    found = import_module(module)
    value = getattr(found, attribute) if attribute else found
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
