"""Model-parameter randomisation: the cascade of random models, and the score against a slow twin."""

import copy
import itertools
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
import torch
from helpers.metric_cases import MODELS, Gradient, case, registered
from helpers.tiny_models import draw, layers_of, nothing_touched, seeded, tiny_cnn, with_hooks_and_marks
from torch import nn
from torch.nn.utils import parametrizations, prune, weight_norm

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
    old, new = (layers_of(one).body[5].weight.detach().flatten() for one in (model, last))
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
            pair = [layers_of(last)[layer].weight.detach().flatten() for layer in (one, other)]
            correlation = np.corrcoef(*pair)[0, 1]
            assert abs(correlation) < 0.6


def test_weights_do_not_depend_on_how_they_lie_in_memory() -> None:
    # On a CPU convolutions' channels come last, on a GPU first.
    first = build("small_cnn", Pixels(16, 16), 4, seed=0)
    last = layers_of(copy.deepcopy(first)).to(memory_format=torch.channels_last)
    *_, one = cascade(first, 0)
    *_, other = cascade(last, 0)
    strides = [layers_of(model).body[5].weight.stride() for model in (first, last, other)]
    assert strides[0] != strides[1] == strides[2]
    assert changed_layers(one, other) == set()


def test_weights_depend_on_the_seed_alone() -> None:
    def drawn(seed: int) -> torch.Tensor:
        *_, last = cascade(tiny_cnn(), seed)
        weight: torch.Tensor = layers_of(last)[9].weight
        return weight.detach().clone()

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
    found = metric(model, inputs, targets, attributions)
    np.testing.assert_allclose(found.numpy(), np.mean(per_model, axis=0), rtol=0, atol=1e-12)


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
    with pytest.raises(UserError, match="has no parameters"):
        ModelParameterRandomisation(Gradient())(model, inputs, torch.tensor([0, 1]), inputs)


# --- Models as they are found ----------------------------------------------------------------------------------------


def old_weight_norm(layer: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return weight_norm(layer)


COMPUTED: dict[str, Callable[[nn.Module], nn.Module]] = {
    "weight_norm": parametrizations.weight_norm,
    "spectral_norm": parametrizations.spectral_norm,
    "weight_norm of old": old_weight_norm,
    "spectral_norm of old": nn.utils.spectral_norm,
    "pruned": lambda layer: prune.random_unstructured(layer, "weight", 0.3),
}


@pytest.mark.parametrize("norm", COMPUTED)
@pytest.mark.parametrize("metric", ["mprt", "smooth_mprt", "efficient_mprt"])
def test_computed_weights_score_as_the_plain_ones_do(norm: str, metric: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [COMPUTED[norm](nn.Linear(64, 16)), nn.ReLU(), COMPUTED[norm](nn.Linear(16, 3))]
    model = nn.Sequential(nn.Flatten(), *layers).double().eval()
    inputs, targets = draw(4, 1, 8, 8, seed=1), torch.tensor([0, 1, 2, 0])
    logits = model(inputs)
    plain = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 3)).double().eval()
    with torch.no_grad():
        for place in (1, 3):
            for name in ("weight", "bias"):
                getattr(layers_of(plain)[place], name).copy_(getattr(layers_of(model)[place], name))
    attributions = Gradient()(plain, inputs, targets)
    with nothing_touched(model, inputs, targets, attributions):
        scores = registered(metric)(model, inputs, targets, attributions)
    torch.testing.assert_close(scores, registered(metric)(plain, inputs, targets, attributions))
    assert torch.equal(model(inputs), logits)
    assert registered(metric).passes(model, inputs) == registered(metric).passes(plain, inputs)


class Transformer(nn.Module):
    """Parameters of its own, projections without ``reset_parameters``, one number, and a filter bank that stays."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(16, 16), nn.Linear(16, 3)
        self.position, self.token = nn.Parameter(torch.zeros(16, 16)), nn.Parameter(torch.zeros(1, 1, 16))
        self.temperature = nn.Parameter(torch.ones(()))
        self.layers = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2)
        self.register_buffer("filters", torch.ones(16))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        features = self.embed(inputs[:, 0] * self.get_buffer("filters")) + self.position
        features = self.layers(torch.cat([self.token.expand(len(features), 1, 16), features], 1))
        return self.head(features[:, 0]) * self.temperature


def test_no_parameter_stays_as_trained() -> None:
    model = seeded(Transformer())
    *_, last = cascade(model, 0)
    after = dict(last.named_parameters())
    assert not [name for name, before in model.named_parameters() if torch.equal(before, after[name])]
    assert torch.equal(model.get_buffer("filters"), last.get_buffer("filters"))
    # As large as before, and otherwise unlike it.
    old, new = model.position.detach().flatten(), after["position"].detach().flatten()
    assert abs(np.corrcoef(old, new)[0, 1]) < 0.2
    np.testing.assert_allclose([new.mean(), new.std()], [old.mean(), old.std()], rtol=0, atol=0.2 * float(old.std()))


def test_statistics_without_parameters_are_reset_and_constant_values_stay() -> None:
    model = seeded(nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.BatchNorm1d(4, affine=False)))
    model.register_parameter("gain", nn.Parameter(torch.full((5,), 0.1)))
    *_, last = cascade(model, 0)
    assert torch.equal(last.get_buffer("2.running_mean"), torch.zeros(4, dtype=torch.float64))
    assert torch.equal(last.get_parameter("gain"), model.get_parameter("gain"))
    assert ModelParameterRandomisation(Gradient()).passes(model, torch.zeros(2, 1, 4)) == 6


def test_weights_that_cannot_be_reached_are_refused() -> None:
    inputs, targets = torch.rand(2, 1, 8, 8), torch.tensor([0, 1])
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantised = torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)
        frozen = torch.jit.freeze(torch.jit.script(model))
    for given in (quantised, frozen):
        with pytest.raises(UserError, match=r"stay as trained|no parameters"):
            ModelParameterRandomisation(RandomAttribution())(given, inputs, targets, inputs)
