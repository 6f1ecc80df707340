"""Ordered masks for models that are asked for scores alone: against loops, closed forms, what they find and refuse."""

from dataclasses import replace
from operator import itemgetter
from typing import Any

import numpy as np
import pytest
import torch
from helpers.tiny_models import Counting, Function, draw, tiny_waveform_cnn
from torch import Tensor, nn

from audioxai.baselines import Constant, SpeechShapedNoise, blurred
from audioxai.domains import Mask
from audioxai.utils.errors import UserError
from audioxai.utils.seeding import content_keys, generator
from audioxai.xai_methods.masks import in_masks
from audioxai.xai_methods.ordered_passes import RIDGES, OrderedPasses, SmoothEffects, ridge

CELLS = Mask(2_000, 0.15, bands=5, frames=6, window_s=0.02)
CLIPS = 0.1 * draw(3, 1, 300, seed=5)
TARGETS = torch.tensor([0, 2, 1])
NOISE = SpeechShapedNoise.of(0.1 * draw(6, 1, 300, seed=6), snr_db=10.0, seed=3)
EXPLAINER = OrderedPasses(Constant(0.0), NOISE, CELLS, masks=58, rounds=2, seed=4)


# --- Against loops ---------------------------------------------------------------------------------------------------


def slow_ridge(features: np.ndarray, known: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Coefficients of the features by the penalty of the smallest generalised cross-validation error."""
    basis = np.linalg.svd(known, full_matrices=False)
    kept = basis[0][:, basis[1] > 1e-9 * basis[1].max()]
    left = np.eye(len(answers)) - kept @ kept.T
    x, y = left @ features, left @ answers
    scale = (features**2).sum(1).mean()
    found = []
    for penalty in RIDGES:
        solve = np.linalg.solve(x.T @ x + penalty * scale * np.eye(x.shape[1]), x.T)
        rest = y - x @ solve @ y
        free = len(y) - kept.shape[1] - np.trace(x @ solve)
        found.append((float(rest @ rest) / free**2, penalty, solve @ y))
    least = min(error for error, _, _ in found)
    theta: np.ndarray = max((one for one in found if one[0] <= (1.0 + 1e-6) * least), key=itemgetter(1))[2]
    return theta


def test_the_ridge_is_that_of_the_primal_problem() -> None:
    features, known, answers = draw(40, 7), draw(40, 3, seed=1), draw(40, seed=2)
    known = torch.cat([known, known[:, :1]], 1)  # one regressor twice
    found = ridge(features, known, answers) @ features
    np.testing.assert_allclose(found, slow_ridge(features.numpy(), known.numpy(), answers.numpy()), rtol=1e-8)


def slow(explainer: OrderedPasses, model: nn.Module, clip: Tensor, target: int) -> Tensor:
    """Map of one clip by loops over masks."""
    stft, random = CELLS.stft, generator("ordered masks", explainer.seed, content_keys(clip)[0])
    scale = 10.0 ** (CELLS.analysis(clip)[0, 0] / 40.0)
    first = round(explainer.masks * 0.25)
    ends = [0, *(first + (explainer.masks - first) * k // explainer.rounds for k in range(explainer.rounds + 1))]
    rows: tuple[list[Tensor], ...] = ([], [])
    known: tuple[list[list[float]], ...] = ([], [])
    answers: tuple[list[float], ...] = ([], [])
    relevance = torch.zeros(CELLS.shape, dtype=torch.float64)
    weights = [
        torch.from_numpy(np.stack([np.interp(bins.coordinates, own.coordinates, unit) for unit in np.eye(size)]))
        for own, bins, size in zip(CELLS.axes(), stft.axes(), CELLS.shape, strict=True)
    ]
    for number in range(explainer.rounds + 1):
        count = ends[number + 1] - ends[number]
        white = torch.randn(-(-count // 4), 1, *CELLS.shape, generator=random, dtype=torch.float64)
        fields = []
        for one in white:
            smooth = blurred(one[None], torch.tensor([5.0], dtype=torch.float64))[0, 0]
            field = smooth / smooth.std()
            if number:
                field = (relevance - relevance.mean()) / relevance.std() + explainer.exploration * field
            fields.append(field)
        for kind in range(4):
            own = fields[: len(range(kind, count, 4))]
            turns = torch.randperm(len(own), generator=random)
            places = (turns + torch.rand(len(own), generator=random, dtype=torch.float64)) / len(own)
            removed = explainer.noise.drawn(clip, number) if kind >= 2 else torch.zeros_like(clip)
            for field, place in zip(own, places.tolist(), strict=True):
                mask = torch.zeros(CELLS.shape, dtype=torch.float64)
                ranking = sorted((-value, cell) for cell, value in enumerate(field.flatten().tolist()))
                for position, (_, cell) in enumerate(ranking):
                    rank = position / (field.numel() - 1)
                    mask.view(-1)[cell] = min(1.0, max(0.0, (place * 1.1 - rank) / 0.1))
                mask = 1.0 - mask if kind % 2 else mask
                gains = weights[0].T @ mask @ weights[1]
                sound = removed + stft.synthesis(gains * stft.analysis(clip - removed))
                with torch.no_grad():
                    answers[kind // 2].append(float(model(sound)[0].softmax(0)[target]))
                row = blurred((mask * scale)[None, None], torch.tensor([2.0], dtype=torch.float64)).flatten()
                rows[kind // 2].append(row)
                share = float(mask.mean())
                known[kind // 2].append([(kind == other) * share**power for other in range(4) for power in range(3)])
        standard = [(np.array(y) - np.mean(y)) / max(np.std(y, ddof=1), 0.02) for y in answers]
        theta = slow_ridge(
            torch.stack(rows[0] + rows[1]).numpy(), np.array(known[0] + known[1]), np.concatenate(standard)
        )
        grid = torch.from_numpy(theta).reshape(1, 1, *CELLS.shape)
        relevance = scale * blurred(grid, torch.tensor([2.0], dtype=torch.float64))[0, 0]
    return relevance


def test_is_what_loops_over_masks_say() -> None:
    model = tiny_waveform_cnn()
    attributions = EXPLAINER(model, CLIPS, TARGETS)
    for row, target in enumerate(TARGETS.tolist()):
        expected = slow(EXPLAINER, model, CLIPS[[row]], target)
        torch.testing.assert_close(attributions[row, 0], expected, rtol=1e-6, atol=1e-7 * float(expected.abs().max()))


# --- What it finds ---------------------------------------------------------------------------------------------------


def test_effects_that_are_smooth_are_found_again() -> None:
    scale = draw(1, 1, 12, 20).exp()
    effect = scale * blurred(draw(1, 1, 12, 20, seed=1), torch.tensor([2.0], dtype=torch.float64))
    effects = SmoothEffects(scale, 2.0)
    for kind in range(4):
        masks = torch.rand(200, 1, 12, 20, generator=torch.Generator().manual_seed(kind), dtype=torch.float64)
        kept = masks.flatten(1).mean(1)
        answers = 0.001 * (masks * effect).flatten(1).sum(1)
        effects.add(kind, masks, answers + kind - kept + kind * kept.square())
    found = effects.fitted()
    assert float(torch.corrcoef(torch.stack([found.flatten(), effect.flatten()]))[0, 1]) > 0.98


def test_the_burst_that_decides_is_found() -> None:
    domain = Mask.of(8_000, 0.5)
    times = torch.arange(4_000, dtype=torch.float64) / 8_000
    tone = (2 * torch.pi * 1_000.0 * times).sin() * ((times > 0.3) & (times < 0.4))
    clip = (0.3 * tone + 0.05 * draw(4_000))[None, None]
    model = Function(lambda x: torch.stack([0.05 * (x * tone).sum((1, 2)) - 2.0, torch.zeros(len(x)).double()], 1))
    explainer = in_masks("ordered_passes", domain, gradients=200, references=clip)
    attributions = explainer(model, clip, torch.tensor([0]))[0, 0]
    (bands, frames) = (np.array(axis.coordinates) for axis in domain.axes())
    there = torch.from_numpy(np.outer(np.abs(bands - 1_000.0) < 150.0, (frames > 0.28) & (frames < 0.42)))
    highest = attributions.flatten().argsort(descending=True)[:10]
    assert bool(there.flatten()[highest].all())


def test_a_model_that_hears_nothing_gives_nothing() -> None:
    deaf = Function(lambda x: 0.0 * x.flatten(1)[:, :3] + 0.5)
    assert not EXPLAINER(deaf, CLIPS, TARGETS).any()


def test_long_clips_are_explained_by_as_many_effects_as_can_be_told_apart() -> None:
    domain = Mask.of(1_000, 4.0)
    clip = 0.1 * draw(1, 1, 4_000)
    explainer = in_masks("ordered_passes", domain, gradients=40, references=clip)
    assert domain.frames > 200
    assert explainer(tiny_waveform_cnn(), clip, TARGETS[:1]).shape == (1, 1, *domain.shape)


@pytest.mark.parametrize("masks", [24, 25, 58])
def test_spends_the_passes_that_it_is_given(masks: int) -> None:
    model, explainer = Counting(tiny_waveform_cnn()), replace(EXPLAINER, masks=masks)
    assert bool(explainer(model, CLIPS, TARGETS).isfinite().all())
    assert model.counter.count == explainer.passes(CLIPS) == 3 * masks


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"masks": 23}, "masks is 23"),
        ({"rounds": 0}, "rounds is 0"),
        ({"overlap": 0.0}, r"overlap 0\.0"),
        ({"exploration": -1.0}, r"exploration -1\.0"),
        ({"map_sigma_cells": 0.0}, r"map_sigma_cells 0\.0"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        replace(EXPLAINER, **settings)
