"""Model-parameter randomisation: the cascade of random models, and the score against a slow twin."""

import copy
import itertools

import numpy as np
import pytest
import scipy.stats
import torch
from helpers.metric_cases import MODELS, Gradient, case
from helpers.tiny_models import nothing_touched, seeded, tiny_cnn, with_hooks_and_marks
from torch import nn

from audioxai.baselines import Black
from audioxai.domains import Pixels
from audioxai.metrics.randomisation import ModelParameterRandomisation, cascade
from audioxai.models import build
from audioxai.utils.errors import UserError
from audioxai.xai_methods import METHODS
from audioxai.xai_methods.controls import RandomAttribution

# Layers of the tiny CNN that hold parameters, from the last to the first.
LAYERS = ("9", "4", "1", "0")


def changed_layers(original: nn.Module, other: nn.Module) -> set[str]:
    """Names of the layers whose own parameters or buffers differ."""
    before, after = original.state_dict(), other.state_dict()
    assert before.keys() == after.keys()
    return {name.rpartition(".")[0] for name in before if not torch.equal(before[name], after[name])}


def test_the_cascade_goes_from_the_last_layer_to_the_first() -> None:
    model = tiny_cnn()
    changed = [changed_layers(model, other) for other in cascade(model, 0)]
    assert changed == [set(LAYERS[: depth + 1]) for depth in range(len(LAYERS))]


def test_from_the_bottom_it_goes_from_the_first_layer_to_the_last_and_ends_the_same() -> None:
    model = tiny_cnn()
    changed = [changed_layers(model, other) for other in cascade(model, 0, bottom_up=True)]
    assert changed == [set(LAYERS[-depth:]) for depth in range(1, len(LAYERS) + 1)]
    (*_, down), (*_, up) = cascade(model, 0), cascade(model, 0, bottom_up=True)
    for one, other in zip(down.state_dict().values(), up.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_the_cascade_of_a_real_model_ends_with_everything_drawn_anew() -> None:
    model = seeded(build("small_cnn", Pixels(16, 16), 4, seed=0), seed=3)
    *_, last = cascade(model, 0)
    assert changed_layers(model, last) == {name for name, layer in model.named_modules() if hasattr(layer, "weight")}
    # Drawn anew, not merely disturbed: no trace of the old weights.
    old, new = model.body[5].weight.detach().flatten(), last.body[5].weight.detach().flatten()
    assert abs(np.corrcoef(old, new)[0, 1]) < 0.1


def test_layers_once_drawn_stay_while_the_next_are_drawn() -> None:
    model = tiny_cnn()
    states = [copy.deepcopy(other.state_dict()) for other in cascade(model, 0)]
    for earlier, later in itertools.pairwise(states):
        assert torch.equal(earlier["9.weight"], later["9.weight"])


def test_layers_of_one_shape_get_weights_of_their_own() -> None:
    model = nn.Sequential(*[nn.Linear(6, 6) for _ in range(4)])
    *_, last = cascade(model, 0)
    for one in range(4):
        for other in range(one):
            correlation = np.corrcoef(last[one].weight.detach().flatten(), last[other].weight.detach().flatten())[0, 1]
            assert abs(correlation) < 0.6


def test_weights_do_not_depend_on_how_they_lie_in_memory() -> None:
    # On a CPU convolutions' channels come last, on a GPU first.
    first = build("small_cnn", Pixels(16, 16), 4, seed=0)
    last = copy.deepcopy(first).to(memory_format=torch.channels_last)
    *_, one = cascade(first, 0)
    *_, other = cascade(last, 0)
    assert other.body[5].weight.stride() == last.body[5].weight.stride() != first.body[5].weight.stride()
    assert changed_layers(one, other) == set()


def test_weights_depend_on_the_seed_alone() -> None:
    def drawn(seed: int) -> torch.Tensor:
        *_, last = cascade(tiny_cnn(), seed)
        return last[9].weight.detach().clone()

    first = drawn(0)
    torch.manual_seed(99)
    assert torch.equal(first, drawn(0))
    assert not torch.equal(first, drawn(1))


@pytest.mark.parametrize("kind", MODELS)
def test_is_the_slow_twin(kind: str) -> None:
    model, inputs, targets, attributions = case(kind)
    metric = ModelParameterRandomisation(Gradient())
    per_model = []
    for randomised in cascade(model, 0):
        scores = []
        for row in range(len(inputs)):
            again = Gradient()(randomised.eval(), inputs[row : row + 1], targets[row : row + 1])[0]
            pair = attributions[row].abs().flatten().numpy(), again.abs().flatten().numpy()
            scores.append(scipy.stats.spearmanr(*pair).statistic)
        per_model.append(scores)
    assert len(per_model) == (4 if kind == "image" else 3)
    scores = metric(model, inputs, targets, attributions)
    np.testing.assert_allclose(scores.numpy(), np.mean(per_model, axis=0), rtol=0, atol=1e-12)


def test_attributions_that_know_no_model_score_one() -> None:
    model, inputs, targets, _ = case("image")
    control = RandomAttribution()
    scores = ModelParameterRandomisation(control)(model, inputs, targets, control(model, inputs, targets))
    torch.testing.assert_close(scores, torch.ones(5, dtype=torch.float64), rtol=0, atol=1e-12)
    signs = ModelParameterRandomisation(control)(model, inputs, targets, -control(model, inputs, targets))
    torch.testing.assert_close(signs, torch.ones(5, dtype=torch.float64), rtol=0, atol=1e-12)


def test_constant_attributions_are_undefined_for_their_sample_only() -> None:
    model, inputs, targets, attributions = case("image")
    attributions[3] = -0.1
    scores = ModelParameterRandomisation(Gradient())(model, inputs, targets, attributions)
    assert torch.isnan(scores).tolist() == [False, False, False, True, False]


@pytest.mark.parametrize("name", [name for name, entry in METHODS.items() if entry.needs <= {"baseline"}])
def test_every_explainer_is_served_and_the_model_left_alone(name: str) -> None:
    model, inputs, targets, _ = case("image")
    explainer = METHODS.bind(name, {"baseline": Black()})
    attributions = explainer(model, inputs, targets)
    with_hooks_and_marks(model)
    with nothing_touched(model, inputs, targets, attributions):
        scores = ModelParameterRandomisation(explainer)(model, inputs, targets, attributions)
    # Where Grad-CAM finds nothing in a random model, the score is undefined.
    assert bool((scores.abs() <= 1).all()) or (name == "guided_grad_cam" and bool((scores.abs() <= 1).any()))


def test_stopping_half_way_leaves_the_random_state_alone() -> None:
    model = tiny_cnn()
    with nothing_touched(model):
        next(cascade(model, 0))


def test_a_model_without_layers_to_draw_anew_is_refused() -> None:
    model = nn.Sequential(nn.Flatten(), nn.ReLU(), nn.BatchNorm1d(64, affine=False))
    inputs = torch.ones(2, 1, 8, 8)
    with pytest.raises(UserError, match="no layer with reset_parameters"):
        ModelParameterRandomisation(Gradient())(model, inputs, torch.tensor([0, 1]), inputs)
