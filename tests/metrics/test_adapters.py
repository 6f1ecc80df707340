"""Other people's code as metrics: plain functions, and metrics of Quantus that we do not have."""

import dataclasses
import importlib
import json
from typing import Any, cast

import numpy as np
import pytest
import quantus
import torch
from helpers.metric_cases import Gradient, metric_case
from helpers.quantus_runs import QUIET
from torch import Tensor, nn

from audioxai.compat.quantus import FromQuantus
from audioxai.core import configuration_of
from audioxai.metrics import METRICS, FromFunction, evaluate
from audioxai.metrics.batch import Batch
from audioxai.testing.metrics import check_metric
from audioxai.utils.errors import UserError

SINGLE = torch.float32


def peak(model: nn.Module, inputs: Tensor, targets: Tensor, attributions: Tensor) -> Tensor:
    """Largest share of the absolute attributions."""
    magnitudes = attributions.abs().flatten(1)
    return magnitudes.amax(1) / magnitudes.sum(1)


def drop(model: nn.Module, inputs: Tensor, targets: Tensor, attributions: Tensor) -> Tensor:
    """Drop of the target's logit without the positive features; NaN where no attribution differs from 0."""
    kept = torch.where(attributions > 0, 0.0, inputs)
    logits = [model(given).gather(1, targets[:, None])[:, 0] for given in (inputs, kept)]
    return torch.where(attributions.flatten(1).abs().amax(1) > 0, logits[0] - logits[1], torch.nan)


def inside(model: nn.Module, inputs: Tensor, targets: Tensor, attributions: Tensor, masks: Tensor) -> Tensor:
    """Share of the absolute attributions inside the mask."""
    magnitudes = attributions.abs()
    return (magnitudes * masks).flatten(1).sum(1) / magnitudes.flatten(1).sum(1)


PEAK = FromFunction(
    function=peak, name="peak", revision=2, higher_is_better=True, score_range=(0.0, 1.0), passes_per_sample=0
)
DROP = FromFunction(function=drop, name="drop", higher_is_better=True, passes_per_sample=2)
INSIDE = FromFunction(function=inside, name="inside", needs_masks=True, passes_per_sample=0)


@pytest.mark.parametrize("metric", [PEAK, DROP, INSIDE], ids=lambda metric: metric.name)
@pytest.mark.parametrize("kind", ["image", "waveform"])
def test_a_function_keeps_the_contract(metric: FromFunction, kind: str) -> None:
    check_metric(metric, metric_case(kind))


def test_a_function_scores_as_it_does_by_itself_together_with_other_metrics() -> None:
    case = metric_case("image")
    scores = evaluate({"peak": PEAK, "drop": DROP}, Batch(case.model, case.inputs, case.targets), case.attributions)
    given = (case.model, case.inputs, case.targets, case.attributions)
    torch.testing.assert_close(scores["peak"], peak(*given))
    torch.testing.assert_close(scores["drop"], drop(*given).detach())


def test_name_and_revision_identify_a_function() -> None:
    assert dataclasses.replace(PEAK, function=drop) == PEAK
    assert dataclasses.replace(PEAK, function=peak, revision=3) != PEAK
    stored = json.dumps(configuration_of(PEAK))
    assert "0x" not in stored
    assert json.loads(stored)["name"] == "peak"


def test_a_function_is_registered_and_a_second_one_under_its_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(METRICS, "_entries", dict(METRICS))
    METRICS.add(PEAK.entry())
    METRICS.add(PEAK.entry())
    assert METRICS.bind("peak", {"seed": 1, "explainer": Gradient()}) is PEAK
    entry = METRICS["peak"]
    assert (entry.label, entry.revision, entry.higher_is_better) == ("Peak", 2, True)
    with pytest.raises(UserError, match="there is a metric 'peak' already"):
        METRICS.add(dataclasses.replace(PEAK, function=drop).entry())


@pytest.mark.parametrize("facts", [{"name": ""}, {"name": "a", "revision": 0}])
def test_a_function_without_name_or_revision_is_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="give a name and a revision"):
        FromFunction(function=peak, **facts)


def test_one_score_per_sample_is_required() -> None:
    broken = FromFunction(function=lambda *given: peak(*given).mean(), name="mean")
    case = metric_case("image")
    with pytest.raises(UserError, match=r"Mean returned scores of shape \(\) for 5 samples"):
        case.scores(broken)


