"""Controls and SmoothGrad against SciPy, slow loops and closed forms."""

import numpy as np
import pytest
import scipy.ndimage
import torch
from helpers.explainer_cases import MODELS, case
from helpers.tiny_models import Function, Linear, draw

from audioxai.baselines import Constant, Silence
from audioxai.domains import LogMel
from audioxai.utils.errors import UserError
from audioxai.xai_methods.controls import Edges, Energy
from audioxai.xai_methods.gradients import SmoothGrad

EVERY_KIND = pytest.mark.parametrize("kind", MODELS)
UNASKED = Function(lambda _: pytest.fail("a control asked the model"))
TARGETS = torch.zeros(3, dtype=torch.int64)


@pytest.mark.parametrize("shape", [(1, 7, 9), (2, 5, 4), (1, 30), (1, 2, 2)])
def test_edges_are_scipys_sobel_magnitude(shape: tuple[int, ...]) -> None:
    inputs = draw(3, *shape)
    edges = Edges()(UNASKED, inputs, TARGETS)
    for one, expected in zip(edges.flatten(0, 1).numpy(), inputs.flatten(0, 1).numpy(), strict=True):
        slopes = [scipy.ndimage.sobel(expected, axis, mode="nearest") for axis in range(expected.ndim)]
        np.testing.assert_allclose(one, np.sqrt(sum(slope**2 for slope in slopes)), rtol=1e-12, atol=1e-12)


def test_edges_see_no_level_and_energy_is_the_level_above_silence() -> None:
    levels = (-40.0 + 15.0 * draw(3, 1, 8, 6)).clamp(-80.0, 0.0)
    torch.testing.assert_close(Edges()(UNASKED, levels + 7.0, TARGETS), Edges()(UNASKED, levels, TARGETS))
    silence = Silence(LogMel(8_000, 0.25, bands=8, frames=6))
    torch.testing.assert_close(Energy(silence)(UNASKED, levels, TARGETS), levels + 80.0)
    waveforms = draw(3, 1, 20)
    assert torch.equal(Energy(Constant(0.0))(UNASKED, waveforms, TARGETS), waveforms.abs())
    assert (Edges().passes(levels), Energy(silence).passes(levels)) == (0, 0)


@EVERY_KIND
def test_smooth_grad_is_the_mean_gradient_around_the_input(kind: str) -> None:
    model, inputs, targets = case(kind)
    # A quadratic's gradient is linear, so noise leaves its mean; its variance says how wide the noise was.
    square = Function(lambda x: x.flatten(1).square().sum(1, keepdim=True).expand(-1, 3))
    draws = 16
    estimates = SmoothGrad(0.5, draws)(square, inputs, targets)
    assert abs(float((estimates - 2.0 * inputs).std()) / (2.0 * 0.5 / draws**0.5) - 1.0) < 0.12
    linear = Linear(3, *inputs.shape[1:])
    attributions = SmoothGrad(0.5, 3)(linear, inputs, targets)
    torch.testing.assert_close(attributions, linear.weights.detach()[targets], rtol=1e-12, atol=1e-13)
    # Next to no noise: the gradient itself.
    point = inputs.clone().requires_grad_(True)
    model(point).gather(1, targets[:, None]).sum().backward()
    torch.testing.assert_close(SmoothGrad(1e-9, 2)(model, inputs, targets), point.grad, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("spread", "draws"), [(0.0, 4), (1.0, 0)])
def test_impossible_noise_is_refused(spread: float, draws: int) -> None:
    with pytest.raises(UserError, match=f"noise_std is {spread} and draws is {draws}"):
        SmoothGrad(spread, draws)
