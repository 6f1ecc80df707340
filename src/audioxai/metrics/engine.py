"""The pass engine: carries out the model passes of all metrics, stacked into calls of the size that suits the device.

Idea
----
A metric never calls the model. It is a generator that yields *work* (how many inputs, how to make them, what to do with
each outcome) and returns its scores once that work is done. The engine advances any number of metrics together: work
along the same route is stacked across runs, samples and metrics, work that several metrics or methods share is done
once, and only what a metric takes from an outcome is kept.

Conventions
-----------
A *run* is one perturbation of every sample. Pairs of run and sample are numbered run by run, ``pair = run · batch +
sample``, so that what a run needs (a random pattern, a randomised model) is made once and then dropped: memory does not
grow with the number of runs. Outcomes do not depend on how pairs are divided into calls.
"""

import math
import time
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from audioxai.core import Explainer, all_finite, attributions_shape, evaluating, logits_of
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import inputs_per_call, slices


class Route(Protocol):
    """What inputs are sent through: the model, or an explainer; work with equal ``key`` is stacked."""

    @property
    def key(self) -> Hashable:
        """Equal for routes that are one and the same."""
        ...

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Outcomes ``(n, …)`` of inputs ``(n, 1, …)`` and targets ``(n,)``."""
        ...

    def passes(self, inputs: Tensor) -> int:
        """Model passes that these inputs take."""
        ...


@dataclass(frozen=True, eq=False)
class ModelRoute:
    """Through the model, without gradients, to logits ``(n, classes)``."""

    model: nn.Module

    @property
    def key(self) -> Hashable:
        """The model itself."""
        return ("forward", id(self.model))

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Logits ``(n, classes)``."""
        # Not in inference mode: what a model keeps of its calls could not be used with autograd afterwards.
        with torch.inference_mode(mode=False), torch.no_grad(), evaluating(self.model):
            return logits_of(self.model, inputs, targets)

    def passes(self, inputs: Tensor) -> int:
        """One per input."""
        return len(inputs)


