"""Calls of one shape on a GPU as one launch: CUDA graphs of a model's passes.

Idea
----
A pass of a small model launches dozens of kernels that take less time than their launches. A CUDA graph holds all of
them for inputs of one shape, and is launched as a whole.

Conventions
-----------
A shape is recorded when it comes for the second time, so that the rest of a batch, which comes once, is not. What was
recorded is compared with the model on the inputs at hand before it is used. Recorded passes are made of zeros, so that
a number that the model takes from its inputs on the way shows as a difference.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# Shapes whose graphs are kept: each holds the activations of its call.
MOST_SHAPES = 4
MOST_SEEN = 1024
WARM_UP_CALLS = 3
TOLERANCE = 1e-6


class Graph(Protocol):
    """What was launched once and can be launched again, on what its tensors hold by then."""

    def replay(self) -> None:
        """Launch it again."""


Recorder = Callable[[Sequence[Callable[[], None]]], Sequence[Graph]]
"""Makes a graph of each function; each may use what those before it have left."""


def cuda_graphs(runs: Sequence[Callable[[], None]]) -> Sequence[Graph]:
    """Graphs of what these functions launch on the current device, one after the other.

    Raises
    ------
    RuntimeError
        If a function does what a graph cannot hold, such as to read a number from the device.
    """
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP_CALLS):
            for run in runs:
                run()
    torch.cuda.current_stream().wait_stream(side)
    graphs = []
    for run in runs:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            run()
        graphs.append(graph)
    return graphs


class Graphed(nn.Module):
    """A model whose repeated calls are replayed.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode, of frozen parameters that stay as they are; inputs ``(batch, 1, …)`` to logits
        ``(batch, classes)``. Gradients are those of first order.
    record : callable, optional
        Makes the graphs, those of CUDA by default.
    """

    def __init__(self, model: nn.Module, record: Recorder | None = None) -> None:
        super().__init__()
        self.model = model
        self.training = False
        self._record = record or cuda_graphs
        self._seen: set[Hashable] = set()
        self._passes: OrderedDict[Hashable, _Passes | None] = OrderedDict()
        self._one_thread = threading.RLock()

    def forward(self, inputs: Tensor) -> Any:
        """What the model returns for ``inputs``."""
        with_gradient = torch.is_grad_enabled() and inputs.requires_grad
        with self._one_thread:
            usual = len(inputs) > 0 and _on_usual_stream(inputs)
            passes = self._passes_for(inputs, with_gradient) if usual else None
            if passes is None:
                return self.model(inputs)
            if not with_gradient:
                return passes.logits(inputs)
            return _Replayed.apply(inputs, passes)  # type: ignore[no-untyped-call]

    def _passes_for(self, inputs: Tensor, with_gradient: bool) -> "_Passes | None":
        """Recorded passes for such inputs; None where there are none (yet)."""
        call = with_gradient, inputs.shape, inputs.dtype, inputs.device
        if call not in self._passes:
            if call not in self._seen:
                if len(self._seen) >= MOST_SEEN:
                    self._seen.clear()
                self._seen.add(call)
                return None
            self._passes[call] = self._recorded(inputs.detach(), with_gradient)
            if len(self._passes) > MOST_SHAPES:
                self._passes.popitem(last=False)
        self._passes.move_to_end(call)
        return self._passes[call]

    def _recorded(self, inputs: Tensor, with_gradient: bool) -> "_Passes | None":
        """Passes that agree with the model on these inputs; None where it cannot be recorded."""
        try:
            # Tensors that are made in inference mode cannot be written to elsewhere.
            with torch.inference_mode(mode=False), torch.no_grad():
                passes = _Passes(self.model, inputs, with_gradient, self._record, self._one_thread)
                return passes if passes.agree(inputs.clone()) else None
        except (RuntimeError, TypeError):
            return None


class _Passes:
    """Recorded passes of a model for inputs of one shape.

    Graphs read and write the same memory each time. So a gradient is that of the inputs of the latest forward pass; for
    earlier ones, which ``calls`` tells, the forward pass is replayed first.
    """

    def __init__(
        self, model: nn.Module, like: Tensor, with_gradient: bool, record: Recorder, one_thread: threading.RLock
    ) -> None:
        self._model, self._one_thread = model, one_thread
        self._inputs = torch.zeros_like(like).requires_grad_(with_gradient)
        self._forward()
        self._weights = torch.ones_like(self._logits)
        self._gradient = torch.zeros_like(like)
        self._graphs = record([self._forward, self._backward] if with_gradient else [self._forward])
        self.calls = 0

    def _forward(self) -> None:
        with torch.set_grad_enabled(self._inputs.requires_grad):
            logits = self._model(self._inputs)
        if not isinstance(logits, Tensor):
            raise TypeError
        self._logits = logits

    def _backward(self) -> None:
        (self._gradient,) = torch.autograd.grad(self._logits, self._inputs, self._weights, retain_graph=True)

    def logits(self, inputs: Tensor) -> Tensor:
        """Logits of inputs of the shape, without a gradient."""
        with torch.inference_mode(mode=False), torch.no_grad():
            self._inputs.copy_(inputs)
            self._graphs[0].replay()
            self.calls += 1
            return self._logits.detach().clone()

    def gradient(self, inputs: Tensor, weights: Tensor, call: int) -> Tensor:
        """Gradient of weighted logits at the inputs of a call."""
        with self._one_thread, torch.no_grad():
            if call != self.calls:
                self.logits(inputs)
            self._weights.copy_(weights)
            self._graphs[1].replay()
            return self._gradient.clone()

    def agree(self, inputs: Tensor) -> bool:
        """Whether they are those of the model on these inputs, to rounding."""
        leaf = inputs.clone().requires_grad_(self._inputs.requires_grad)
        with torch.set_grad_enabled(leaf.requires_grad):
            expected = self._model(leaf)
        found = self.logits(inputs)
        same = _close(expected.detach(), found)
        if not (same and leaf.requires_grad):
            return same
        weights = torch.linspace(-1.0, 1.0, expected.numel(), device=leaf.device).reshape_as(expected).to(expected)
        (gradient,) = torch.autograd.grad(expected, leaf, weights)
        return _close(gradient, self.gradient(inputs, weights, self.calls))


class _Replayed(torch.autograd.Function):
    """Recorded passes as one operation."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, passes: _Passes) -> Tensor:
        logits = passes.logits(inputs)
        ctx.save_for_backward(inputs)
        ctx.passes, ctx.call = passes, passes.calls
        return logits

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor, None]:
        (inputs,) = ctx.saved_tensors
        return ctx.passes.gradient(inputs, weights, ctx.call), None


def _on_usual_stream(inputs: Tensor) -> bool:
    """Whether work on these inputs waits for all other work on them; streams share what graphs read and write."""
    device = inputs.device
    return not inputs.is_cuda or torch.cuda.current_stream(device) == torch.cuda.default_stream(device)


def _close(expected: Tensor, found: Tensor) -> bool:
    return bool((expected - found).abs().amax() <= TOLERANCE * expected.abs().amax())
