"""The reference's faithfulness metrics, within 1e-5 of the installed Quantus for the same seed and batch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import quantus
import torch
from helpers.metric_cases import Gradient
from helpers.quantus_runs import QUIET, call_quantus
from helpers.tiny_models import Counting, Linear, draw, nothing_touched, tiny_cnn, tiny_waveform_cnn
from torch import Tensor, nn

from audioxai.compat.quantus import faithfulness
from audioxai.metrics.batch import PassMetric
from audioxai.utils import hardware
from audioxai.utils.errors import UserError

MODELS: dict[str, tuple[Callable[..., nn.Module], tuple[int, ...]]] = {
    "image": (tiny_cnn, (1, 12, 8)),
    "waveform": (tiny_waveform_cnn, (1, 40)),
    "channels": (lambda dtype: Linear(3, 2, 4, 8).to(dtype).eval(), (2, 4, 8)),
}
EVERY_KIND = pytest.mark.parametrize("kind", MODELS)
EVERY_BASELINE = pytest.mark.parametrize("baseline", ["black", "white", "mean", "uniform", 0.25])
SEED = 7


def given(kind: str, batch: int = 4) -> tuple[nn.Module, Tensor, Tensor, Tensor]:
    """Model, inputs, targets and tie-free attributions in float32, which Quantus sends whatever it gets."""
    build, shape = MODELS[kind]
    model, inputs = build(dtype=torch.float32), draw(batch, *shape, seed=3, dtype=torch.float32)
    targets = torch.arange(batch) % 3
    noise = 0.3 * draw(batch, *shape, seed=4, dtype=torch.float32)
    return model, inputs, targets, Gradient()(model, inputs, targets) + noise


def assert_same(ours: Tensor, theirs: object) -> None:
    # Beside 1e-5 what single precision leaves of sums of 40: which last bits a model gives depends on the processor.
    np.testing.assert_allclose(ours.numpy(), np.asarray(theirs), rtol=1e-6, atol=1e-5)


@EVERY_KIND
@EVERY_BASELINE
def test_faithfulness_correlation(kind: str, baseline: str | float) -> None:
    case = given(kind)
    ours = faithfulness.FaithfulnessCorrelation(nr_runs=30, subset_size=9, perturb_baseline=baseline, seed=SEED)
    theirs = quantus.FaithfulnessCorrelation(
        nr_runs=30, subset_size=9, perturb_baseline=baseline, return_aggregate=False, **QUIET
    )
    assert_same(ours(*case), call_quantus(theirs, *case, seed=SEED))


def test_faithfulness_correlation_with_the_reference_s_defaults() -> None:
    model, shape = tiny_cnn(dtype=torch.float32), (3, 1, 20, 16)
    inputs, attributions = (draw(*shape, seed=seed, dtype=torch.float32) for seed in (1, 2))
    case = (model, inputs, torch.tensor([0, 1, 2]), attributions)
    expected = call_quantus(quantus.FaithfulnessCorrelation(**QUIET), *case, seed=SEED)
    assert_same(faithfulness.FaithfulnessCorrelation(seed=SEED)(*case).mean(), np.squeeze(expected))


@EVERY_KIND
@pytest.mark.parametrize("name", ["FaithfulnessCorrelation", "FaithfulnessEstimate", "PixelFlipping"])
@pytest.mark.parametrize(
    ("settings", "softmax"), [({"abs": True}, False), ({"normalise": False}, True), ({"abs": True}, True)]
)
def test_settings(kind: str, name: str, settings: dict[str, bool], softmax: bool) -> None:
    case = given(kind)
    sizes = {"nr_runs": 15, "subset_size": 7} if name == "FaithfulnessCorrelation" else {"features_in_step": 4}
    ours = getattr(faithfulness, name)(softmax=softmax, seed=SEED, **sizes, **settings)
    theirs = getattr(quantus, name)(return_aggregate=False, **sizes, **settings, **QUIET)
    expected = call_quantus(theirs, *case, seed=SEED, softmax=softmax)
    assert_same(ours.curve(*case) if name == "PixelFlipping" else ours(*case), expected)


@EVERY_KIND
@EVERY_BASELINE
@pytest.mark.parametrize("features_in_step", [1, 8])
def test_faithfulness_estimate(kind: str, baseline: str | float, features_in_step: int) -> None:
    case = given(kind)
    settings: dict[str, Any] = {"features_in_step": features_in_step, "perturb_baseline": baseline}
    ours = faithfulness.FaithfulnessEstimate(seed=SEED, **settings)
    assert_same(ours(*case), call_quantus(quantus.FaithfulnessEstimate(**settings, **QUIET), *case, seed=SEED))


@EVERY_KIND
@EVERY_BASELINE
@pytest.mark.parametrize("features_in_step", [1, 8])
def test_pixel_flipping(kind: str, baseline: str | float, features_in_step: int) -> None:
    case = given(kind)
    settings: dict[str, Any] = {"features_in_step": features_in_step, "perturb_baseline": baseline}
    ours = faithfulness.PixelFlipping(seed=SEED, **settings)
    curves = call_quantus(quantus.PixelFlipping(**settings, **QUIET), *case, seed=SEED)
    assert_same(ours.curve(*case), curves)
    # NumPy 2.4 has lost the name by which the reference asks for its areas.
    assert_same(ours(*case), np.trapezoid(curves, axis=1))


@pytest.mark.parametrize("kind", ["image", "channels"])
@EVERY_BASELINE
@pytest.mark.parametrize("sizes", [(4,), (2, 4)])
@pytest.mark.parametrize("settings", [{}, {"abs": True, "normalise": True}])
def test_infidelity(kind: str, baseline: str | float, sizes: tuple[int, ...], settings: dict[str, bool]) -> None:
    case = given(kind)
    ours = faithfulness.Infidelity(perturb_patch_sizes=sizes, perturb_baseline=baseline, seed=SEED, **settings)
    theirs = quantus.Infidelity(perturb_patch_sizes=list(sizes), perturb_baseline=baseline, **settings, **QUIET)
    expected = np.asarray(call_quantus(theirs, *case, seed=SEED))
    np.testing.assert_allclose(ours(*case).numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("settings", [{}, {"abs": True}, {"noise": 0.5}, {"percentages": (5, 33, 90)}])
def test_road(settings: dict[str, Any]) -> None:
    model, inputs = Linear(3, 1, 12, 10).float().eval(), draw(6, 1, 12, 10, seed=3, dtype=torch.float32)
    targets = model(inputs).argmax(1)
    case = (model, inputs, targets, draw(6, 1, 12, 10, seed=4, dtype=torch.float32))
    expected = call_quantus(quantus.ROAD(**settings, **QUIET), *case, seed=SEED)
    ours = faithfulness.Road(seed=SEED, **settings)
    assert tuple(expected) == ours.percentages
    assert 0.0 < np.mean(list(expected.values())) < 1.0
    assert_same(ours.curve(*case).mean(0), list(expected.values()))
    assert_same(ours(*case).mean(), np.mean(list(expected.values())))


@EVERY_KIND
@pytest.mark.parametrize("threshold", [0.6, 0.9])
def test_sufficiency(kind: str, threshold: float) -> None:
    case = given(kind, batch=12)
    ours = faithfulness.Sufficiency(threshold=threshold)(*case)
    assert_same(ours, call_quantus(quantus.Sufficiency(threshold=threshold, **QUIET), *case))
    if (kind, threshold) == ("channels", 0.9):
        assert 0.0 < float(ours.mean()) < 1.0


def test_the_reference_s_sufficiency_knows_one_distance() -> None:
    with pytest.raises(TypeError, match="takes at most 3 arguments"):
        call_quantus(quantus.Sufficiency(distance_func="cosine", **QUIET), *given("image"))


def test_sufficiency_is_0_for_all_where_one_feature_does_not_vary() -> None:
    model, inputs, targets, attributions = given("image", batch=6)
    attributions[..., 2, 3] = 0.1
    scores = faithfulness.Sufficiency()(model, inputs, targets, attributions)
    assert_same(scores, call_quantus(quantus.Sufficiency(**QUIET), model, inputs, targets, attributions))
    assert not bool(scores.any())


EVERY_METRIC = pytest.mark.parametrize(
    "metric",
    [
        faithfulness.FaithfulnessCorrelation(nr_runs=10, subset_size=9),
        faithfulness.FaithfulnessEstimate(features_in_step=5),
        faithfulness.PixelFlipping(features_in_step=5, perturb_baseline="uniform"),
        faithfulness.Infidelity(perturb_baseline="uniform", n_perturb_samples=3),
        faithfulness.Road(percentages=(10, 40)),
        faithfulness.Sufficiency(),
    ],
    ids=lambda metric: type(metric).__name__,
)


@EVERY_METRIC
def test_the_size_of_calls_does_not_matter_and_nothing_is_touched(
    metric: PassMetric, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs, targets, attributions = given("image")
    counting = Counting(model)
    before = np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002 (must stay)
    with nothing_touched(counting, inputs, targets, attributions):
        expected = metric(counting, inputs, targets, attributions)
    assert np.array_equal(before, np.random.get_state(legacy=False)["state"]["key"])  # noqa: NPY002
    assert counting.counter.count == metric.passes(model, inputs)
    assert expected.dtype == torch.float64
    for inputs_a_call in (1, 7):
        monkeypatch.setattr(hardware, "CELLS_PER_CALL_CPU", inputs_a_call * inputs[0].numel())
        torch.testing.assert_close(metric(model, inputs, targets, attributions), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("metric", "kind", "reason"),
    [
        (faithfulness.FaithfulnessCorrelation(), "image", "subset_size is 224 but inputs have 96 features"),
        (faithfulness.Infidelity(perturb_patch_sizes=(5,)), "image", r"whose sides 5 divides, not inputs of \(1, 12"),
        (faithfulness.Infidelity(), "waveform", r"whose sides 4 divides, not inputs of \(1, 40\)"),
        (faithfulness.Road(), "waveform", r"images of one channel, not inputs of \(1, 40\)"),
        (faithfulness.Road(), "channels", r"images of one channel, not inputs of \(2, 4, 8\)"),
        (faithfulness.Road(percentages=(1,)), "image", "1 % of 96 pixels are none"),
    ],
)
def test_what_the_reference_cannot_is_refused(metric: PassMetric, kind: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        metric(*given(kind))


def test_a_baseline_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match="perturb_baseline is 'blue'; choose among black, white, mean, uniform"):
        faithfulness.PixelFlipping(perturb_baseline="blue")