# Metrics of Quantus without a counterpart here.
QUANTUS = {
    "monotonicity": FromQuantus(
        metric="Monotonicity", name="monotonicity", options={"features_in_step": 10}, score_range=(0.0, 1.0)
    ),
    "monotonicity_correlation": FromQuantus(
        metric=quantus.MonotonicityCorrelation(nr_samples=2, features_in_step=20, **QUIET),
        name="monotonicity_correlation",
        higher_is_better=True,
        score_range=(-1.0, 1.0),
    ),
    "selectivity": FromQuantus(
        metric=quantus.Selectivity, name="selectivity", options={"patch_size": 4}, reduce="mean", softmax=True
    ),
    "auc": FromQuantus(metric="AUC", name="auc", needs_masks=True, higher_is_better=True, score_range=(0.0, 1.0)),
    "relative_output_stability": FromQuantus(
        metric=quantus.RelativeOutputStability,
        name="relative_output_stability",
        options={"nr_samples": 3},
        explainer=Gradient(),
        score_range=(0.0, float("inf")),
    ),
}


@pytest.mark.parametrize("name", QUANTUS)
def test_metrics_of_quantus_keep_the_contract(name: str) -> None:
    case = metric_case("image", SINGLE)
    # Selectivity cuts the image into squares that have to fit.
    check_metric(QUANTUS[name], dataclasses.replace(case) if name != "selectivity" else square_case())


def square_case():
    """Images of 12 × 12."""
    case = metric_case("image", SINGLE)
    inputs = torch.cat([case.inputs, case.inputs[..., :2]], dim=3)
    attributions = Gradient()(case.model, inputs, case.targets)
    return dataclasses.replace(case, inputs=inputs, attributions=attributions, masks=inputs > 0.1)


def test_waveforms_are_taken_too() -> None:
    check_metric(QUANTUS["monotonicity"], metric_case("waveform", SINGLE))


def test_scores_are_those_of_quantus_called_with_each_sample() -> None:
    case = metric_case("image", SINGLE)
    for row, score in enumerate(case.scores(QUANTUS["auc"]).tolist()):
        one = case.rows([row])
        (expected,) = quantus.AUC(**QUIET)(
            model=one.model,
            x_batch=one.inputs.numpy(),
            y_batch=one.targets.numpy(),
            a_batch=one.attributions.numpy().copy(),
            s_batch=np.asarray(one.masks),
        )
        assert score == pytest.approx(expected, abs=1e-7)


def test_seeds_are_the_samples_own_and_other_seeds_draw_otherwise() -> None:
    case, metric = metric_case("image", SINGLE), QUANTUS["relative_output_stability"]
    twice = case.rows([0, 0, 1])
    first, again, _ = twice.scores(metric).tolist()
    assert first == again
    other = metric.entry().bind({"explainer": Gradient(), "seed": 7})
    assert (other.seed, other.name) == (7, metric.name)
    assert not torch.equal(case.scores(other), case.scores(metric))


def test_an_instance_is_not_changed() -> None:
    instance = quantus.MonotonicityCorrelation(nr_samples=2, features_in_step=20, **QUIET)
    metric_case("image", SINGLE).scores(FromQuantus(metric=instance, name="m"))
    assert instance.all_evaluation_scores == []


def test_several_numbers_are_refused_unless_they_are_to_be_averaged() -> None:
    curve = FromQuantus(metric="PixelFlipping", name="flipping", options={"features_in_step": 24})
    with pytest.raises(UserError, match="Flipping returned 5 numbers for a sample; reduce='mean'"):
        metric_case("image", SINGLE).scores(curve)
    mean = dataclasses.replace(curve, metric="PixelFlipping", reduce="mean")
    scores = metric_case("image", SINGLE).scores(mean)
    assert bool(np.isfinite(scores.numpy()).all())


def test_configuration_names_metric_revision_and_options_and_no_address() -> None:
    stored = json.dumps(configuration_of(QUANTUS["relative_output_stability"]))
    assert "0x" not in stored
    assert json.loads(stored)["options"] == {"nr_samples": 3}
    assert json.loads(stored)["name"] == "relative_output_stability"


def test_an_unknown_metric_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="Quantus has no metric 'Monotonicty', did you mean 'Monotonicity'"):
        FromQuantus(metric="Monotonicty", name="m")


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UserError, match="options are given with an instance"):
        FromQuantus(metric=quantus.AUC(**QUIET), name="auc", options={"abs": True})
    with pytest.raises(UserError, match="reduce is 'last'"):
        FromQuantus(metric="AUC", name="auc", reduce=cast(Any, "last"))
    with pytest.raises(UserError, match="metric is 3"):
        FromQuantus(metric=3, name="three")


def test_without_quantus_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(UserError, match=r"pip install 'audioxai\[compare\]'"):
        FromQuantus(metric="AUC", name="auc")
