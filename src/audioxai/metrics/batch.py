"""What metrics share: the batch of samples, responses of its model, and how several are carried out together."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from audioxai.core import (
    HALF_PRECISION,
    Explainer,
    activation_of,
    all_finite,
    attributions_shape,
    require_precision,
    with_rival,
)
from audioxai.metrics.engine import ExplainerRoute, ModelRoute, Outcome, Route, Scoring, Work, run
from audioxai.utils.errors import UserError
from audioxai.utils.progress import bar
from audioxai.utils.seeding import content_keys

Perturbation = Callable[[Tensor, Tensor], Tensor]
Reading = Callable[[Tensor, Tensor], Tensor]
Shared = TypeVar("Shared")

# Units in the last place of two logits up to which their difference may be rounding alone.
ROUNDING = 16


@dataclass(eq=False)
class Responses:
    """Outputs of the model for every sample under every perturbation, there once their work is done.

    Attributes
    ----------
    work : Work
        To be yielded by the metric that reads ``values``.
    values : Tensor
        ``(batch, runs)``, what was read off the logits.
    """

    work: Work
    values: Tensor


def target_logit(logits: Tensor, targets: Tensor) -> Tensor:
    """Logit of the target, ``(n,)``."""
    return logits.gather(1, targets[:, None])[:, 0]


def target_probability(logits: Tensor, targets: Tensor) -> Tensor:
    """Probability of the target, ``(n,)``: by softmax, of one logit by sigmoid."""
    return target_logit(with_rival(logits).softmax(1), targets)


def label_probability(logits: Tensor, targets: Tensor) -> Tensor:
    """Probability of the target, ``(n,)``, among labels that do not exclude each other: by its own sigmoid."""
    return target_logit(logits, targets).sigmoid()


def predicted_class(logits: Tensor, targets: Tensor) -> Tensor:  # noqa: ARG001 (a reading's)
    """Class of the largest logit, ``(n,)``, as a number of the logits' type; of labels the most probable one."""
    return with_rival(logits).argmax(1).to(logits.dtype)


def rounding_of(first: Tensor, second: Tensor) -> Tensor:
    """Size up to which the difference of two logits, shapes that broadcast, may be rounding alone; float64."""
    largest = torch.maximum(first.double().abs(), second.double().abs())
    return ROUNDING * torch.finfo(first.dtype).eps * largest


