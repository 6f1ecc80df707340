"""The attack: changes stay below the masking threshold, and the search finds what a slow search of one clip finds."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from helpers.metric_cases import Gradient, InputTimesGradient
from helpers.tiny_models import draw, tiny_waveform_cnn
from scipy.stats import spearmanr
from torch import Tensor, nn

from audioxai.baselines import masking_threshold_db
from audioxai.domains import Stft
from audioxai.metrics.attack import (
    FULL_SCALE_SPL_DB,
    GAIN_DEVIATION,
    REGIONS,
    AttackMovement,
    AttackOverlap,
    InaudibleChanges,
    RandomMovement,
)
from audioxai.metrics.batch import Batch, evaluate
from audioxai.utils.errors import UserError
from audioxai.utils.seeding import content_keys, generator

STFT = Stft(8_000, 0.1, window_s=0.016, overlap=4)
FAMILY = (AttackMovement, AttackOverlap, RandomMovement)


def clips(count: int = 3) -> Tensor:
    return 0.1 * draw(count, 1, STFT.samples, seed=5, dtype=torch.float64)


def gains(count: int) -> Tensor:
    return GAIN_DEVIATION * draw(count, 1, REGIONS, REGIONS, seed=6, dtype=torch.float64)


class Quadratic(nn.Module):
    """Logits ± ½ Σ w x² + 100: the gradient is w ⊙ x, which moves with the clip, and the class never changes."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(1.0 + draw(STFT.samples, seed=7, dtype=torch.float64).abs())

    def forward(self, inputs: Tensor) -> Tensor:
        half = 0.5 * (self.weights * inputs.flatten(1).square()).sum(1)
        return torch.stack([100.0 + half, -half], 1)


class Linear(nn.Module):
    """Logits that are linear in the clip: the gradient does not move."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(STFT.samples, 2).double()
        with torch.no_grad():
            self.layer.weight.copy_(draw(2, STFT.samples, seed=8, dtype=torch.float64))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layer(inputs.flatten(1))


class Startled(nn.Module):
    """Predicts class 0 for the clips that it knows and class 1 for everything else."""

    def __init__(self, known: Tensor) -> None:
        super().__init__()
        self.known = known

    def forward(self, inputs: Tensor) -> Tensor:
        same = (inputs[:, None] - self.known).abs().flatten(2).sum(2).amin(1) == 0.0
        return torch.stack([same, ~same], 1).to(inputs) + 0.0 * inputs.flatten(1).sum(1, keepdim=True)


@dataclass(frozen=True, eq=False)
class Turning:
    """The clip as it was explained, upside down for every other clip."""

    known: Tensor

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:  # noqa: ARG002 (the protocol's)
        same = (inputs[:, None] - self.known).abs().flatten(2).sum(2).amin(1) == 0.0
        return torch.where(same, 1.0, -1.0)[:, None, None] * self.known[:1]

    def passes(self, inputs: Tensor) -> int:  # noqa: ARG002 (the protocol's)
        return 0


def slow_search(model: nn.Module, clip: Tensor, population: int, generations: int, seed: int) -> list[float]:
    """Movements of one clip's gradient under all changes, one after another; the class is taken to stay."""
    target = torch.tensor([0])
    before = Gradient()(model, clip, target).flatten()
    changes, key = InaudibleChanges(clip, STFT, 10.0), content_keys(clip)[0]
    movements: list[float] = []
    tried: list[Tensor] = []
    for number in range(generations):
        random = generator("attack", seed, number, key)
        new = GAIN_DEVIATION * torch.randn(population, 1, REGIONS, REGIONS, generator=random, dtype=torch.float64)
        angles = torch.pi / 2.0 * torch.rand(population, 1, 1, 1, generator=random, dtype=torch.float64)
        worst = tried[movements.index(max(movements))] if movements else None
        for draws, angle in zip(new, angles, strict=True):
            tried.append(draws if worst is None else angle.cos() * worst + angle.sin() * draws)
        for one in tried[-population:]:
            changed = clip + changes(torch.tensor([0]), one[None])
            movements.append(1.0 - spearmanr(before, Gradient()(model, changed, target).flatten()).statistic)
    return movements


def test_changes_touch_the_masking_threshold_in_one_bin_and_exceed_it_in_none() -> None:
    waveforms = clips()
    spectra = STFT.analysis(waveforms)
    threshold_db = masking_threshold_db(20.0 * spectra.abs().log10(), STFT.axes()[0].coordinates, FULL_SCALE_SPL_DB)
    for margin_db in (0.0, 10.0):
        changes = InaudibleChanges(waveforms, STFT, margin_db)(torch.arange(3), gains(3))
        above_db = 20.0 * STFT.analysis(changes).abs().log10() - (threshold_db - margin_db)
        torch.testing.assert_close(
            above_db.flatten(1).amax(1), torch.zeros(3, dtype=torch.float64), atol=1e-6, rtol=0.0
        )


