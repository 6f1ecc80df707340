"""One sample, one cell after the other: the slow way to do what the faithfulness metrics do."""

from collections.abc import Callable, Iterable

import pytest
import torch
from torch import Tensor, nn

from helpers.metric_cases import BASELINE, Gradient
from helpers.tiny_models import Linear, draw, tiny_cnn, tiny_waveform_cnn

KINDS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "image": (tiny_cnn, (1, 7, 6)),
    "waveform": (tiny_waveform_cnn, (1, 30)),
    "channels": (lambda: Linear(3, 2, 4, 5).eval(), (2, 4, 5)),
}
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)


def tie_free(kind: str, batch: int = 4) -> tuple[nn.Module, Tensor, Tensor, Tensor]:
    """Model, inputs, targets and attributions without ties, in float64; not all of them for the predicted class."""
    build, shape = KINDS[kind]
    model, inputs, targets = build(), draw(batch, *shape, seed=3), torch.arange(batch) % 3
    return model, inputs, targets, Gradient()(model, inputs, targets) + 0.1 * draw(batch, *shape, seed=4)


def linear(*shape: int, batch: int = 4) -> tuple[nn.Module, Tensor, Tensor, Tensor]:
    """A linear model, inputs, targets and what each number of the inputs adds to the target's logit."""
    model, inputs = Linear(3, *shape).eval(), draw(batch, *shape, seed=5)
    targets = torch.arange(batch) % 3
    return model, inputs, targets, model.weights.detach()[targets] * (inputs - BASELINE.value)


def most_relevant_first(attribution: Tensor) -> list[int]:
    """Cells of one attribution ``(channels, …)`` by their sum over the channels."""
    sums = [float(cell.sum()) for cell in attribution.flatten(1).T]
    return sorted(range(len(sums)), key=lambda cell: -sums[cell])


def without(sample: Tensor, cells: Iterable[int]) -> Tensor:
    """The sample ``(channels, …)`` with the cells at the baseline."""
    changed = sample.clone().flatten(1)
    for cell in cells:
        changed[:, cell] = BASELINE.value
    return changed.reshape(sample.shape)


def logit(model: nn.Module, sample: Tensor, target: Tensor) -> float:
    """Logit of the target for one sample."""
    with torch.no_grad():
        return float(model(sample[None])[0, target])


def probability(model: nn.Module, sample: Tensor, target: Tensor) -> float:
    """Softmax probability of the target for one sample."""
    with torch.no_grad():
        return float(model(sample[None])[0].softmax(0)[target])
