"""The pass engine against loops: what is sent, in which calls, how often, and what is shared."""

import weakref
from collections.abc import Callable

import numpy as np
import pytest
import torch
from helpers.metric_cases import BASELINE, MODELS, Gradient, case
from helpers.tiny_models import Counting, nothing_touched, with_hooks_and_marks
from torch import Tensor, nn

from audioxai.metrics.batch import Batch, PassMetric, begin, evaluate, target_logit, target_probability
from audioxai.metrics.complexity import Sparseness
from audioxai.metrics.engine import ModelRoute, Scoring, Work, run
from audioxai.metrics.faithfulness import FaithfulnessCorrelation
from audioxai.metrics.faithfulness.road import is_predicted
from audioxai.metrics.noise import RangeNoise
from audioxai.metrics.randomisation import ModelParameterRandomisation, RandomLogit
from audioxai.metrics.robustness import AverageSensitivity
from audioxai.utils import hardware
from audioxai.utils.errors import UserError

EVERY_KIND = pytest.mark.parametrize("kind", MODELS)
CALLS = pytest.mark.parametrize("inputs_a_call", [1, 4, 1000])


def ask(*works: Work) -> Scoring:
    """A scoring of one stage and no result worth the name."""
    yield works
    return torch.zeros(0)


def calls_of(model: nn.Module) -> list[int]:
    """Sizes of the calls that reach the model from now on."""
    sizes: list[int] = []
    model.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    return sizes


def of_size(monkeypatch: pytest.MonkeyPatch, inputs: Tensor, inputs_a_call: int) -> None:
    monkeypatch.setattr(hardware, "CELLS_PER_CALL_CPU", inputs_a_call * inputs[0].numel())


def spread(runs: Tensor, inputs: Tensor) -> Tensor:
    return runs.reshape(-1, *[1] * (inputs.ndim - 1))