@dataclass(frozen=True, eq=False)
class ExplainerRoute:
    """Through an explainer, to attributions shaped like the inputs or as its own domain says."""

    explainer: Explainer
    model: nn.Module

    @property
    def key(self) -> Hashable:
        """The explainer and the model themselves."""
        return ("explained", id(self.explainer), id(self.model))

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Attributions ``(n, 1, …)``."""
        with torch.enable_grad():
            attributions = self.explainer(self.model, inputs, targets)
        due = attributions_shape(self.explainer, inputs)
        if tuple(attributions.shape) != due:
            raise UserError(
                f"the explainer returned attributions of shape {tuple(attributions.shape)} for inputs of "
                f"{tuple(inputs.shape)}; they have to be of {due}"
            )
        if not all_finite(attributions):
            raise UserError(
                f"the explainer {type(self.explainer).__name__} returned NaN or infinity; check the model's weights, "
                "the inputs and what the explainer divides by"
            )
        return attributions.detach()

    def passes(self, inputs: Tensor) -> int:
        """What the explainer says."""
        return self.explainer.passes(inputs)


@dataclass(eq=False)
class Work:
    """Inputs to be sent along a route; they are made just before the call and their outcomes taken just after it.

    Attributes
    ----------
    route : Route
        Where they go.
    shape : tuple of int
        Shape of one input, ``(1, …)``.
    count : int
        How many there are.
    device : torch.device
        Where they are made.
    make : callable
        Maps indices ``(n,)`` below ``count``, ascending, to inputs ``(n, *shape)`` and targets ``(n,)``.
    take : callable
        ``take(indices, outcomes)``; copies what is to be kept.
    done, passes, seconds
        Filled in by the engine: whether all of it was sent, in how many model passes and in what share of the time.
    """

    route: Route
    shape: tuple[int, ...]
    count: int
    device: torch.device
    make: Callable[[Tensor], tuple[Tensor, Tensor]]
    take: Callable[[Tensor, Tensor], None]
    done: bool = False
    passes: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class Estimate:
    """Scores ``(batch,)`` made from random draws, and their standard errors ``(batch,)``, NaN where unknown."""

    scores: Tensor
    standard_errors: Tensor


Scoring = Generator[Sequence[Work], None, Tensor | Estimate]


@dataclass(frozen=True, eq=False)
class Outcome:
    """Scores ``(batch,)`` of one metric, with the model passes and the seconds they took, shared ones included.

    ``standard_errors`` ``(batch,)`` say how far the metric's random draws may have moved the scores; None for a metric
    that does not state them.
    """

    scores: Tensor
    passes: int
    seconds: float
    standard_errors: Tensor | None = None

    def errors(self) -> list[float | None]:
        """Standard errors as plain numbers, None where none is stated."""
        return [None] * len(self.scores) if self.standard_errors is None else self.standard_errors.tolist()


def run(scorings: Sequence[Scoring], advance: Callable[[int], Any] | None = None) -> list[Outcome]:
    """Carry out scorings together and return their outcomes in the same order.

    Parameters
    ----------
    scorings : sequence of Scoring
        As :func:`begin` starts them.
    advance : callable, optional
        Called with the number of passes that were done, or saved because another scoring needed the same.
    """
    running = [_Running(scoring) for scoring in scorings]
    with torch.no_grad():
        while any(scoring.outcome is None for scoring in running):
            yielded = [work for scoring in running for work in scoring.next_stage()]
            due = list(dict.fromkeys(work for work in yielded if not work.done))
            for stack in _stacks([work for work in due if work.count]):
                _send(stack, advance)
            for work in due:
                work.done = True
            if advance:
                advance(sum(work.passes for work in yielded) - sum(work.passes for work in due))
    return [scoring.outcome for scoring in running if scoring.outcome is not None]


class _Running:
    """A scoring with the work that it has yielded so far."""

    def __init__(self, scoring: Scoring) -> None:
        self.scoring = scoring
        self.yielded: list[Work] = []
        self.seconds = 0.0
        self.outcome: Outcome | None = None

    def next_stage(self) -> Sequence[Work]:
        """Work of the next stage; none if the scoring is finished."""
        if self.outcome is not None:
            return ()
        started = time.perf_counter()
        stage: Sequence[Work] = ()
        try:
            stage = next(self.scoring)
            self.yielded.extend(stage)
        except StopIteration as finished:
            self.outcome = self._outcome(finished.value, time.perf_counter() - started)
        self.seconds += time.perf_counter() - started
        return stage

    def _outcome(self, found: Tensor | Estimate, last_seconds: float) -> Outcome:
        passes = sum(work.passes for work in self.yielded)
        seconds = self.seconds + last_seconds + sum(work.seconds for work in self.yielded)
        if isinstance(found, Estimate):
            return Outcome(found.scores, passes, seconds, found.standard_errors)
        return Outcome(found, passes, seconds)


Stack = list[tuple[Work, Tensor]]


def _stacks(works: Sequence[Work]) -> Iterator[Stack]:
    """All inputs of the works, divided into calls: the parts of works that go into one call, which has one route."""
    by_route: dict[Hashable, list[Work]] = {}
    for work in works:
        by_route.setdefault((work.route.key, work.shape), []).append(work)
    for together in by_route.values():
        ends = list(accumulate(work.count for work in together))
        size = inputs_per_call(math.prod(together[0].shape), together[0].device)
        for rows in slices(ends[-1], size):
            yield [
                (work, torch.arange(max(rows.start - end + work.count, 0), min(rows.stop - end, 0) + work.count))
                for work, end in zip(together, ends, strict=True)
                if end > rows.start and end - work.count < rows.stop
            ]


def _send(stack: Stack, advance: Callable[[int], Any] | None) -> None:
    """Make one call: make the inputs, send them along the route, hand the outcomes to each work."""
    started = time.perf_counter()
    route = stack[0][0].route
    parts = [(work, indices.to(work.device)) for work, indices in stack]
    made = [work.make(indices) for work, indices in parts]
    inputs, targets = (torch.cat(each) if len(made) > 1 else each[0] for each in zip(*made, strict=True))
    outcomes = torch.split(route(inputs, targets), [len(indices) for _, indices in parts])
    for (work, indices), outcome in zip(parts, outcomes, strict=True):
        work.take(indices, outcome)
        work.passes += route.passes(inputs[: len(indices)])
    seconds = time.perf_counter() - started
    for work, indices in parts:
        work.seconds += seconds * len(indices) / len(inputs)
    if advance:
        advance(route.passes(inputs))
