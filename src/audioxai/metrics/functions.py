"""Adapters that make other people's scoring code a metric here, under a stated name and revision."""

from abc import abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import InitVar, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from audioxai.core import evaluating
from audioxai.metrics.batch import Batch, PassMetric, masks_of
from audioxai.metrics.engine import Scoring, Work
from audioxai.metrics.registry import entry_of
from audioxai.registry import MetricEntry
from audioxai.utils.errors import UserError

ScoringFunction = Callable[..., Tensor]


@dataclass(frozen=True, kw_only=True)
class Adapter(PassMetric):
    """Facts that an adapted metric states as fields; together with the name they are its whole configuration.

    Attributes
    ----------
    name : str
        Name in results. Whatever it calls is identified by name and revision alone.
    revision : int
        To be raised when the code that it calls gives other scores.
    higher_is_better : bool or None
        Direction; None where neither end is better.
    score_range : tuple of float
        Smallest and largest possible score.
    label, short, family, source
        As in :class:`~audioxai.metrics.PassMetric`; the label is made of the name if not given.
    needs_masks : bool
        Whether masks are handed on.
    passes_per_sample : int or None
        Model passes that a sample takes; None where it is not known, so that costs cannot be foreseen.
    """

    name: str
    revision: int = 1  # type: ignore[misc]
    higher_is_better: bool | None = None  # type: ignore[misc]
    score_range: tuple[float, float] = (float("-inf"), float("inf"))  # type: ignore[misc]
    label: str = ""  # type: ignore[misc]
    short: str = ""  # type: ignore[misc]
    family: str = "adapted"  # type: ignore[misc]
    source: str = ""  # type: ignore[misc]
    needs_masks: bool = False  # type: ignore[misc]
    passes_per_sample: int | None = None

    # Nothing is claimed of what the adapted code does with these.
    few_values: ClassVar[bool] = True
    scale_matters: ClassVar[bool] = True

    def _check_facts(self) -> None:
        """Refuse what identifies nothing, and complete the label."""
        if not self.name or self.revision < 1:
            raise UserError(f"name is {self.name!r} and revision {self.revision}; give a name and a revision from 1 on")
        if not self.label:
            object.__setattr__(self, "label", self.name.replace("_", " ").capitalize())

    @property
    def states_passes(self) -> bool:  # type: ignore[override]
        """Whether :meth:`passes` is known."""
        return self.passes_per_sample is not None

    @property
    def uses_passes(self) -> bool:  # type: ignore[override]
        """Whether anything is sent through the model, as far as is known."""
        return self.passes_per_sample != 0

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """``passes_per_sample`` per sample; 0 where it is not known."""
        return (self.passes_per_sample or 0) * len(inputs)

    @abstractmethod
    def scores(self, batch: Batch, attributions: Tensor, masks: Tensor | None, samples: Tensor) -> Tensor:
        """Scores ``(n,)`` of the samples at these places ``(n,)``; ``masks`` as the batch's, where needed."""

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores as the adapted code gives them."""
        masks = masks_of(batch, self.label).reshape(batch.inputs.shape) if self.needs_masks else None
        values = torch.full((len(batch),), torch.nan, dtype=torch.float64, device=batch.inputs.device)

        def call(samples: Tensor) -> Tensor:
            with torch.enable_grad():
                scores = self.scores(batch, attributions, masks, samples).detach()
            if scores.shape != samples.shape:
                raise UserError(
                    f"{self.label} returned scores of shape {tuple(scores.shape)} for {len(samples)} samples; "
                    "it has to return one score per sample"
                )
            return scores.double()

        def take(samples: Tensor, scores: Tensor) -> None:
            values[samples] = scores.to(values)

        # The second tensor that a route gets is whatever `make` returns: here the samples' places.
        yield [
            Work(
                _FunctionRoute(call, self.passes_per_sample or 0),
                tuple(batch.inputs.shape[1:]),
                len(batch),
                batch.inputs.device,
                lambda samples: (batch.inputs[samples], samples),
                take,
            )
        ]
        return values


@dataclass(frozen=True, eq=False)
class _FunctionRoute:
    """Calls a function of the samples' places; never stacked with other work."""

    call: Callable[[Tensor], Tensor]
    passes_per_sample: int

    @property
    def key(self) -> Hashable:
        """The object itself, which lives as long as its work."""
        return ("function", id(self))

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:  # noqa: ARG002 (the interface)
        return self.call(targets)

    def passes(self, inputs: Tensor) -> int:
        return self.passes_per_sample * len(inputs)


@dataclass(frozen=True, kw_only=True)
class FromFunction(Adapter):
    """A plain scoring function as a metric.

    Parameters
    ----------
    function : callable
        ``function(model, inputs, targets, attributions)``, with ``needs_masks`` also ``masks``, returns scores
        ``(batch,)``, NaN where undefined. The model is in evaluation mode. A score may depend on its own sample only;
        :func:`~audioxai.testing.metrics.check_metric` tests that.

    Examples
    --------
    >>> def peak(model, inputs, targets, attributions):
    ...     magnitudes = attributions.abs().flatten(1)
    ...     return magnitudes.amax(1) / magnitudes.sum(1)
    >>> metric = FromFunction(function=peak, name="peak", higher_is_better=True, passes_per_sample=0)
    >>> METRICS.add(metric.entry())  # doctest: +SKIP
    """

    function: InitVar[ScoringFunction]

    def __post_init__(self, function: ScoringFunction) -> None:
        self._check_facts()
        object.__setattr__(self, "_function", function)

    def scores(self, batch: Batch, attributions: Tensor, masks: Tensor | None, samples: Tensor) -> Tensor:
        """What the function returns."""
        function: ScoringFunction = vars(self)["_function"]
        given = [batch.inputs[samples], batch.targets[samples], attributions[samples]]
        with evaluating(batch.model):
            return function(batch.model, *given, *([] if masks is None else [masks[samples]]))

    def entry(self) -> MetricEntry:
        """Its entry for ``METRICS.add``."""

        def make() -> FromFunction:
            return self

        return entry_of(self.name, self, named_as(make, vars(self)["_function"]))


def named_as(make: Callable[..., Any], origin: Any) -> Callable[..., Any]:
    """``make`` under the name of what it adapts, by which a registry tells two entries of one name apart."""
    make.__module__ = origin.__module__
    make.__qualname__ = getattr(origin, "__qualname__", type(origin).__qualname__)
    return make
