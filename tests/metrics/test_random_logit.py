"""Random logit against a slow twin with scikit-image, and its extremes."""

import numpy as np
import pytest
import torch
from helpers.metric_cases import MODELS, Gradient, Recorded, case
from helpers.tiny_models import Linear, draw
from skimage.metrics import structural_similarity
from torch import Tensor, nn

from audioxai.metrics.randomisation import RandomLogit
from audioxai.utils.errors import UserError


def similarity(first: Tensor, second: Tensor) -> float:
    """scikit-image's, after each map has been divided by its largest magnitude."""
    a, b = ((attribution / attribution.abs().max())[0].numpy() for attribution in (first, second))
    return structural_similarity(a, b, win_size=7, data_range=max(a.max(), b.max()) - min(a.min(), b.min()))


@pytest.mark.parametrize("kind", MODELS)
def test_is_the_mean_similarity_to_all_other_classes(kind: str) -> None:
    model, inputs, targets, attributions = case(kind)
    expected = []
    for row, target in enumerate(targets.tolist()):
        others = [other for other in range(3) if other != target]
        again = [Gradient()(model, inputs[row : row + 1], torch.tensor([other]))[0] for other in others]
        expected.append(np.mean([similarity(attributions[row], other) for other in again]))
    scores = RandomLogit(Gradient(), 3, alternatives=2)(model, inputs, targets, attributions)
    np.testing.assert_allclose(scores.numpy(), expected, rtol=0, atol=1e-10)


def explained_classes(classes: int, alternatives: int, seed: int, targets: Tensor) -> list[list[int]]:
    """Classes that the metric has asked the explainer for, a list a sample; samples come in order, in every run."""
    asked: list[int] = []

    class Listening(Gradient):
        def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
            asked.extend(targets.tolist())
            return super().__call__(model, inputs, targets)

    model, inputs = Linear(classes, 1, 9, 9), draw(len(targets), 1, 9, 9)
    attributions = Gradient()(model, inputs, targets)
    RandomLogit(Listening(), classes, alternatives, seed)(model, inputs, targets, attributions)
    assert len(asked) == len(targets) * alternatives
    return [asked[sample :: len(targets)] for sample in range(len(targets))]


@pytest.mark.parametrize("alternatives", [1, 3, 9])
def test_explains_so_many_different_classes_that_are_not_the_target(alternatives: int) -> None:
    targets = torch.arange(10)
    for seed in range(5):
        for target, classes in enumerate(explained_classes(10, alternatives, seed, targets)):
            assert len(set(classes)) == alternatives
            assert set(classes) <= set(range(10)) - {target}


def test_samples_choose_classes_of_their_own() -> None:
    chosen = {tuple(classes) for classes in explained_classes(10, 2, 0, torch.zeros(20, dtype=torch.int64))}
    assert len(chosen) > 10


def test_every_other_class_is_chosen_by_some_seed() -> None:
    chosen = {tuple(explained_classes(4, 1, seed, torch.tensor([2]))[0]) for seed in range(30)}
    assert chosen == {(0,), (1,), (3,)}


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_an_explainer_blind_to_the_class_scores_one(scale: float) -> None:
    model, inputs, targets, _ = case("image")
    blind = Recorded(draw(1, 12, 10, seed=8))
    attributions = scale * blind(model, inputs, targets)
    scores = RandomLogit(blind, 3, 2)(model, inputs, targets, attributions)
    torch.testing.assert_close(scores, torch.ones(5, dtype=torch.float64), rtol=0, atol=1e-10)


def test_a_zero_map_of_another_class_is_undefined_for_that_sample_only() -> None:
    model, inputs, targets = Linear(3, 1, 8, 8), draw(3, 1, 8, 8), torch.tensor([0, 1, 2])
    model.weights.data[2] = 0.0
    attributions = draw(3, 1, 8, 8, seed=4)
    scores = RandomLogit(Gradient(), 3, 2)(model, inputs, targets, attributions)
    assert torch.isnan(scores).tolist() == [True, True, False]


@pytest.mark.parametrize(("classes", "alternatives"), [(3, 3), (3, 0), (1, 1), (10, 12)])
def test_impossible_alternatives_are_refused(classes: int, alternatives: int) -> None:
    with pytest.raises(UserError, match=f"alternatives is {alternatives} but the model has {classes} classes"):
        RandomLogit(Gradient(), classes, alternatives)


def test_maps_too_small_to_compare_are_refused() -> None:
    model, inputs = Linear(3, 1, 6, 6), draw(2, 1, 6, 6)
    with pytest.raises(UserError, match="smaller than the SSIM window"):
        RandomLogit(Gradient(), 3, 2)(model, inputs, torch.tensor([0, 1]), inputs)
