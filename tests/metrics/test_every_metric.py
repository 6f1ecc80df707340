"""What holds for every registered metric."""

import dataclasses
import json

import pytest
import torch
from helpers.metric_cases import BASELINE, MODELS, Gradient, case, masks_of, registered
from helpers.tiny_models import Counting, nothing_touched, with_hooks_and_marks
from torch import Tensor, nn

from audioxai.core import Metric, configuration_of
from audioxai.metrics import METRICS, Setting, metric
from audioxai.metrics.robustness import RangeNoise
from audioxai.utils import hardware
from audioxai.utils.errors import UserError

EVERY = pytest.mark.parametrize("name", METRICS)
LOCALISATION = ("relevance_mass", "relevance_rank", "pointing_game", "top_k_intersection", "focus")
# Their scores take few values, so different samples may have the same.
COARSE = (
    "average_increase",
    "average_drop",
    "average_gain",
    "input_fidelity",
    "road",
    "pointing_game",
    "top_k_intersection",
    "relevance_rank",
    "effective_complexity",
    "non_sensitivity",
)
WITHOUT_PASSES = ("sparseness", "complexity", "effective_complexity", *LOCALISATION)
# Nothing in them is drawn unless cells are equally relevant; ROAD's noise is too faint to change a predicted class.
WITHOUT_CHANCE = (
    *WITHOUT_PASSES,
    "road",
    "faithfulness_estimate",
    "deletion",
    "insertion",
    "comprehensiveness",
    "sufficiency",
    "average_increase",
    "average_drop",
    "average_gain",
    "mask_faithfulness",
    "input_fidelity",
    "completeness",
    "non_sensitivity",
    "input_invariance",
)
# What they compare the map with is not a map, or not scaled along.
KNOW_THE_SCALE = (
    "average_sensitivity",
    "maximum_sensitivity",
    "local_lipschitz",
    "relative_input_stability",
    "contribution_infidelity",
    "infidelity",
    "completeness",
    "input_invariance",
    "smooth_mprt",
)
DEFINED_WHERE_ALL_ZERO = ("completeness",)


def scores_of(name: str, model: nn.Module, inputs: Tensor, targets: Tensor, attributions: Tensor) -> Tensor:
    """Scores of the registered metric, with masks, which only some of them read."""
    return registered(name)(model, inputs, targets, attributions, masks_of(inputs))


EVERY_KIND = pytest.mark.parametrize("kind", MODELS)


@EVERY
def test_is_a_frozen_dataclass_that_says_where_it_comes_from(name: str) -> None:
    made = registered(name)
    assert isinstance(made, Metric)
    assert type(made).__dataclass_params__.frozen
    assert made == registered(name)
    assert isinstance(made.higher_is_better, bool)
    assert made.score_range[0] < made.score_range[1]
    assert any(character.isdigit() for character in made.source)
    fields = {field.name for field in dataclasses.fields(made)}
    assert not fields & {"higher_is_better", "score_range", "source"}
    configuration = configuration_of(made)
    assert json.loads(json.dumps(configuration)) == configuration


@EVERY
def test_is_found_by_its_name(name: str) -> None:
    setting = Setting(Gradient(), BASELINE, RangeNoise(), class_count=10)
    assert metric(name, setting) == METRICS[name](setting)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UserError, match=r"metric is 'accuracy'; choose among faithfulness_correlation, .*mprt"):
        metric("accuracy", Setting(Gradient(), BASELINE, RangeNoise(), 3))


@EVERY
@EVERY_KIND
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch", [1, 5])
def test_gives_every_sample_a_score_within_the_range(name: str, kind: str, dtype: torch.dtype, batch: int) -> None:
    scores = scores_of(name, *case(kind, dtype, batch))
    assert scores.shape == (batch,)
    assert scores.dtype == torch.float64
    assert not scores.requires_grad
    low, high = registered(name).score_range
    assert bool(((scores >= low) & (scores <= high)).all())


