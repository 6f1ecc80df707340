"""What metrics share: the batch they judge, what they ask of its model, and how they are carried out together."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from audioxai.core import Explainer, all_finite
from audioxai.metrics.engine import Explained, Forward, Route, Scoring, Work, run
from audioxai.utils.errors import UserError
from audioxai.utils.progress import bar

Perturbation = Callable[[Tensor, Tensor], Tensor]
Reading = Callable[[Tensor, Tensor], Tensor]
Shared = TypeVar("Shared")

# Units in the last place of two logits up to which their difference may be rounding alone.
ROUNDING = 16


@dataclass(eq=False)
class Responses:
    """What the model says of every sample under every run, once its work is done.

    Attributes
    ----------
    work : Work
        To be yielded by the metric that reads ``values``.
    values : Tensor
        ``(batch, runs)``, or ``(batch, runs, classes)`` where whole logits were asked for.
    """

    work: Work
    values: Tensor


def target_logit(logits: Tensor, targets: Tensor) -> Tensor:
    """Logit of the target, ``(n,)``."""
    return logits.gather(1, targets[:, None])[:, 0]


def target_probability(logits: Tensor, targets: Tensor) -> Tensor:
    """Softmax probability of the target, ``(n,)``."""
    return target_logit(logits.softmax(1), targets)


def rounding_of(first: Tensor, second: Tensor) -> Tensor:
    """Size up to which the difference of two logits, shapes that broadcast, may be rounding alone; float64."""
    largest = torch.maximum(first.double().abs(), second.double().abs())
    return ROUNDING * torch.finfo(first.dtype).eps * largest


@dataclass(frozen=True, eq=False)
class Batch:
    """Samples of one model that are judged together, and what has been asked of the model about them so far.

    Attributes
    ----------
    model : nn.Module
        Takes ``inputs`` and returns logits ``(batch, classes)``.
    inputs, targets : Tensor
        ``(batch, 1, …)`` and class indices ``(batch,)``.
    masks : Tensor, optional
        Boolean, shaped like ``inputs``, True where relevance is known to belong. Localisation metrics need them.
    """

    model: nn.Module
    inputs: Tensor
    targets: Tensor
    masks: Tensor | None = None
    _made: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.inputs)

    def shared(self, key: Hashable, make: Callable[[], Shared]) -> Shared:
        """What ``make()`` returned for this key the first time: asked once, read by every metric and method."""
        if key not in self._made:
            self._made[key] = make()
        made: Shared = self._made[key]
        return made

    def plain(self, reading: Reading = target_logit) -> Responses:
        """Responses ``(batch, 1)`` to the inputs as they are, which are sent once whatever is read off them."""
        whole = self.shared("plain", lambda: _Whole(self))
        return whole.read(reading)

    def responses(self, perturbation: Perturbation, runs: int, reading: Reading = target_logit) -> Responses:
        """Responses ``(batch, runs)`` under perturbations.

        Parameters
        ----------
        perturbation : callable
            ``perturbation(samples, runs)``, two index tensors ``(pairs,)``, runs ascending → inputs ``(pairs, 1, …)``.
        runs : int
            Perturbations of each sample.
        reading : callable
            What is read off logits ``(pairs, classes)`` and targets ``(pairs,)``: one number a pair.
        """
        values = self._unread(runs)

        def make(pairs: Tensor) -> tuple[Tensor, Tensor]:
            samples = pairs % len(self)
            return perturbation(samples, pairs // len(self)), self.targets[samples]

        def take(pairs: Tensor, logits: Tensor) -> None:
            samples = pairs % len(self)
            values[samples, pairs // len(self)] = reading(logits, self.targets[samples]).to(values.dtype)

        return Responses(self._work(Forward(self.model), len(self) * runs, make, take), values)

    def explanations(
        self,
        explainer: Explainer,
        perturbation: Perturbation,
        runs: int,
        take: Callable[[Tensor, Tensor, Tensor], None],
        *,
        model: nn.Module | None = None,
        targets: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> Work:
        """Explanations of every sample under every run.

        Parameters
        ----------
        explainer : Explainer
            The method.
        perturbation, runs
            As in :meth:`responses`.
        take : callable
            ``take(samples, runs, attributions)`` for each stack of pairs.
        model : nn.Module, optional
            Explained instead of the batch's own.
        targets : callable, optional
            ``targets(samples, runs)`` explained instead of the batch's own.
        """

        def make(pairs: Tensor) -> tuple[Tensor, Tensor]:
            samples, run = pairs % len(self), pairs // len(self)
            return perturbation(samples, run), self.targets[samples] if targets is None else targets(samples, run)

        def receive(pairs: Tensor, attributions: Tensor) -> None:
            take(pairs % len(self), pairs // len(self), attributions)

        route = Explained(explainer, self.model if model is None else model)
        return self._work(route, len(self) * runs, make, receive)

    def _unread(self, runs: int) -> Tensor:
        return torch.full((len(self), runs), torch.nan, dtype=self.inputs.dtype, device=self.inputs.device)

    def _work(
        self,
        route: Route,
        count: int,
        make: Callable[[Tensor], tuple[Tensor, Tensor]],
        take: Callable[[Tensor, Tensor], None],
    ) -> Work:
        return Work(route, tuple(self.inputs.shape[1:]), count, self.inputs.device, make, take)


class _Whole:
    """Logits ``(batch, classes)`` of the inputs as they are, and all that has been read off them."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._logits = torch.empty(0)
        self._read: dict[Reading, Responses] = {}
        self._work = batch._work(
            Forward(batch.model),
            len(batch),
            lambda samples: (batch.inputs[samples], batch.targets[samples]),
            self._take,
        )

    def read(self, reading: Reading) -> Responses:
        """What a reading makes of them, ``(batch, 1)``, once the work is done; at once where it is."""
        if reading not in self._read:
            self._read[reading] = Responses(self._work, self._batch._unread(1))
            if self._work.done:
                self._fill(reading, torch.arange(len(self._batch), device=self._logits.device))
        return self._read[reading]

    def _take(self, samples: Tensor, logits: Tensor) -> None:
        if len(self._logits) == 0:
            self._logits = logits.new_empty(len(self._batch), logits.shape[1])
        self._logits[samples] = logits
        for reading in self._read:
            self._fill(reading, samples)

    def _fill(self, reading: Reading, samples: Tensor) -> None:
        values = self._read[reading].values
        values[samples, 0] = reading(self._logits[samples], self._batch.targets[samples]).to(values.dtype)


