"""Labels that do not exclude each other: their probabilities are sigmoids in every metric and score."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers.metric_cases import Gradient, case, kinds_of, masks_of, registered
from helpers.model_zoo import METHODS_TRIED, Found, of_method
from helpers.tiny_models import Function, draw
from torch import Tensor, nn

from audioxai.baselines import Constant
from audioxai.core import activation_of, probabilities_of
from audioxai.domains import Mask, Stft
from audioxai.metrics import METRICS
from audioxai.metrics.axiomatic import Shifted
from audioxai.metrics.faithfulness.masking import absence_probability
from audioxai.models.front_end import Labels
from audioxai.xai_methods.calls import LogitsOf
from audioxai.xai_methods.explain_in import Resynthesised
from audioxai.xai_methods.masks import MaskedModel, MaskedSounds
from audioxai.xai_methods.path_integral import PathIntegral
from audioxai.xai_methods.paths import Straight
from audioxai.xai_methods.scores import LOGIT, LogOdds, Margin

# These look at other labels than the target, which a label and its absence do not have.
OF_SEVERAL = (
    *("random_logit", "input_fidelity", "relative_input_stability"),
    # They keep the predicted class.
    *("attack_movement", "attack_overlap", "inaudible_movement"),
)


class AgainstAbsence(nn.Module):
    """Logits of one label and of its absence: a softmax of both is the label's sigmoid."""

    def __init__(self, inner: nn.Module, label: int) -> None:
        super().__init__()
        self.inner, self.label = inner, label
        self.eval()

    def forward(self, inputs: Tensor) -> Tensor:
        logits = self.inner(inputs)[:, self.label : self.label + 1]
        return torch.cat([logits, torch.zeros_like(logits)], 1)


def test_probabilities_are_one_sigmoid_per_label() -> None:
    logits = draw(4, 3)
    torch.testing.assert_close(probabilities_of(logits, "sigmoid"), 1.0 / (1.0 + (-logits).exp()))
    torch.testing.assert_close(probabilities_of(logits, "softmax").sum(1), torch.ones(4, dtype=torch.float64))
    torch.testing.assert_close(probabilities_of(logits[:, :1], "softmax"), logits[:, :1].sigmoid())


def test_only_that_word_makes_labels_of_classes() -> None:
    model = nn.Linear(2, 2)
    assert activation_of(model) == "softmax"
    for other in (nn.Sigmoid(), torch.sigmoid, "gelu", None, torch.zeros(2)):
        vars(model)["activation"] = other
        assert activation_of(model) == "softmax"
    assert activation_of(Labels(model)) == "sigmoid"


@pytest.mark.parametrize("name", [name for name in METRICS if name not in OF_SEVERAL])
def test_a_label_scores_as_a_class_against_its_absence(name: str) -> None:
    kind = kinds_of(name)[0]
    model, inputs, _, _ = case(kind)
    targets, masks, metric = torch.full((5,), 1), masks_of(inputs), registered(name)
    attributions = Gradient()(model, inputs, targets)
    change = 2.0 + attributions.flatten(1).sum(1)
    found = metric(Labels(model), inputs, targets, attributions, masks, change)
    first = torch.zeros_like(targets)
    expected = metric(AgainstAbsence(model, 1), inputs, first, attributions, masks, change)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9, equal_nan=True)


def test_the_metrics_of_probabilities_differ_from_those_of_a_softmax() -> None:
    reading = ("deletion", "insertion", "comprehensiveness", "sufficiency", "average_drop", "average_gain")
    model, inputs, targets, attributions = case("image")
    for name in (*reading, "mask_faithfulness"):
        metric = registered(name)
        one, other = (metric(own, inputs, targets, attributions) for own in (Labels(model), model))
        assert not torch.allclose(one, other, equal_nan=True), name