@EVERY
@EVERY_KIND
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_is_the_same_for_any_batch_order_and_call_size(
    name: str, kind: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs, targets, attributions = case(kind, dtype)
    together = scores_of(name, model, inputs, targets, attributions)
    assert len(torch.unique(together)) == 5 or name in COARSE
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    alone = [
        scores_of(name, model, *(part[row : row + 1] for part in (inputs, targets, attributions)))
        for row in range(len(inputs))
    ]
    torch.testing.assert_close(torch.cat(alone), together, rtol=tolerance, atol=tolerance)
    order = torch.tensor([3, 0, 4, 2, 1])
    shuffled = scores_of(name, model, inputs[order], targets[order], attributions[order])
    torch.testing.assert_close(shuffled, together[order], rtol=tolerance, atol=tolerance)
    for inputs_a_call in (1, 7, 1000):
        monkeypatch.setattr(hardware, "CELLS_PER_CALL_CPU", inputs_a_call * inputs[0].numel())
        again = scores_of(name, model, inputs, targets, attributions)
        torch.testing.assert_close(again, together, rtol=tolerance, atol=tolerance)


@EVERY
@EVERY_KIND
def test_a_sample_scaled_by_a_million_moves_no_other(name: str, kind: str) -> None:
    model, inputs, targets, attributions = case(kind)
    before = scores_of(name, model, inputs, targets, attributions)
    attributions[2] *= 1e6
    after = scores_of(name, model, inputs, targets, attributions)
    others = torch.tensor([0, 1, 3, 4])
    torch.testing.assert_close(after[others], before[others], rtol=0, atol=0)
    if name not in KNOW_THE_SCALE:
        torch.testing.assert_close(after[2], before[2], rtol=1e-9, atol=1e-9)


@EVERY
@EVERY_KIND
def test_an_attribution_that_is_all_zero_is_undefined_for_that_sample_only(name: str, kind: str) -> None:
    model, inputs, targets, attributions = case(kind)
    before = scores_of(name, model, inputs, targets, attributions)
    attributions[1] = 0.0
    after = scores_of(name, model, inputs, targets, attributions)
    assert torch.isnan(after).tolist() == [False, name not in DEFINED_WHERE_ALL_ZERO, False, False, False]
    others = torch.tensor([0, 2, 3, 4])
    torch.testing.assert_close(after[others], before[others], rtol=0, atol=0)


@EVERY
@EVERY_KIND
def test_leaves_everything_as_it_was(name: str, kind: str) -> None:
    model, inputs, targets, attributions = case(kind)
    with_hooks_and_marks(model)
    with nothing_touched(model, inputs, targets, attributions):
        scores_of(name, model, inputs, targets, attributions)


@EVERY
def test_is_deterministic(name: str) -> None:
    given = case("image")
    first = scores_of(name, *given)
    torch.manual_seed(5)
    assert torch.equal(first, scores_of(name, *given))


@pytest.mark.parametrize("name", [name for name in METRICS if name not in WITHOUT_CHANCE])
def test_another_seed_is_another_experiment(name: str) -> None:
    given = case("image")
    assert not torch.equal(registered(name, seed=0)(*given), registered(name, seed=1)(*given))


@EVERY
@EVERY_KIND
def test_takes_the_passes_it_says(name: str, kind: str) -> None:
    inner, inputs, targets, attributions = case(kind)
    model = Counting(inner)
    said = registered(name).passes(model, inputs)
    scores_of(name, model, inputs, targets, attributions)
    assert model.counter.count == said
    assert (said == 0) == (name in WITHOUT_PASSES)


@EVERY
@pytest.mark.parametrize("part", [1, 3], ids=["inputs", "attributions"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_none_are_refused_with_sample_and_metric(name: str, part: int, value: float) -> None:
    given = case("image")
    given[part][3, 0, 2, 1] = value
    title = registered(name).title
    what = {1: "inputs", 3: "attributions"}[part]
    with pytest.raises(UserError, match=rf"^{title}: .*{what} of sample 3 contain NaN or infinity"):
        scores_of(name, *given)


@EVERY
@pytest.mark.parametrize("shape", [(5, 1, 12, 9), (4, 1, 12, 10), (1, 1, 12, 10), (5, 12, 10), (5, 3, 12, 10)])
def test_attributions_of_another_shape_are_refused_before_any_pass(name: str, shape: tuple[int, ...]) -> None:
    inner, inputs, targets, _ = case("image")
    model = Counting(inner)
    title = registered(name).title
    with pytest.raises(UserError, match=rf"^{title} got attributions of .*for inputs of .*\(5, 1, 12, 10\)"):
        scores_of(name, model, inputs, targets, torch.ones(shape, dtype=torch.float64))
    assert model.counter.count == 0


@EVERY
def test_works_where_the_caller_wants_no_gradients(name: str) -> None:
    given = case("image")
    expected = scores_of(name, *given)
    with torch.no_grad():
        assert torch.equal(scores_of(name, *given), expected)


@pytest.mark.parametrize("name", LOCALISATION)
def test_a_metric_that_needs_masks_asks_for_them(name: str) -> None:
    with pytest.raises(UserError, match="got no masks for inputs of"):
        registered(name)(*case("image"))