class PassMetric(ABC):
    """A metric over this engine; subclasses are frozen dataclasses that say what to send and how to score it.

    Attributes
    ----------
    title : str
        What error messages call it.
    higher_is_better : bool
        Direction.
    score_range : tuple of float
        Smallest and largest possible score.
    source : str
        The paper, and where in it.
    """

    title: ClassVar[str]
    higher_is_better: ClassVar[bool]
    score_range: ClassVar[tuple[float, float]]
    source: ClassVar[str]

    @abstractmethod
    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Yield work, stage by stage, then return scores ``(batch,)``, float64, NaN where undefined."""

    @abstractmethod
    def passes(self, model: nn.Module, inputs: Tensor) -> int:
        """Model passes that one call with this ``model`` and these ``inputs`` takes."""

    def check(self, batch: Batch, attributions: Tensor) -> None:
        """Refuse attributions that cannot be judged; a metric that takes others than those of the inputs says which.

        Raises
        ------
        UserError
            Naming the metric, and the sample where one is at fault.
        """
        check_attributions(batch.inputs, attributions, self.title)

    def __call__(
        self, model: nn.Module, inputs: Tensor, targets: Tensor, attributions: Tensor, masks: Tensor | None = None
    ) -> Tensor:
        """Scores ``(batch,)``, float64; NaN where undefined.

        Parameters
        ----------
        model : nn.Module
            Left as it was.
        inputs, targets, attributions : Tensor
            ``(batch, 1, …)``, ``(batch,)`` and shaped like ``inputs``.
        masks : Tensor, optional
            Boolean, shaped like ``inputs``; needed by localisation metrics alone.
        """
        (outcome,) = run([begin(self, Batch(model, inputs, targets, masks), attributions)])
        return outcome.scores


def evaluate(
    metrics: Mapping[str, PassMetric], batch: Batch, attributions: Tensor, *, progress: bool = False
) -> dict[str, Tensor]:
    """Scores ``(batch,)`` of one method under several metrics, their passes stacked and shared.

    Parameters
    ----------
    metrics : mapping of str to PassMetric
        By the name under which the scores are returned.
    batch : Batch
        Model, inputs, targets and, where known, masks.
    attributions : Tensor
        Shaped like the inputs.
    progress : bool
        Show passes done of passes due on stderr where that is a terminal.

    Raises
    ------
    UserError
        If attributions are not shaped like the inputs, or either holds NaN or infinity.
    """
    due = sum(metric.passes(batch.model, batch.inputs) for metric in metrics.values())
    scorings = [begin(metric, batch, attributions) for metric in metrics.values()]
    with bar(due if progress else 0, "metrics", "pass") as passes:
        outcomes = run(scorings, passes.update if progress else None)
    return {name: outcome.scores for name, outcome in zip(metrics, outcomes, strict=True)}


def begin(metric: PassMetric, batch: Batch, attributions: Tensor) -> Scoring:
    """One metric's scoring, after checking what it is given.

    Raises
    ------
    UserError
        Naming the metric, and the sample where one is at fault.
    """
    metric.check(batch, attributions)
    return metric.scoring(batch, attributions.detach())


def check_attributions(inputs: Tensor, attributions: Tensor, metric: str) -> None:
    """Refuse attributions that do not belong to the inputs or are not numbers.

    Raises
    ------
    UserError
        Naming the metric, and the sample where one is at fault.
    """
    if attributions.shape != inputs.shape:
        raise UserError(
            f"{metric} got attributions of shape {tuple(attributions.shape)} for inputs of {tuple(inputs.shape)}; "
            "both have to be shaped alike"
        )
    check_finite(metric, inputs=inputs, attributions=attributions)


def check_finite(metric: str, **tensors: Tensor) -> None:
    """Refuse tensors ``(batch, …)`` that hold NaN or infinity.

    Raises
    ------
    UserError
        Naming the metric, the tensor and the sample.
    """
    for name, values in tensors.items():
        if not all_finite(values):
            sample = int(torch.nonzero(~torch.isfinite(values).flatten(1).all(1))[0, 0])
            raise UserError(f"{metric}: {name} of sample {sample} contain NaN or infinity; leave that sample out")