@dataclass(frozen=True, eq=False)
class Batch:
    """Samples of one model that are scored together, with the model outputs that metrics share.

    Attributes
    ----------
    model : nn.Module
        Takes ``inputs`` and returns logits ``(batch, classes)``.
    inputs, targets : Tensor
        ``(batch, 1, …)`` and class indices ``(batch,)``.
    masks : Tensor, optional
        Boolean, shaped like ``inputs``, True where relevance is known to belong. Localisation metrics need them.
    change : Tensor, optional
        ``(batch,)``, change of the score that the attributions are to add up to, as their method measured it.
    """

    model: nn.Module
    inputs: Tensor
    targets: Tensor
    masks: Tensor | None = None
    change: Tensor | None = None
    _made: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.inputs)

    def rows(self, rows: Tensor) -> "Batch":
        """The samples at these places ``(n,)``, which share nothing with this batch."""
        masks, change = (None if each is None else each[rows] for each in (self.masks, self.change))
        return Batch(self.model, self.inputs[rows], self.targets[rows], masks, change)

    def shared(self, key: Hashable, make: Callable[[], Shared]) -> Shared:
        """What ``make()`` returned when this key was first asked for; metrics and methods share it."""
        if key not in self._made:
            self._made[key] = make()
        made: Shared = self._made[key]
        return made

    @property
    def keys(self) -> list[int]:
        """Content key of every sample, by which its random numbers are drawn."""
        return self.shared("content keys", lambda: content_keys(self.inputs))

    @property
    def probability(self) -> Reading:
        """The target's probability: by softmax, or by sigmoid where the model's labels do not exclude each other."""
        return label_probability if activation_of(self.model) == "sigmoid" else target_probability

    def plain(self, reading: Reading = target_logit) -> Responses:
        """Responses ``(batch, 1)`` to the unperturbed inputs, which are sent once whatever is read off them."""
        return self.shared("plain", lambda: _PlainLogits(self)).read(reading)

    def responses(self, perturbation: Perturbation, runs: int, reading: Reading = target_logit) -> Responses:
        """Responses ``(batch, runs)`` under perturbations.

        Parameters
        ----------
        perturbation : callable
            ``perturbation(samples, runs)``, two index tensors ``(pairs,)``, runs ascending → inputs ``(pairs, 1, …)``.
        runs : int
            Perturbations of each sample.
        reading : callable
            Maps logits ``(pairs, classes)`` and targets ``(pairs,)`` to one number per pair, ``(pairs,)``.
        """
        values = self._unread(runs)

        def make(pairs: Tensor) -> tuple[Tensor, Tensor]:
            samples = pairs % len(self)
            return perturbation(samples, pairs // len(self)), self.targets[samples]

        def take(pairs: Tensor, logits: Tensor) -> None:
            samples = pairs % len(self)
            values[samples, pairs // len(self)] = reading(logits, self.targets[samples]).to(values.dtype)

        return Responses(self._work(ModelRoute(self.model), len(self) * runs, make, take), values)

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
            ``take(samples, runs, attributions)``, called for each part of the pairs.
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

        route = ExplainerRoute(explainer, self.model if model is None else model)
        return self._work(route, len(self) * runs, make, receive)

    def _unread(self, runs: int) -> Tensor:
        return torch.full((len(self), runs), torch.nan, dtype=self.inputs.dtype.to_real(), device=self.inputs.device)

    def _work(
        self,
        route: Route,
        count: int,
        make: Callable[[Tensor], tuple[Tensor, Tensor]],
        take: Callable[[Tensor, Tensor], None],
    ) -> Work:
        return Work(route, tuple(self.inputs.shape[1:]), count, self.inputs.device, make, take)


class _PlainLogits:
    """Logits ``(batch, classes)`` of the unperturbed inputs, and everything that is read off them."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._logits = torch.empty(0)
        self._responses: dict[Reading, Responses] = {}
        self._work = batch._work(
            ModelRoute(batch.model),
            len(batch),
            lambda samples: (batch.inputs[samples], batch.targets[samples]),
            self._take,
        )

    def read(self, reading: Reading) -> Responses:
        """``reading`` of the logits, ``(batch, 1)``, once the work is done; at once where it already is."""
        if reading not in self._responses:
            self._responses[reading] = Responses(self._work, self._batch._unread(1))
            if self._work.done:
                self._fill(reading, torch.arange(len(self._batch), device=self._logits.device))
        return self._responses[reading]

    def _take(self, samples: Tensor, logits: Tensor) -> None:
        if len(self._logits) == 0:
            self._logits = logits.new_empty(len(self._batch), logits.shape[1])
        self._logits[samples] = logits
        for reading in self._responses:
            self._fill(reading, samples)

    def _fill(self, reading: Reading, samples: Tensor) -> None:
        values = self._responses[reading].values
        values[samples, 0] = reading(self._logits[samples], self._batch.targets[samples]).to(values.dtype)


class PassMetric(ABC):
    """A metric over the pass engine; subclasses are frozen dataclasses that yield model passes and score the outcomes.

    Everything known of a metric is a class attribute; :func:`~audioxai.metrics.registry.metric` makes its entry in the
    registry from the first group, :func:`~audioxai.testing.metrics.check_metric` tests both.

    Attributes
    ----------
    label, short : str
        Name in tables, figures and error messages, and in narrow columns; ``short`` is the label if empty.
    family : str
        Group of related metrics.
    higher_is_better : bool or None
        Direction; None where neither end is better.
    score_range : tuple of float
        Smallest and largest possible score.
    source : str
        The paper, and where in it.
    revision : int
        Raised whenever the scores change, so that stored scores of an earlier revision are not used.
    needs_masks, needs_change : bool
        Whether it reads the batch's masks, or the change that attributions are to add up to.
    uses_passes : bool
        Whether it sends anything through the model.
    states_passes : bool
        Whether :meth:`passes` is the number of model passes that a call takes.
    draws_at_random : bool
        Whether another seed gives other scores where no two features are equally relevant.
    few_values : bool
        Whether scores take few values, so that different samples may have the same.
    scale_matters : bool
        Whether attributions multiplied by a factor score differently.
    defined_for_zero : bool
        Whether attributions that are all zero have a score; else it is NaN.
    any_shape : bool
        Whether it takes attributions of any shape ``(batch, …)``, of another domain than the inputs' too.
    complex_inputs : bool
        Whether it is defined for complex inputs, such as those of ``Stft``.
    """

    label: ClassVar[str]
    short: ClassVar[str] = ""
    family: ClassVar[str]
    higher_is_better: ClassVar[bool | None]
    score_range: ClassVar[tuple[float, float]]
    source: ClassVar[str]
    revision: ClassVar[int] = 1
    needs_masks: ClassVar[bool] = False
    needs_change: ClassVar[bool] = False

    uses_passes: ClassVar[bool] = True
    states_passes: ClassVar[bool] = True
    draws_at_random: ClassVar[bool] = False
    few_values: ClassVar[bool] = False
    scale_matters: ClassVar[bool] = False
    defined_for_zero: ClassVar[bool] = False
    any_shape: ClassVar[bool] = False
    complex_inputs: ClassVar[bool] = True

    @abstractmethod
    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Yield work, stage by stage, then return scores ``(batch,)``, float64, NaN where undefined."""

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (subclasses read them)
        """Model passes that one call with this ``model`` and these ``inputs`` takes; none unless a metric says so."""
        return 0

    def check(self, batch: Batch, attributions: Tensor) -> None:
        """Refuse attributions that cannot be scored; overridden where they are not shaped like the inputs.

        Raises
        ------
        UserError
            Naming the metric, and the sample if it is one sample's fault.
        """
        due = attributions_shape(getattr(self, "explainer", None), batch.inputs)
        check_attributions(batch.inputs, attributions, self.label, due)

    def __call__(
        self,
        model: nn.Module,
        inputs: Tensor,
        targets: Tensor,
        attributions: Tensor,
        masks: Tensor | None = None,
        change: Tensor | None = None,
    ) -> Tensor:
        """Scores ``(batch,)``, float64; NaN where undefined.

        Parameters
        ----------
        model : nn.Module
            Left as it was.
        inputs, targets, attributions : Tensor
            ``(batch, 1, …)``, ``(batch,)`` and shaped like ``inputs``.
        masks : Tensor, optional
            Boolean, shaped like ``inputs``; read by metrics that need masks.
        change : Tensor, optional
            ``(batch,)``; read by metrics that need it.
        """
        return self.outcome(Batch(model, inputs, targets, masks, change), attributions).scores

    def outcome(self, batch: Batch, attributions: Tensor) -> Outcome:
        """Scores as of a call, with their standard errors, if the metric states them, and the passes they took."""
        (outcome,) = run([begin(self, batch, attributions)])
        return outcome


def evaluate(
    metrics: Mapping[str, PassMetric], batch: Batch, attributions: Tensor, *, progress: bool = False
) -> dict[str, Tensor]:
    """Scores ``(batch,)`` of one method's attributions under several metrics, which share their model passes.

    Parameters
    ----------
    metrics : mapping of str to PassMetric
        By the name under which the scores are returned.
    batch : Batch
        Model, inputs, targets and, where known, masks.
    attributions : Tensor
        Shaped like the inputs.
    progress : bool
        Show a progress bar of model passes on stderr if that is a terminal.

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
    """Scoring of one metric, to be carried out by :func:`~audioxai.metrics.engine.run`, after a check of its input.

    Raises
    ------
    UserError
        Naming the metric, and the sample if it is one sample's fault.
    """
    if len(batch) == 0:
        raise UserError(f"{metric.label} got a batch without samples; give at least one")
    _require_real_numbers(metric, batch, attributions)
    metric.check(batch, attributions)
    return metric.scoring(batch, attributions.detach())


def _require_real_numbers(metric: PassMetric, batch: Batch, attributions: Tensor) -> None:
    """Refuse half precision, in which differences of scores are rounding, and undefined complex numbers."""
    for name, values in (("inputs", batch.inputs), ("attributions", attributions)):
        if values.dtype in HALF_PRECISION:
            raise UserError(f"{metric.label} got {name} in {values.dtype}, which is too coarse; give {name}.float()")
    if metric.uses_passes:
        require_precision(batch.model)
    if not attributions.is_floating_point():
        raise UserError(f"{metric.label} got attributions of {attributions.dtype}; give one real number per feature")
    if batch.inputs.is_complex() and not metric.complex_inputs:
        raise UserError(f"{metric.label} is not defined for complex inputs; score maps of real inputs by it")


def check_attributions(inputs: Tensor, attributions: Tensor, metric: str, shape: tuple[int, ...] | None = None) -> None:
    """Refuse attributions that are not shaped like the inputs, and NaN or infinity in either.

    Attributions of an explainer with a domain of its own have to be of that ``shape``.

    Raises
    ------
    UserError
        Naming the metric, and the sample if it is one sample's fault.
    """
    due = tuple(inputs.shape) if shape is None else shape
    if tuple(attributions.shape) != due:
        raise UserError(
            f"{metric} got attributions of shape {tuple(attributions.shape)} for inputs of {tuple(inputs.shape)}; "
            f"they have to be of {due}"
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


def masks_of(batch: Batch, metric: str) -> Tensor:
    """The batch's masks, bool ``(batch, features)``.

    Raises
    ------
    UserError
        If there are none, or they are not boolean and shaped like the inputs.
    """
    masks = batch.masks
    if masks is None or masks.dtype != torch.bool or masks.shape != batch.inputs.shape:
        given = "no masks" if masks is None else f"masks of {masks.dtype} and shape {tuple(masks.shape)}"
        raise UserError(
            f"{metric} got {given} for inputs of {tuple(batch.inputs.shape)}; "
            "give boolean masks shaped like the inputs, True where relevance belongs"
        )
    return masks.to(batch.inputs.device).flatten(1)
