"""The registry of metrics.

A metric states its facts as class attributes and is registered by a decorator::

    @metric("peak")
    @dataclass(frozen=True)
    class Peak(PassMetric):
        label: ClassVar[str] = "Largest share"
        ...
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, get_type_hints

from audioxai.registry import MetricEntry, Registry
from audioxai.utils.errors import UserError
from audioxai.utils.names import nearest

METRICS: Registry[MetricEntry] = Registry("metric", MetricEntry, "audioxai.metrics")
# The five metrics of the thesis, the default of Objective 1.
THESIS_METRICS = ("faithfulness_correlation", "average_sensitivity", "sparseness", "random_logit", "mprt")

# Parameters that whoever evaluates decides; every other one is a setting.
BOUND = ("explainer", "baseline", "noise", "class_count", "domain", "stft", "removals", "seed")

FACTS = (
    "label",
    "short",
    "family",
    "higher_is_better",
    "score_range",
    "source",
    "revision",
    "needs_masks",
    "needs_change",
)
MetricClass = TypeVar("MetricClass", bound=type)


def metric(name: str) -> Callable[[MetricClass], MetricClass]:
    """Class decorator that registers a metric under ``name``, with the facts that the class states.

    Raises
    ------
    UserError
        If the name is taken, or a fact is missing.
    """

    def register(metric_class: MetricClass) -> MetricClass:
        METRICS.add(entry_of(name, metric_class))
        return metric_class

    return register


def entry_of(name: str, metric: Any, make: Callable[..., Any] | None = None, **facts: Any) -> MetricEntry:
    """Entry with the facts that a metric, or a class of metrics, states.

    Parameters
    ----------
    name : str
        Key in the registry and in result rows.
    metric : PassMetric or subclass
        What states the facts.
    make : callable, optional
        Returns the metric; ``metric`` itself if not given. A variant with options fixed is a ``functools.partial``.
    **facts
        What is stated differently for this entry.

    Raises
    ------
    UserError
        If a fact is missing.
    """
    missing = [fact for fact in FACTS if fact not in facts and not hasattr(metric, fact)]
    if missing:
        raise UserError(f"metric {name!r} does not state {', '.join(missing)}; add class attributes of these names")
    stated = {fact: getattr(metric, fact) for fact in FACTS if fact not in facts}
    return MetricEntry(name=name, make=metric if make is None else make, **(stated | facts))


def setting_types(metrics: Iterable[str], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Type of every setting that registered metrics have.

    Raises
    ------
    UserError
        If a metric is not known, or a setting is none of them.
    """
    types: dict[str, Any] = {}
    for name in metrics:
        entry = METRICS[name]
        hints = get_type_hints(getattr(entry.make, "func", entry.make))
        types |= {setting: hints[setting] for setting in entry.parameters if setting in hints and setting not in BOUND}
    for setting in settings:
        if setting not in types:
            known = ", ".join(types) or "none"
            raise UserError(
                f"none of the metrics has the setting {setting!r}{nearest(str(setting), types)}; there is {known}"
            )
    return types
