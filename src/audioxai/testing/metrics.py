"""The contract of a metric, as a suite of checks: :func:`check_metric`.

A metric that passes gives one score per sample, which depends on that sample alone, and leaves everything as it was; so
it can be used in any study and its scores compared across batches, machines and methods.

Examples
--------
>>> from audioxai.metrics.complexity import Sparseness
>>> check_metric(Sparseness())
"""

import dataclasses
import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

from audioxai.core import configuration_of, unchanged
from audioxai.metrics.batch import PassMetric
from audioxai.metrics.registry import FACTS
from audioxai.utils import hardware
from audioxai.utils.errors import UserError

TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-12}
SCALE_TOLERANCE = 1e-9
INPUTS_PER_CALL = (1, 7, 1000)


@dataclasses.dataclass(frozen=True, eq=False)
class MetricCase:
    """What a metric is tried on: at least three samples with different scores.

    Attributes
    ----------
    model : nn.Module
        In evaluation mode.
    inputs, targets, attributions : Tensor
        As in calling the metric; no attributions that are constant or undefined.
    masks, change : Tensor, optional
        Given to metrics that need them.
    """

    model: nn.Module
    inputs: Tensor
    targets: Tensor
    attributions: Tensor
    masks: Tensor | None = None
    change: Tensor | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def tolerance(self) -> float:
        """Relative and absolute difference that may be rounding."""
        return TOLERANCES.get(self.inputs.dtype, 1e-2)

    def rows(self, rows: Sequence[int]) -> "MetricCase":
        """These samples in this order."""
        tensors: dict[str, Any] = {
            field.name: value[list(rows)]
            for field in dataclasses.fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        return dataclasses.replace(self, **tensors)

    def with_attributions(self, attributions: Tensor) -> "MetricCase":
        """The same with other attributions."""
        return dataclasses.replace(self, attributions=attributions)

    def scores(self, metric: PassMetric) -> Tensor:
        """The metric's scores."""
        masks, change = (self.masks if metric.needs_masks else None), (self.change if metric.needs_change else None)
        return metric(self.model, self.inputs, self.targets, self.attributions, masks, change)


def example_case(kind: str = "image", dtype: torch.dtype = torch.float64) -> MetricCase:
    """Five random ``image`` inputs ``(1, 12, 10)`` or ``waveform`` inputs ``(1, 40)`` of a tiny CNN of three classes.

    Attributions are the gradient; masks and the change are arbitrary but depend on the sample alone.
    """
    shape, convolution, pooling = {
        "image": ((1, 12, 10), nn.Conv2d, nn.AdaptiveAvgPool2d),
        "waveform": ((1, 40), nn.Conv1d, nn.AdaptiveAvgPool1d),
    }[kind]
    model = nn.Sequential(
        convolution(1, 4, 3, padding=1),
        nn.ReLU(),
        convolution(4, 5, 3, padding=1),
        nn.ReLU(),
        pooling(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(5 * 2 ** (len(shape) - 1), 3),
    )
    model.to(dtype).eval()
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            spread = (2.0 / max(1, parameter[0].numel())) ** 0.5 if parameter.ndim > 1 else 0.5
            parameter.copy_(spread * torch.randn(parameter.shape, generator=draws, dtype=torch.float64))
    inputs = torch.randn(5, *shape, generator=draws, dtype=torch.float64).to(dtype)
    targets = torch.arange(5) % 3
    with unchanged(model), torch.enable_grad():
        leaf = inputs.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(model(leaf).gather(1, targets[:, None]).sum(), leaf)
    return MetricCase(model, inputs, targets, gradient, inputs > 0.1, 1.0 + gradient.flatten(1).abs().sum(1))


def check_metric(metric: PassMetric, case: MetricCase | None = None) -> None:
    """Check that a metric keeps the contract.

    Parameters
    ----------
    metric : PassMetric
        With few repetitions, as it is called many times.
    case : MetricCase, optional
        What it is tried on; if not given, :func:`example_case` of images and of waveforms, in single and double
        precision.

    Raises
    ------
    AssertionError
        Naming the metric and what it violates.
    """
    cases = [case] if case else [example_case(kind, dtype) for kind in ("image", "waveform") for dtype in TOLERANCES]
    check_facts(metric)
    for each in cases:
        for check in CHECKS:
            check(metric, each)


def check_facts(metric: PassMetric) -> None:
    """A frozen dataclass that states its facts and whose configuration is plain data."""
    _require(dataclasses.is_dataclass(metric), metric, "is no dataclass")
    _require(type(metric).__dataclass_params__.frozen, metric, "is not frozen")  # type: ignore[attr-defined]
    missing = [fact for fact in FACTS if not hasattr(metric, fact)]
    _require(not missing, metric, f"does not state {', '.join(missing)}")
    _require(metric.higher_is_better in (True, False, None), metric, "has a direction that is no bool and not None")
    _require(metric.score_range[0] < metric.score_range[1], metric, f"has the range {metric.score_range}")
    _require(isinstance(metric.revision, int) and metric.revision >= 1, metric, "has a revision below 1")
    try:
        configuration = configuration_of(metric)
        again = json.loads(json.dumps(configuration))
    except (TypeError, UserError) as error:
        raise AssertionError(f"{_name(metric)} has a configuration that is no plain data: {error}") from error
    _require(again == _listed(configuration), metric, "has a configuration that changes when it is stored")


def check_scores(metric: PassMetric, case: MetricCase) -> None:
    """One finite score per sample within the range, float64, without a gradient."""
    scores = case.scores(metric)
    _require(scores.shape == (len(case),), metric, f"returned shape {tuple(scores.shape)} for {len(case)} samples")
    _require(scores.dtype == torch.float64, metric, f"returned {scores.dtype} instead of float64")
    _require(not scores.requires_grad, metric, "returned scores that require a gradient")
    low, high = metric.score_range
    inside = (scores >= low) & (scores <= high)
    _require(bool(inside.all()), metric, f"returned {scores[~inside].tolist()}, outside {low} … {high}")
    if not metric.few_values:
        _require(len(torch.unique(scores)) == len(case), metric, "gave different samples the same score")


def check_independence(metric: PassMetric, case: MetricCase) -> None:
    """A score depends on its own sample alone: not on the batch, its order, or the size of a model call."""
    together = case.scores(metric)
    alone = torch.cat([case.rows([row]).scores(metric) for row in range(len(case))])
    _require_close(alone, together, case.tolerance, metric, "scores a sample differently when it is alone")
    order = torch.randperm(len(case), generator=torch.Generator().manual_seed(1)).tolist()
    shuffled = case.rows(order).scores(metric)
    _require_close(shuffled, together[order], case.tolerance, metric, "depends on the order of the samples")
    for inputs in INPUTS_PER_CALL:
        budget = inputs * case.inputs[0].numel()
        with patch.multiple(hardware, CELLS_PER_CALL_CPU=budget, CELLS_PER_CALL_CUDA=budget):
            again = case.scores(metric)
        _require_close(again, together, case.tolerance, metric, f"differs with {inputs} inputs per model call")


def check_scale(metric: PassMetric, case: MetricCase) -> None:
    """A sample whose attributions are scaled by a million moves no other, nor itself unless ``scale_matters``."""
    before = case.scores(metric)
    scaled = case.attributions.clone()
    scaled[1] *= 1e6
    after = case.with_attributions(scaled).scores(metric)
    others = [row for row in range(len(case)) if row != 1]
    _require(torch.equal(after[others], before[others]), metric, "lets the scale of one sample move others")
    if not metric.scale_matters:
        tolerance = max(case.tolerance, SCALE_TOLERANCE)
        _require_close(after[1], before[1], tolerance, metric, "depends on the attributions' scale but does not say so")


def check_undefined(metric: PassMetric, case: MetricCase) -> None:
    """Attributions that are all zero make that sample's score NaN, unless ``defined_for_zero``, and no other's."""
    before = case.scores(metric)
    with_zero = case.attributions.clone()
    with_zero[1] = 0.0
    after = case.with_attributions(with_zero).scores(metric)
    undefined = torch.isnan(after).tolist()
    expected = [row == 1 and not metric.defined_for_zero for row in range(len(case))]
    _require(undefined == expected, metric, f"is NaN for {undefined} where only sample 1 is all zero")
    others = [row for row in range(len(case)) if row != 1]
    _require(torch.equal(after[others], before[others]), metric, "lets an undefined sample move others")


def check_determinism(metric: PassMetric, case: MetricCase) -> None:
    """Scores are the same again, whatever the global random states and whether gradients are wanted."""
    first = case.scores(metric)
    with _random_states_kept():
        torch.manual_seed(5)
        np.random.seed(5)  # noqa: NPY002 (what a metric must not draw from)
        random.seed(5)
        _require(torch.equal(first, case.scores(metric)), metric, "gives other scores when it is called again")
    with torch.no_grad():
        _require(torch.equal(first, case.scores(metric)), metric, "gives other scores where no gradients are wanted")


def check_seed(metric: PassMetric, case: MetricCase) -> None:
    """Another seed is another experiment where ``draws_at_random``."""
    if metric.draws_at_random:
        names = {field.name for field in dataclasses.fields(metric)}  # type: ignore[arg-type]
        _require("seed" in names, metric, "draws at random but has no field seed")
        other = dataclasses.replace(metric, seed=metric.seed + 1)  # type: ignore[type-var, attr-defined]
        same = torch.equal(case.scores(metric), case.scores(other))
        _require(not same, metric, "gives the same scores for another seed")


def check_untouched(metric: PassMetric, case: MetricCase) -> None:
    """Model (parameters, modes, hooks, attributes), tensors and global random states are as before."""
    before, state = _snapshot(case), _random_states()
    case.scores(metric)
    _require(_random_states() == state, metric, "uses or seeds a global random state")
    after = _snapshot(case)
    changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    _require(not changed, metric, f"changed {', '.join(changed)}")


def check_passes(metric: PassMetric, case: MetricCase) -> None:
    """A call takes as many model passes as it says beforehand, none if not ``uses_passes``."""
    if not metric.states_passes:
        return
    stated = metric.passes(case.model, case.inputs)
    with _counted(case.model) as count:
        case.scores(metric)
    _require(count() == stated, metric, f"took {count()} model passes but states {stated}")
    _require((stated > 0) == metric.uses_passes, metric, f"states {stated} passes but uses_passes {metric.uses_passes}")


def check_refusals(metric: PassMetric, case: MetricCase) -> None:
    """NaN, infinity, wrong shapes, no samples, no masks: refused with a :class:`UserError` before any model pass."""
    for name in ("inputs", "attributions"):
        for value in (torch.nan, torch.inf):
            broken = getattr(case, name).clone()
            broken[1].view(-1)[0] = value
            _require_refusal(metric, dataclasses.replace(case, **{name: broken}), f"{value} in {name}")
    wrong = [case.attributions[:-1]]
    if not metric.any_shape:
        wrong += [case.attributions[..., :-1], case.attributions[:, 0], torch.cat([case.attributions] * 2, dim=1)]
    for attributions in wrong:
        shape = tuple(attributions.shape)
        _require_refusal(metric, case.with_attributions(attributions), f"attributions of shape {shape}")
    _require_refusal(metric, case.rows([]), "an empty batch")
    if metric.needs_masks:
        _require_refusal(metric, dataclasses.replace(case, masks=None), "no masks")
    if metric.needs_change:
        _require_refusal(metric, dataclasses.replace(case, change=None), "no change")


CHECKS: tuple[Callable[[PassMetric, MetricCase], None], ...] = (
    check_scores,
    check_independence,
    check_scale,
    check_undefined,
    check_determinism,
    check_seed,
    check_untouched,
    check_passes,
    check_refusals,
)


def _name(metric: Any) -> str:
    return str(getattr(metric, "label", type(metric).__name__))


def _require(holds: bool, metric: Any, violation: str) -> None:
    if not holds:
        raise AssertionError(f"{_name(metric)} {violation}")


def _require_close(found: Tensor, expected: Tensor, tolerance: float, metric: Any, violation: str) -> None:
    close = torch.isclose(found, expected, rtol=tolerance, atol=tolerance, equal_nan=True)
    _require(bool(close.all()), metric, f"{violation}: {found.tolist()} instead of {expected.tolist()}")


def _require_refusal(metric: PassMetric, case: MetricCase, what: str) -> None:
    with _counted(case.model) as count:
        try:
            case.scores(metric)
        except UserError:
            _require(count() == 0, metric, f"refuses {what} only after a model pass")
            return
    raise AssertionError(f"{_name(metric)} accepts {what}")


@contextmanager
def _counted(model: nn.Module) -> Iterator[Callable[[], int]]:
    """Function that tells how many inputs have reached the model, or a copy of it, inside."""
    counts = [0]

    def add(_: nn.Module, given: tuple[Any, ...]) -> None:
        counts[0] += len(given[0])

    handle = model.register_forward_pre_hook(add)
    try:
        yield lambda: counts[0]
    finally:
        handle.remove()


def _random_states() -> tuple[Any, ...]:
    numpy_state: Any = np.random.get_state()  # noqa: NPY002 (what a metric must not draw from)
    return torch.get_rng_state().tolist(), random.getstate(), numpy_state[1].tobytes(), numpy_state[2:]


@contextmanager
def _random_states_kept() -> Iterator[None]:
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    with torch.random.fork_rng():
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)


def _snapshot(case: MetricCase) -> dict[str, Any]:
    """Everything of the case that a metric could leave changed, as comparable values."""
    state: dict[str, Any] = {}
    for name, module in case.model.named_modules():
        for attribute, value in vars(module).items():
            plain = isinstance(value, bool | int | float | str)
            entries = [(key, id(entry)) for key, entry in value.items()] if isinstance(value, dict) else id(value)
            state[f"{name or 'model'}.{attribute}"] = value if plain else entries
    tensors = {**dict(case.model.named_parameters()), **dict(case.model.named_buffers())}
    tensors |= {field.name: getattr(case, field.name) for field in dataclasses.fields(case) if field.name != "model"}
    for name, tensor in tensors.items():
        if tensor is not None:
            gradient = None if tensor.grad is None else tensor.grad.tolist()
            state[name] = (tensor.requires_grad, gradient, tensor._version, tensor.detach().cpu().numpy().tobytes())
    return state


def _listed(configuration: Any) -> Any:
    """The configuration with tuples as lists, as JSON has them."""
    if isinstance(configuration, dict):
        return {key: _listed(value) for key, value in configuration.items()}
    return [_listed(value) for value in configuration] if isinstance(configuration, list | tuple) else configuration
