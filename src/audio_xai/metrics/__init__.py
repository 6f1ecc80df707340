"""Metrics, one file a family, over one pass engine."""

from collections.abc import Callable
from dataclasses import dataclass

from audio_xai.baselines import Baseline
from audio_xai.core import Explainer
from audio_xai.metrics.batch import PassMetric
from audio_xai.metrics.complexity import Sparseness
from audio_xai.metrics.faithfulness import FaithfulnessCorrelation
from audio_xai.metrics.randomisation import ModelParameterRandomisation, RandomLogit
from audio_xai.metrics.robustness import AverageSensitivity, RangeNoise, SignalNoise
from audio_xai.utils.errors import UserError


@dataclass(frozen=True)
class Setting:
    """What metrics need to know of the study they serve.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    baseline : Baseline
        What stands for "removed".
    noise : SignalNoise or RangeNoise
        What disturbs inputs.
    class_count : int
        Classes of the model.
    faithfulness_runs, sensitivity_draws, alternatives : int
        How often each random experiment is repeated.
    seed : int
        Of everything random.
    """

    explainer: Explainer
    baseline: Baseline
    noise: SignalNoise | RangeNoise
    class_count: int
    faithfulness_runs: int = 100
    sensitivity_draws: int = 10
    alternatives: int = 3
    seed: int = 0


METRICS: dict[str, Callable[[Setting], PassMetric]] = {
    "faithfulness_correlation": lambda s: FaithfulnessCorrelation(s.baseline, runs=s.faithfulness_runs, seed=s.seed),
    "average_sensitivity": lambda s: AverageSensitivity(s.explainer, s.noise, s.sensitivity_draws, s.seed),
    "sparseness": lambda _: Sparseness(),
    "random_logit": lambda s: RandomLogit(s.explainer, s.class_count, s.alternatives, s.seed),
    "mprt": lambda s: ModelParameterRandomisation(s.explainer, s.seed),
}


def metric(name: str, setting: Setting) -> PassMetric:
    """Registered metric.

    Raises
    ------
    UserError
        If there is none of that name.
    """
    if name not in METRICS:
        raise UserError(f"metric is {name!r}; choose among {', '.join(METRICS)}")
    return METRICS[name](setting)