def test_opposite_gains_are_opposite_changes_and_silence_stays_silent() -> None:
    changes, rows = InaudibleChanges(clips(), STFT, 10.0), torch.arange(3)
    torch.testing.assert_close(changes(rows, -gains(3)), -changes(rows, gains(3)))
    silent = torch.zeros(1, 1, STFT.samples, dtype=torch.float64)
    assert not InaudibleChanges(silent, STFT, 10.0)(rows[:1], gains(1)).any()


@pytest.mark.parametrize(("kind", "score"), [*zip(FAMILY, (0.0, 1.0, 0.0), strict=True)])
def test_the_gradient_of_a_linear_model_does_not_move(kind: type, score: float) -> None:
    model, waveforms, targets = Linear(), clips(), torch.tensor([0, 1, 0])
    found = kind(Gradient(), STFT)(model, waveforms, targets, Gradient()(model, waveforms, targets))
    torch.testing.assert_close(found, torch.full((3,), score, dtype=torch.float64), atol=1e-12, rtol=0.0)


@pytest.mark.parametrize(("kind", "score"), [*zip(FAMILY, (2.0, 0.0, 2.0), strict=True)])
def test_a_map_that_turns_round_moves_by_two(kind: type, score: float) -> None:
    waveforms, targets = clips(), torch.zeros(3, dtype=torch.int64)
    explainer, model = Turning(waveforms), Quadratic()
    found = kind(explainer, STFT)(model, waveforms, targets, explainer(model, waveforms, targets))
    torch.testing.assert_close(found, torch.full((3,), score, dtype=torch.float64))


def test_the_search_is_the_slow_search_of_every_clip() -> None:
    model, waveforms, targets = Quadratic(), clips(), torch.zeros(3, dtype=torch.int64)
    attributions = Gradient()(model, waveforms, targets)
    settings = {"population": 3, "generations": 3, "seed": 4}
    found, control = (
        kind(Gradient(), STFT, **settings)(model, waveforms, targets, attributions)
        for kind in (AttackMovement, RandomMovement)
    )
    for row in range(3):
        movements = slow_search(model, waveforms[[row]], **settings)
        assert float(found[row]) == pytest.approx(max(movements), abs=1e-9)
        assert float(control[row]) == pytest.approx(sum(movements[:3]) / 3, abs=1e-9)


def test_more_generations_never_find_less_and_a_smaller_margin_moves_more() -> None:
    model, waveforms, targets = Quadratic(), clips(), torch.zeros(3, dtype=torch.int64)
    attributions = Gradient()(model, waveforms, targets)
    one, four, louder = (
        AttackMovement(Gradient(), STFT, generations=generations, margin_db=margin_db)(
            model, waveforms, targets, attributions
        )
        for generations, margin_db in ((1, 10.0), (4, 10.0), (1, 0.0))
    )
    assert bool((four >= one).all())
    assert bool((four > one).any())
    assert bool((louder > one).all())


@pytest.mark.parametrize("kind", FAMILY)
def test_undefined_where_every_change_changes_the_class_or_the_map_is_constant(kind: type) -> None:
    waveforms, targets = clips(), torch.zeros(3, dtype=torch.int64)
    startled = Startled(waveforms)
    assert bool(
        kind(Turning(waveforms), STFT)(startled, waveforms, targets, waveforms[:1].expand(3, 1, -1)).isnan().all()
    )
    flat = torch.ones_like(waveforms)
    assert bool(kind(Gradient(), STFT)(Quadratic(), waveforms, targets, flat).isnan().all())


def test_the_family_shares_one_search() -> None:
    model = tiny_waveform_cnn(dtype=torch.float64)
    waveforms, targets = clips(), torch.zeros(3, dtype=torch.int64)
    explainer = InputTimesGradient()
    attributions = explainer(model, waveforms, targets)
    inputs = []
    handle = model.register_forward_pre_hook(lambda _, given: inputs.append(len(given[0])))
    metrics = {kind.__name__: kind(explainer, STFT, population=2, generations=2) for kind in FAMILY}
    together = evaluate(metrics, Batch(model, waveforms, targets), attributions)
    handle.remove()
    assert sum(inputs) == metrics["AttackMovement"].passes(model, waveforms) == 3 * (2 * 2 * 2 + 1)
    for name, metric in metrics.items():
        torch.testing.assert_close(together[name], metric(model, waveforms, targets, attributions))


@pytest.mark.parametrize("settings", [{"population": 0}, {"generations": 0}, {"margin_db": -1.0}])
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(settings))):
        AttackMovement(Gradient(), STFT, **settings)


def test_clips_of_another_length_are_refused() -> None:
    short = clips()[..., :-1]
    with pytest.raises(UserError, match=f"changes waveforms of .batch, 1, {STFT.samples}."):
        AttackMovement(Gradient(), STFT)(Linear(), short, torch.zeros(3, dtype=torch.int64), short)
