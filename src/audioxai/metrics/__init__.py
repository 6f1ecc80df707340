"""Metrics of explanations, by families, over one engine that carries out their model passes.

``METRICS`` holds every metric by name; :meth:`~audioxai.registry.Entry.bind` makes one for an explainer, a baseline and
so on. The classes are in the modules of their families: :mod:`~audioxai.metrics.faithfulness`,
:mod:`~audioxai.metrics.robustness`, :mod:`~audioxai.metrics.complexity`, :mod:`~audioxai.metrics.randomisation`,
:mod:`~audioxai.metrics.localisation` and :mod:`~audioxai.metrics.axiomatic`.
"""

from audioxai.metrics.batch import Batch, PassMetric, evaluate
from audioxai.metrics.functions import FromFunction
from audioxai.metrics.noise import LevelNoise, RangeNoise, SignalNoise
from audioxai.metrics.registry import METRICS, THESIS_METRICS, metric, setting_types

__all__ = [
    "METRICS",
    "THESIS_METRICS",
    "Batch",
    "FromFunction",
    "LevelNoise",
    "PassMetric",
    "RangeNoise",
    "SignalNoise",
    "evaluate",
    "metric",
    "setting_types",
]
