"""Metrics, one family a file or folder, over one pass engine."""

from collections.abc import Callable
from dataclasses import dataclass

from audioxai.baselines import Baseline
from audioxai.core import Explainer
from audioxai.metrics.axiomatic import Completeness, InputInvariance, NonSensitivity
from audioxai.metrics.batch import PassMetric
from audioxai.metrics.complexity import Complexity, EffectiveComplexity, Sparseness
from audioxai.metrics.faithfulness import (
    AverageDrop,
    AverageGain,
    AverageIncrease,
    Comprehensiveness,
    ContributionInfidelity,
    Deletion,
    FaithfulnessCorrelation,
    FaithfulnessEstimate,
    Infidelity,
    InputFidelity,
    Insertion,
    MaskFaithfulness,
    Road,
    Sufficiency,
)
from audioxai.metrics.localisation import Focus, PointingGame, RelevanceMass, RelevanceRank, TopKIntersection
from audioxai.metrics.randomisation import EfficientMprt, ModelParameterRandomisation, RandomLogit, SmoothMprt
from audioxai.metrics.robustness import (
    AverageSensitivity,
    LocalLipschitz,
    MaximumSensitivity,
    RangeNoise,
    RelativeInputStability,
    SignalNoise,
)
from audioxai.utils.errors import UserError


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
    shift : float
        What input invariance adds to inputs, in their unit.
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
    shift: float = 1.0
    seed: int = 0


METRICS: dict[str, Callable[[Setting], PassMetric]] = {
    # Faithfulness.
    "faithfulness_correlation": lambda s: FaithfulnessCorrelation(s.baseline, runs=s.faithfulness_runs, seed=s.seed),
    "faithfulness_estimate": lambda s: FaithfulnessEstimate(s.baseline, seed=s.seed),
    "deletion": lambda s: Deletion(s.baseline, seed=s.seed),
    "insertion": lambda s: Insertion(s.baseline, seed=s.seed),
    "road": lambda s: Road(seed=s.seed),
    "infidelity": lambda s: Infidelity(s.baseline, runs=s.faithfulness_runs, seed=s.seed),
    "contribution_infidelity": lambda s: ContributionInfidelity(s.baseline, runs=s.faithfulness_runs, seed=s.seed),
    "comprehensiveness": lambda s: Comprehensiveness(s.baseline, seed=s.seed),
    "sufficiency": lambda s: Sufficiency(s.baseline, seed=s.seed),
    "average_increase": lambda s: AverageIncrease(s.baseline),
    "average_drop": lambda s: AverageDrop(s.baseline),
    "average_gain": lambda s: AverageGain(s.baseline),
    "mask_faithfulness": lambda s: MaskFaithfulness(s.baseline),
    "input_fidelity": lambda s: InputFidelity(s.baseline),
    # Robustness.
    "average_sensitivity": lambda s: AverageSensitivity(s.explainer, s.noise, s.sensitivity_draws, s.seed),
    "maximum_sensitivity": lambda s: MaximumSensitivity(s.explainer, s.noise, s.sensitivity_draws, s.seed),
    "local_lipschitz": lambda s: LocalLipschitz(s.explainer, s.noise, s.sensitivity_draws, s.seed),
    "relative_input_stability": lambda s: RelativeInputStability(s.explainer, s.noise, s.sensitivity_draws, s.seed),
    # Complexity.
    "sparseness": lambda _: Sparseness(),
    "complexity": lambda _: Complexity(),
    "effective_complexity": lambda _: EffectiveComplexity(),
    # Randomisation.
    "random_logit": lambda s: RandomLogit(s.explainer, s.class_count, s.alternatives, s.seed),
    "mprt": lambda s: ModelParameterRandomisation(s.explainer, s.seed),
    "smooth_mprt": lambda s: SmoothMprt(s.explainer, s.noise, s.sensitivity_draws, s.seed),
    "efficient_mprt": lambda s: EfficientMprt(s.explainer, seed=s.seed),
    # Localisation: these need masks.
    "relevance_mass": lambda _: RelevanceMass(),
    "relevance_rank": lambda _: RelevanceRank(),
    "pointing_game": lambda _: PointingGame(),
    "top_k_intersection": lambda _: TopKIntersection(),
    "focus": lambda _: Focus(),
    # Axioms.
    "completeness": lambda s: Completeness(s.baseline),
    "non_sensitivity": lambda s: NonSensitivity(s.baseline),
    "input_invariance": lambda s: InputInvariance(s.explainer, s.shift),
}
# The thesis' own choice, and the default of Objective 1; README and docs/metrics.md tell what each asks.
THESIS_METRICS = ("faithfulness_correlation", "average_sensitivity", "sparseness", "random_logit", "mprt")


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
