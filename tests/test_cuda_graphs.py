"""Graphs of passes give what the model gives, whatever is called in between; where they do not, the model is called.

On the CPU recorders stand for CUDA's: one calls the functions again, another only repeats their first results.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from helpers.graph_recorder import GraphRecorder
from helpers.tiny_models import tiny_cnn
from torch import Tensor, nn

from audioxai import cuda_graphs
from audioxai.cuda_graphs import Graphed


@pytest.fixture
def model() -> nn.Module:
    return tiny_cnn().eval().requires_grad_(False)


def some_inputs(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, 1, 16, 16, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gradient(model: nn.Module, inputs: Tensor) -> Tensor:
    leaf = inputs.clone().requires_grad_(True)
    (found,) = torch.autograd.grad(model(leaf)[:, 1].sum(), leaf)
    return found


def test_calls_of_one_shape_are_recorded_once_and_give_what_the_model_gives(model: nn.Module) -> None:
    record = GraphRecorder()
    graphed = Graphed(model, record)
    for seed, recorded in enumerate((0, 1, 1, 1)):
        inputs = some_inputs(3, seed)
        with torch.no_grad():
            torch.testing.assert_close(graphed(inputs), model(inputs), rtol=0, atol=0)
        assert len(record.graphs) == recorded
    for seed, recorded in enumerate((1, 3, 3)):
        inputs = some_inputs(3, seed)
        torch.testing.assert_close(gradient(graphed, inputs), gradient(model, inputs), rtol=0, atol=0)
        assert len(record.graphs) == recorded
    graphed(some_inputs(2))
    assert len(record.graphs) == 3


@pytest.mark.parametrize("first", [torch.inference_mode, torch.no_grad])
def test_calls_in_inference_mode_and_outside_share_graphs(model: nn.Module, first: Callable[[], Any]) -> None:
    record = GraphRecorder()
    graphed = Graphed(model, record)
    for mode in (first, first, torch.no_grad, torch.inference_mode):
        with mode():
            inputs = some_inputs(2, 1)
            torch.testing.assert_close(graphed(inputs), model(inputs), rtol=0, atol=0)
    assert len(record.graphs) == 1


def test_what_was_returned_is_not_overwritten_by_later_calls(model: nn.Module) -> None:
    graphed = Graphed(model, GraphRecorder())
    with torch.no_grad():
        first, second, third = (graphed(some_inputs(2, seed)) for seed in range(3))
        for seed, found in enumerate((first, second, third)):
            torch.testing.assert_close(found, model(some_inputs(2, seed)), rtol=0, atol=0)


def test_gradients_of_earlier_calls_are_those_of_their_inputs(model: nn.Module) -> None:
    graphed = Graphed(model, GraphRecorder())
    gradient(graphed, some_inputs(2))
    leaves = [some_inputs(2, seed).requires_grad_(True) for seed in range(3)]
    scores = [graphed(leaf)[:, 1].sum() for leaf in leaves]
    for seed in (1, 0, 2):
        (found,) = torch.autograd.grad(scores[seed], leaves[seed])
        torch.testing.assert_close(found, gradient(model, some_inputs(2, seed)), rtol=0, atol=0)


def test_one_call_may_give_several_gradients(model: nn.Module) -> None:
    graphed = Graphed(model, GraphRecorder())
    gradient(graphed, some_inputs(2))
    leaf, twin = some_inputs(2, 1).requires_grad_(True), some_inputs(2, 1).requires_grad_(True)
    logits, expected = graphed(leaf), model(twin)
    for place in (0, 2, 1):
        (found,) = torch.autograd.grad(logits[:, place].sum(), leaf, retain_graph=True)
        (due,) = torch.autograd.grad(expected[:, place].sum(), twin, retain_graph=True)
        torch.testing.assert_close(found, due, rtol=0, atol=0)


def test_gradients_of_gradients_are_refused(model: nn.Module) -> None:
    graphed = Graphed(model, GraphRecorder())
    gradient(graphed, some_inputs(2))
    leaf = some_inputs(2).requires_grad_(True)
    (first,) = torch.autograd.grad(graphed(leaf).square().sum(), leaf, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


class Repeated:
    """A graph that holds a number which its function took from the inputs on the way: it does nothing."""

    def replay(self) -> None:
        """Leave the first results."""


def repeated(runs: Sequence[Callable[[], None]]) -> Sequence[Repeated]:
    for run in runs:
        run()
    return [Repeated() for _ in runs]


def test_graphs_that_differ_from_the_model_are_not_used(model: nn.Module) -> None:
    graphed = Graphed(model, repeated)
    for seed in range(3):
        inputs = some_inputs(2, seed)
        torch.testing.assert_close(gradient(graphed, inputs), gradient(model, inputs), rtol=0, atol=0)
        with torch.no_grad():
            torch.testing.assert_close(graphed(inputs), model(inputs), rtol=0, atol=0)


def test_a_recorder_that_fails_is_asked_once(model: nn.Module) -> None:
    asked = []

    def refuse(runs: Sequence[Callable[[], None]]) -> Sequence[Repeated]:
        asked.append(len(runs))
        raise RuntimeError("operation not permitted when stream is capturing")

    graphed = Graphed(model, refuse)
    for seed in range(4):
        inputs = some_inputs(2, seed)
        torch.testing.assert_close(gradient(graphed, inputs), gradient(model, inputs), rtol=0, atol=0)
    assert asked == [2]


def test_models_of_other_outputs_are_called_themselves(model: nn.Module) -> None:
    class Dictionary(nn.Module):
        def forward(self, inputs: Tensor) -> dict[str, Any]:
            return {"logits": model(inputs)}

    record = GraphRecorder()
    graphed = Graphed(Dictionary(), record)
    for seed in range(3):
        inputs = some_inputs(2, seed)
        torch.testing.assert_close(graphed(inputs)["logits"], model(inputs), rtol=0, atol=0)
    assert record.graphs == []


def test_no_inputs_are_sent_through_the_model(model: nn.Module) -> None:
    record = GraphRecorder()
    graphed = Graphed(model, record)
    assert [len(graphed(some_inputs(0))) for _ in range(3)] == [0, 0, 0]
    assert record.graphs == []


def test_graphs_of_a_few_shapes_are_kept(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_graphs, "MOST_SHAPES", 2)
    record = GraphRecorder()
    graphed = Graphed(model, record)
    with torch.no_grad():
        for count in (1, 2, 3, 1, 2, 3):
            graphed(some_inputs(count))
        assert len(record.graphs) == 3
        graphed(some_inputs(3))
        graphed(some_inputs(2))
        assert len(record.graphs) == 3
        torch.testing.assert_close(graphed(some_inputs(1)), model(some_inputs(1)), rtol=0, atol=0)
        assert len(record.graphs) == 4


def test_threads_do_not_get_each_others_gradients(model: nn.Module) -> None:
    graphed = Graphed(model, GraphRecorder())
    expected = [gradient(model, some_inputs(2, seed)) for seed in range(24)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda seed: gradient(graphed, some_inputs(2, seed)), range(24)))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_graphs_give_what_the_model_gives(model: nn.Module) -> None:
    model = model.cuda()
    graphed = Graphed(model)
    for seed in range(5):
        inputs = some_inputs(8, seed).cuda()
        torch.testing.assert_close(gradient(graphed, inputs), gradient(model, inputs))
        with torch.no_grad():
            torch.testing.assert_close(graphed(inputs), model(inputs))
    assert all(passes is not None for passes in graphed._passes.values())
    assert len(graphed._passes) == 2
