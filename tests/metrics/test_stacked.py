"""Randomised models as one model: the scores of one after the other, and the old way wherever they are not."""

import pytest
import torch
from helpers.metric_cases import MODELS, Gradient, case
from helpers.tiny_models import Counting, draw, tiny_cnn
from torch import Tensor, nn

from audioxai.core import Explainer
from audioxai.domains import Pixels
from audioxai.metrics import stacked as module
from audioxai.metrics.randomisation import ModelParameterRandomisation, cascade
from audioxai.metrics.stacked import Stacked, stacked
from audioxai.models import build
from audioxai.utils import hardware
from audioxai.xai_methods.gradients import InputXGradient, Saliency
from audioxai.xai_methods.guided_grad_cam import GuidedGradCam

EXPLAINERS = pytest.mark.parametrize("explainer", [Saliency(), InputXGradient()])


@pytest.fixture
def everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DEVICES", {"cpu"})


@EXPLAINERS
@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("inputs_a_call", [1, 3, 1000])
def test_scores_are_those_of_one_after_the_other(
    explainer: Explainer, kind: str, inputs_a_call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs, targets, attributions = case(kind)
    metric = ModelParameterRandomisation(explainer)
    expected = metric(model, inputs, targets, attributions)
    monkeypatch.setattr(module, "DEVICES", {"cpu"})
    counted = Counting(model)
    layers = metric.passes(counted, inputs) // len(inputs)
    monkeypatch.setattr(hardware, "CELLS_PER_CALL_CPU", inputs_a_call * layers * inputs[0].numel())
    state = {name: value.clone() for name, value in counted.state_dict().items()}
    for _ in range(2):
        scores = metric(counted, inputs, targets, attributions)
        torch.testing.assert_close(scores, expected, rtol=0, atol=1e-12)
    assert stacked(cascade(counted, 0), counted, explainer, inputs, targets) is not None
    assert all(torch.equal(value, state[name]) for name, value in counted.state_dict().items())


@pytest.mark.usefixtures("everywhere")
def test_a_model_of_batch_norm_and_pooling_in_single_precision() -> None:
    model, inputs = build("small_cnn", Pixels(32, 32), 4, seed=0).body.eval(), draw(5, 1, 32, 32, dtype=torch.float32)
    targets, explainer = torch.tensor([0, 1, 2, 3, 0]), Saliency()
    together = stacked(cascade(model, 3), model, explainer, inputs, targets)
    assert together is not None
    maps = together.by_model(explainer(together, together.copies(inputs), targets))
    for number, alone in enumerate(cascade(model, 3)):
        expected = explainer(alone, inputs, targets)
        torch.testing.assert_close(maps[:, number], expected, rtol=1e-4, atol=1e-5 * float(expected.max()))
    assert number + 1 == together.count > 3


@pytest.mark.usefixtures("everywhere")
def test_methods_that_hook_and_methods_that_do_not_say_what_they_are_go_one_after_the_other() -> None:
    model, inputs, targets, _ = case("image")
    for explainer in (GuidedGradCam(), Gradient()):
        assert stacked(cascade(model, 0), model, explainer, inputs, targets) is None


def test_on_a_cpu_models_are_not_stacked() -> None:
    model, inputs, targets, _ = case("image")
    assert stacked(cascade(model, 0), model, Saliency(), inputs, targets) is None


class AsksItsInput(nn.Module):
    """What it does depends on a number that it reads off its inputs, which cannot be batched over models."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = tiny_cnn()

    def forward(self, inputs: Tensor) -> Tensor:
        return self.inner(inputs) if float(inputs.detach().sum()) < 1e9 else 0.0 * self.inner(inputs)


def wrong(self: Stacked, inputs: Tensor) -> Tensor:
    """Every model but the first is left out."""
    logits: Tensor = self.model(self.by_model(inputs)[:, 0])
    return logits


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize("fault", ["cannot be batched", "differs", "too large"])
def test_where_stacking_is_wrong_or_too_large_the_scores_are_those_of_before(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, targets = draw(4, 1, 12, 10), torch.tensor([0, 1, 2, 0])
    model = AsksItsInput() if fault == "cannot be batched" else tiny_cnn()
    attributions, metric = Saliency()(model, inputs, targets), ModelParameterRandomisation(Saliency())
    with monkeypatch.context() as patched:
        patched.setattr(module, "DEVICES", {})
        expected = metric(model, inputs, targets, attributions)
    if fault == "differs":
        monkeypatch.setattr(Stacked, "forward", wrong)
    if fault == "too large":
        monkeypatch.setattr(module, "LARGEST_BYTES", 5_000)
    assert stacked(cascade(model, 0), model, Saliency(), inputs, targets) is None
    assert torch.equal(metric(model, inputs, targets, attributions), expected)
    if fault == "differs":
        # Once found wrong it is not tried again.
        counted = Counting(model)
        assert stacked(cascade(counted, 0), model, Saliency(), inputs, targets) is None
        assert counted.counter.count == 0