@EVERY_KIND
@CALLS
@pytest.mark.parametrize("reading", [target_logit, target_probability])
def test_reads_every_sample_under_every_run(
    kind: str, inputs_a_call: int, reading: Callable[[Tensor, Tensor], Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs, targets, _ = case(kind)
    of_size(monkeypatch, inputs, inputs_a_call)
    batch = Batch(model, inputs, targets)
    responses = batch.responses(lambda samples, runs: inputs[samples] + spread(runs, inputs), 3, reading)
    run([ask(responses.work, batch.plain(reading).work)])
    with torch.no_grad():
        expected = [
            [reading(model(sample[None] + shift), target[None]).item() for shift in range(3)]
            for sample, target in zip(inputs, targets, strict=True)
        ]
    np.testing.assert_allclose(responses.values.numpy(), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(batch.plain(reading).values[:, 0].numpy(), np.array(expected)[:, 0], rtol=1e-12)


@EVERY_KIND
@CALLS
def test_explains_every_sample_under_every_run(kind: str, inputs_a_call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs, targets, _ = case(kind)
    of_size(monkeypatch, inputs, inputs_a_call)
    found = torch.full((5, 3, *inputs.shape[1:]), torch.nan, dtype=inputs.dtype)

    def take(samples: Tensor, runs: Tensor, attributions: Tensor) -> None:
        found[samples, runs] = attributions

    def scaled(samples: Tensor, runs: Tensor) -> Tensor:
        return inputs[samples] * (1 + spread(runs, inputs))

    def turned(samples: Tensor, runs: Tensor) -> Tensor:
        return (targets[samples] + runs) % 3

    run([ask(Batch(model, inputs, targets).explanations(Gradient(), scaled, 3, take, targets=turned))])
    for sample, target in enumerate(targets.tolist()):
        for shift in range(3):
            wanted = torch.tensor([(target + shift) % 3])
            expected = Gradient()(model, inputs[sample : sample + 1] * (1 + shift), wanted)[0]
            torch.testing.assert_close(found[sample, shift], expected, rtol=1e-12, atol=1e-12)


def test_work_along_one_route_fills_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs, targets, _ = case("image")
    of_size(monkeypatch, inputs, 8)
    batch = Batch(model, inputs, targets)
    sizes = calls_of(model)
    several = [batch.responses(lambda samples, _: inputs[samples], runs).work for runs in (1, 2, 1)]
    run([ask(several[0], several[1]), ask(several[2])])
    assert sizes == [8, 8, 4]
    assert [work.passes for work in several] == [5, 10, 5]
    assert all(work.done and work.seconds > 0 for work in several)


def test_every_input_of_a_work_is_sent_once_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs, _, _ = case("image")
    of_size(monkeypatch, inputs, 3)
    sent: dict[int, list[int]] = {0: [], 1: []}
    taken: dict[int, list[int]] = {0: [], 1: []}

    def numbered(name: int, count: int) -> Work:
        def make(indices: Tensor) -> tuple[Tensor, Tensor]:
            sent[name] += indices.tolist()
            return inputs[:1].expand(len(indices), *inputs.shape[1:]), torch.zeros(len(indices), dtype=torch.int64)

        def take(indices: Tensor, logits: Tensor) -> None:
            assert len(logits) == len(indices)
            taken[name] += indices.tolist()

        return Work(ModelRoute(model), tuple(inputs.shape[1:]), count, inputs.device, make, take)

    run([ask(numbered(0, 7), numbered(1, 4))])
    assert sent == taken == {0: list(range(7)), 1: list(range(4))}


def test_shared_work_is_sent_once_and_counted_as_done_for_all() -> None:
    inner, inputs, targets, _ = case("image")
    model = Counting(inner)
    batch = Batch(model, inputs, targets)
    advanced: list[int] = []
    run([ask(batch.plain().work), ask(batch.plain().work, batch.plain().work)], advanced.append)
    run([ask(batch.plain().work)], advanced.append)
    assert model.counter.count == 5
    assert sum(advanced) == 4 * 5


def test_progress_reaches_the_passes_due() -> None:
    model, inputs, targets, attributions = case("image")
    metrics = suite()
    due = sum(metric.passes(model, inputs) for metric in metrics.values())
    advanced: list[int] = []
    outcomes = run(
        [begin(metric, Batch(model, inputs, targets), attributions) for metric in metrics.values()], advanced.append
    )
    assert sum(advanced) == sum(outcome.passes for outcome in outcomes) == due


def suite() -> dict[str, PassMetric]:
    explainer = Gradient()
    return {
        "faithfulness": FaithfulnessCorrelation(BASELINE, runs=11),
        "sensitivity": AverageSensitivity(explainer, RangeNoise(), draws=3),
        "sparseness": Sparseness(),
        "logit": RandomLogit(explainer, class_count=3, alternatives=2),
        "mprt": ModelParameterRandomisation(explainer),
    }


@EVERY_KIND
def test_metrics_together_score_as_each_alone(kind: str) -> None:
    inner, inputs, targets, attributions = case(kind)
    alone = {name: metric(inner, inputs, targets, attributions) for name, metric in suite().items()}
    model = Counting(inner)
    sizes = calls_of(inner)
    together = evaluate(suite(), Batch(model, inputs, targets), attributions)
    assert together.keys() == alone.keys()
    for name, scores in together.items():
        torch.testing.assert_close(scores, alone[name], rtol=1e-12, atol=1e-12)
    # ModelRoutes in one call, explanations of this model in one, one for each randomised layer's.
    layers = sum(callable(getattr(module, "reset_parameters", None)) for module in inner.modules())
    assert sizes == [5 * 12, 5 * (3 + 2), *[5] * layers]


def test_stages_wait_for_the_work_they_asked_for() -> None:
    model, inputs, targets, _ = case("image")
    batch = Batch(model, inputs, targets)
    seen: list[bool] = []

    def two_stages() -> Scoring:
        first = batch.plain()
        yield [first.work]
        seen.append(first.work.done and not bool(first.values.isnan().any()))
        second = batch.responses(lambda samples, _: inputs[samples] * first.values[samples][..., None, None], 1)
        yield [second.work]
        seen.append(second.work.done)
        return second.values[:, 0]

    (outcome,) = run([two_stages()])
    assert seen == [True, True]
    assert outcome.passes == 10
    with torch.no_grad():
        factor = model(inputs).gather(1, targets[:, None])[..., None, None]
        expected = model(inputs * factor).gather(1, targets[:, None])[:, 0]
    torch.testing.assert_close(outcome.scores, expected, rtol=1e-12, atol=1e-12)


def test_a_model_in_training_mode_is_asked_in_evaluation_mode_and_left_alone() -> None:
    model, inputs, targets, attributions = case("image")
    expected = evaluate(suite(), Batch(model, inputs, targets), attributions)
    with_hooks_and_marks(model)
    with nothing_touched(model, inputs, targets, attributions):
        again = evaluate(suite(), Batch(model, inputs, targets), attributions)
    for name, scores in again.items():
        assert torch.equal(scores, expected[name])


def test_memory_does_not_grow_with_the_number_of_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs, targets, _ = case("image")
    of_size(monkeypatch, inputs, 4)
    made: list[weakref.ref[Tensor]] = []
    alive: list[int] = []

    def perturbed(samples: Tensor, _: Tensor) -> Tensor:
        alive.append(sum(reference() is not None for reference in made))
        stack = inputs[samples]
        made.append(weakref.ref(stack))
        return stack

    run([ask(Batch(model, inputs, targets).responses(perturbed, 40).work)])
    assert len(alive) == 50
    assert max(alive) <= 1


def test_an_explainer_that_answers_in_another_shape_is_refused() -> None:
    model, inputs, targets, _ = case("image")

    class Narrow:
        """Leaves out the last column."""

        def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:  # noqa: ARG002
            return inputs[..., :-1]

        def passes(self, inputs: Tensor) -> int:  # noqa: ARG002
            return 0

    work = Batch(model, inputs, targets).explanations(Narrow(), lambda samples, _: inputs[samples], 1, lambda *_: None)
    with pytest.raises(UserError, match=r"the explainer returned attributions of shape \(5, 1, 12, 9\)"):
        run([ask(work)])


def test_work_without_inputs_is_done_without_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs, targets, _ = case("image")
    of_size(monkeypatch, inputs, 4)
    batch = Batch(model, inputs, targets)

    def made(samples: Tensor, _: Tensor) -> Tensor:
        assert len(samples) > 0
        return inputs[samples]

    first, none, last = (batch.responses(made, runs) for runs in (1, 0, 2))
    sizes = calls_of(model)
    run([ask(first.work, none.work, last.work)])
    assert sizes == [4, 4, 4, 3]
    assert none.work.done
    assert none.values.shape == (5, 0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_explainer_that_answers_with_something_else_than_numbers_is_refused(value: float) -> None:
    model, inputs, targets, _ = case("image")

    class Dividing:
        """Divides by nothing once."""

        def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:  # noqa: ARG002
            return torch.where(torch.arange(inputs.shape[-1]) == 3, value, inputs)

        def passes(self, inputs: Tensor) -> int:  # noqa: ARG002
            return 0

    work = Batch(model, inputs, targets).explanations(
        Dividing(), lambda samples, _: inputs[samples], 1, lambda *_: None
    )
    with pytest.raises(UserError, match="the explainer Dividing returned NaN or infinity; check the model's weights"):
        run([ask(work)])


def test_the_whole_is_sent_once_whatever_is_read_off_it_and_whenever(monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs, targets, _ = case("image")
    of_size(monkeypatch, inputs, 2)
    batch, sizes = Batch(model, inputs, targets), calls_of(model)
    logit, probability = batch.plain(), batch.plain(target_probability)
    assert logit.work is probability.work
    run([ask(logit.work), ask(probability.work)])
    later = batch.plain(is_predicted)
    run([ask(later.work)])
    assert sizes == [2, 2, 1]
    logits = model(inputs)
    for responses, reading in ((logit, target_logit), (probability, target_probability), (later, is_predicted)):
        torch.testing.assert_close(responses.values[:, 0], reading(logits, targets), rtol=0, atol=1e-12)
        assert batch.plain(reading) is responses