def test_average_drop_gain_increase_and_faithfulness_by_hand() -> None:
    model, inputs, targets, attributions = case("image")
    baseline = Constant(0.25)
    positive = attributions.clamp(min=0.0)
    mask = positive / positive.amax((1, 2, 3), keepdim=True)
    kept, removed = 0.25 + mask * (inputs - 0.25), inputs + mask * (0.25 - inputs)

    def probability(given: Tensor) -> Tensor:
        with torch.no_grad():
            return 1.0 / (1.0 + (-model(given).gather(1, targets[:, None])[:, 0]).exp())

    whole, after = probability(inputs), probability(kept)
    expected = {
        "average_drop": 100.0 * (whole - after).clamp(min=0.0) / whole,
        "average_gain": 100.0 * (after - whole).clamp(min=0.0) / (1.0 - whole),
        "average_increase": 100.0 * (after > whole).double(),
        "mask_faithfulness": whole - probability(removed),
    }
    for name, due in expected.items():
        found = registered(name, baseline=baseline)(Labels(model), inputs, targets, attributions)
        torch.testing.assert_close(found, due, rtol=1e-9, atol=1e-9)


def test_the_absence_of_a_certain_label_has_a_probability() -> None:
    logits = torch.tensor([[60.0, 0.0]])
    assert float(absence_probability(logits, torch.tensor([0]))) == pytest.approx(8.756510762696521e-27)


def two_labels() -> nn.Module:
    """Feature 0 speaks for both labels, three times as loudly for the second; feature 1 for the first alone, a little.

    Of a softmax the first class becomes more probable without feature 0, of two labels it becomes less probable.
    """
    weights = torch.tensor([[1.0, 0.25, 0.0, 0.0], [3.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    return Function(lambda inputs: inputs.flatten(1) @ weights.T)


def test_softmax_and_sigmoids_rank_two_maps_in_opposite_order() -> None:
    model, inputs = two_labels(), torch.ones(1, 1, 2, 2, dtype=torch.float64)
    maps = [
        torch.tensor(values, dtype=torch.float64).reshape(1, 1, 2, 2) for values in ([4.0, 3, 2, 1], [1.0, 4, 3, 2])
    ]
    deletion = registered("deletion", baseline=Constant(0.0), steps=4)
    target = torch.tensor([0])
    shared_first, own_first = (float(deletion(Labels(model), inputs, target, one)) for one in maps)
    assert shared_first < own_first
    shared_first, own_first = (float(deletion(model, inputs, target, one)) for one in maps)
    assert shared_first > own_first


def test_a_label_stays_predicted_while_another_is_more_probable() -> None:
    model, inputs, target = two_labels(), torch.ones(1, 1, 2, 2, dtype=torch.float64), torch.tensor([0])
    relevance = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64).reshape(1, 1, 2, 2)
    road = registered("road", fractions=(0.25, 0.5))
    assert float(road(Labels(model), inputs, target, relevance)) == 1.0
    assert float(road(model, inputs, target, relevance)) == 0.0


@pytest.mark.parametrize("score", [Margin(), LogOdds()])
def test_the_rival_of_a_label_is_its_absence(score: Any) -> None:
    model, inputs, targets, _ = case("image")
    own, plain = (PathIntegral(Straight(Constant(0.25)), score=one) for one in (score, LOGIT))
    torch.testing.assert_close(own(Labels(model), inputs, targets), plain(model, inputs, targets))
    assert not torch.allclose(own(Labels(model), inputs, targets), own(model, inputs, targets))
    one = AgainstAbsence(model, 0)
    first = torch.zeros_like(targets)
    torch.testing.assert_close(own(Labels(model), inputs, first), own(one, inputs, first))


@pytest.mark.parametrize("name", METHODS_TRIED)
def test_every_method_explains_a_label_as_a_class_against_its_absence(name: str) -> None:
    found = Found(lambda model, _: Labels(model), lambda model, _: AgainstAbsence(model, 0))
    assert of_method(name, found) == "right"


def test_wrappers_hand_the_activation_on() -> None:
    stft, mask = Stft(1_000, 0.04), Mask.of(1_000, 0.04)
    recording = draw(1, 1, 40)
    sounds = MaskedSounds.of(mask, recording, torch.zeros_like(recording))
    wrappers: list[Callable[[nn.Module], nn.Module]] = [
        LogitsOf,
        lambda model: Shifted(model, 0.1),
        lambda model: Resynthesised(stft, model),
        lambda model: MaskedModel(model, sounds),
    ]
    for wrapper in wrappers:
        assert activation_of(wrapper(Labels(nn.Flatten()))) == "sigmoid"
        assert activation_of(wrapper(nn.Flatten())) == "softmax"
