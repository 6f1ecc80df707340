"""Attack: how far the map moves under a change of the recording that nobody hears, if one looks for the worst one.

Idea
----
Gains of time–frequency regions are changed so little that the change stays below the masking threshold of the clip.
Changes are drawn at random; then, generation by generation, the one that moved the map most while the model still
predicts the same class is mixed with new draws. The search asks for maps alone, so it is the same for every method,
whether its map can be differentiated or not, and its result is a lower bound of what an attacker can do.

Conventions
-----------
Inputs are waveforms, and the explainer explains them, whatever the features of its map are. The *movement* of a map is
one minus its rank correlation with the map of the unchanged clip, for the same class. All metrics of this family with
equal settings share one search.

Metrics
-------
* :class:`AttackMovement`: the largest movement that was found.
* :class:`AttackOverlap`: what is left of the most relevant tenth of the features under that change.
* :class:`RandomMovement`: the mean movement under random changes of the same loudness, which is the control.
"""

from abc import abstractmethod
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audioxai.baselines import masking_threshold_db
from audioxai.core import Explainer, attributions_shape, configuration_of
from audioxai.domains import Stft
from audioxai.domains.mask import interpolation
from audioxai.metrics.batch import Batch, PassMetric, Responses, check_attributions, predicted_class
from audioxai.metrics.engine import Scoring, Work
from audioxai.metrics.localisation import top_share
from audioxai.metrics.registry import metric
from audioxai.metrics.similarity import RankCorrelation
from audioxai.utils.errors import UserError
from audioxai.utils.seeding import content_key, derived_seed, generator

FULL_SCALE_SPL_DB = 90.0
# Regions along either axis of the spectrogram whose gains are changed together: fewer directions to search.
REGIONS = 16
# Gains are drawn with this deviation and cut off at 1, so that most regions use all of their room.
GAIN_DEVIATION = 2.0
TOP_SHARE = 0.1
# Power of silence, far below any threshold.
LEAST_POWER = 1e-20


class InaudibleChanges:
    """Changes of waveforms that stay below the masking threshold of each clip.

    Parameters
    ----------
    waveforms : Tensor
        ``(batch, 1, time)`` in [−1, 1].
    stft : Stft
        Spectrogram in which the threshold is computed.
    margin_db : float
        How far below the threshold the change stays in every bin.
    """

    def __init__(self, waveforms: Tensor, stft: Stft, margin_db: float) -> None:
        self._stft = stft
        spectra = stft.analysis(waveforms.detach())
        power = spectra.abs().square().clamp_min(LEAST_POWER)
        threshold_db = masking_threshold_db(10.0 * power.log10(), stft.axes()[0].coordinates, FULL_SCALE_SPL_DB)
        self.limits = 10.0 ** ((threshold_db - margin_db) / 20.0)
        # Largest changes by a gain of the clip's own bins, which do not get softer than silence.
        self._largest = (
            torch.minimum(self.limits / spectra.abs().clamp_min(LEAST_POWER**0.5), power.new_ones(())) * spectra
        )

    def __call__(self, samples: Tensor, gains: Tensor) -> Tensor:
        """Changes ``(pairs, 1, time)`` of the clips ``samples`` ``(pairs,)`` by ``gains`` of their regions.

        Parameters
        ----------
        samples : Tensor
            Which clips.
        gains : Tensor
            ``(pairs, 1, regions, regions)``: 1 where the region is to be as loud as the threshold allows, −1 where as
            soft; the whole is scaled so that the change touches its limit in one bin and exceeds it in none.
        """
        across, along = (torch.from_numpy(shares).to(gains) for shares in _shares(self._stft))
        spread = (across.T @ gains @ along).clamp(-1.0, 1.0)
        changes = self._stft.synthesis(spread * self._largest[samples])
        excess = (self._stft.analysis(changes).abs() / self.limits[samples]).flatten(1).amax(1)
        return changes / torch.where(excess > 0.0, excess, 1.0)[:, None, None]


@lru_cache(maxsize=8)
def _shares(stft: Stft) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weight of every region in every bin ``(regions, bins)``, and in every frame ``(regions, frames)``."""
    across, along = (
        interpolation(tuple(np.linspace(0.0, 1.0, REGIONS)), tuple(np.linspace(0.0, 1.0, count)))
        for count in stft.shape
    )
    return across, along


@dataclass(eq=False)
class _Generation:
    """Changes that are tried together, and what came of them, there once the work is done.

    Attributes
    ----------
    gains : Tensor
        ``(batch, population, 1, regions, regions)``.
    movements, overlaps : Tensor
        ``(batch, population)``, float64.
    work : Work
        The explanations.
    predictions : Responses
        Predicted classes ``(batch, population)``.
    """

    gains: Tensor
    movements: Tensor
    overlaps: Tensor
    work: Work = field(init=False)
    predictions: Responses = field(init=False)


@dataclass(frozen=True)
class AttackMetric(PassMetric):
    """What the metrics of this family have in common.

    Attributes
    ----------
    explainer : Explainer
        The method under test; takes waveforms.
    stft : Stft
        Spectrogram in which the masking threshold is computed.
    population : int
        Changes of a clip that are tried in every generation.
    generations : int
        Generations, at least 1: the first is drawn at random, the others mix the best change so far with new draws.
    margin_db : float
        How far below the masking threshold changes stay. The threshold is that of maskers like noise; a tone masks
        about 10 dB less.
    seed : int
        Of the draws, a function of the sample's values and the seed.
    """

    explainer: Explainer
    stft: Stft
    population: int = 8
    generations: int = 5
    margin_db: float = 10.0
    seed: int = 0

    family: ClassVar[str] = "robustness"
    complex_inputs: ClassVar[bool] = False
    draws_at_random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("population", "generations"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; {self.label} needs at least 1")
        if not 0.0 <= self.margin_db < 200.0:
            raise UserError(f"margin_db is {self.margin_db}; give a number of decibels from 0 to 200")

    def check(self, batch: Batch, attributions: Tensor) -> None:
        """Refuse inputs that are no clips of the spectrogram's length, and attributions that cannot be compared.

        Raises
        ------
        UserError
            Naming the shapes, or the sample that is at fault.
        """
        if tuple(batch.inputs.shape[1:]) != (1, self.stft.samples):
            raise UserError(
                f"{self.label} got inputs of shape {tuple(batch.inputs.shape)} but changes waveforms of "
                f"(batch, 1, {self.stft.samples}); give those, and an explainer that takes them"
            )
        check_attributions(batch.inputs, attributions, self.label, attributions_shape(self.explainer, batch.inputs))

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores of the family's search."""
        # By its configuration, as a study binds the same explainer anew for each metric.
        explainer = derived_seed(configuration_of(self.explainer))
        settings = (explainer, self.stft, self.population, self.generations, self.margin_db, self.seed)
        key = ("attack", *settings, content_key(attributions))
        search = batch.shared(key, lambda: Search(self, batch, attributions))
        for number in range(self.generations_needed):
            generation = search.generation(number)
            yield [search.unchanged.work, generation.work, generation.predictions.work]
        return self.read(search)

    @property
    def generations_needed(self) -> int:
        """Generations whose outcome decides the score."""
        return self.generations

    @abstractmethod
    def read(self, search: "Search") -> Tensor:
        """Scores ``(batch,)`` of a search that is over."""

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """An explanation and an output per change, and the output for the unchanged clip."""
        changes = self.population * self.generations_needed
        return changes * (self.explainer.passes(inputs) + len(inputs)) + len(inputs)


class Search:
    """Generations of changes of the clips of a batch.

    Parameters
    ----------
    metric : AttackMetric
        Its settings.
    batch : Batch
        Model and waveforms.
    attributions : Tensor
        Maps of the unchanged clips.
    """

    def __init__(self, metric: AttackMetric, batch: Batch, attributions: Tensor) -> None:
        self._metric, self._batch = metric, batch
        self._changes = batch.shared(
            ("inaudible changes", metric.stft, metric.margin_db),
            lambda: InaudibleChanges(batch.inputs, metric.stft, metric.margin_db),
        )
        self._keys = batch.keys
        self._maps = attributions.flatten(1)
        self._correlation = RankCorrelation(self._maps)
        self._top_count = max(1, round(TOP_SHARE * self._maps.shape[1]))
        self._top = self._maps >= self._maps.topk(self._top_count, 1).values[:, -1:]
        self.unchanged = batch.plain(predicted_class)
        self.generations: list[_Generation] = []

    def generation(self, number: int) -> _Generation:
        """A generation, made once the work of the one before it is done."""
        if number == len(self.generations):
            self.generations.append(self._made(number))
        return self.generations[number]

    @property
    def movements(self) -> Tensor:
        """Movement of the map under every change so far, ``(batch, changes)``; NaN where the class changed."""
        parts = [
            torch.where(one.predictions.values == self.unchanged.values, one.movements, torch.nan)
            for one in self.generations
        ]
        return torch.cat(parts, 1)

    @property
    def overlaps(self) -> Tensor:
        """Share of the map's most relevant tenth that stays in it under every change so far, ``(batch, changes)``."""
        return torch.cat([one.overlaps for one in self.generations], 1)

    @property
    def worst(self) -> Tensor:
        """Which change moved the map most, ``(batch, 1)``; the first where none is defined."""
        return self.movements.nan_to_num(-torch.inf).argmax(1, keepdim=True)

    def changed(self, samples: Tensor, gains: Tensor) -> Tensor:
        """Clips with a change, ``(pairs, 1, time)``."""
        return self._batch.inputs[samples] + self._changes(samples, gains)

    def _made(self, number: int) -> _Generation:
        shape = (len(self._batch), self._metric.population)
        gains = self._gains(number)
        unmeasured = torch.full(shape, torch.nan, dtype=torch.float64, device=gains.device)
        made = _Generation(gains, unmeasured, unmeasured.clone())

        def inputs(samples: Tensor, changes: Tensor) -> Tensor:
            return self.changed(samples, gains[samples, changes])

        def take(samples: Tensor, changes: Tensor, maps: Tensor) -> None:
            again = maps.flatten(1)
            counts = torch.full_like(samples, self._top_count)
            made.movements[samples, changes] = 1.0 - self._correlation(samples, again)
            made.overlaps[samples, changes] = top_share(again, self._top[samples], counts)

        made.work = self._batch.explanations(self._metric.explainer, inputs, shape[1], take)
        made.predictions = self._batch.responses(inputs, shape[1], predicted_class)
        return made

    def _gains(self, number: int) -> Tensor:
        """Gains of a generation's changes: new draws, mixed at a random angle with the worst change so far."""
        drawn, angles = [], []
        for key in self._keys:
            random = generator("attack", self._metric.seed, number, key)
            shape = (self._metric.population, 1, REGIONS, REGIONS)
            drawn.append(GAIN_DEVIATION * torch.randn(shape, generator=random, dtype=torch.float64))
            angles.append(0.5 * torch.pi * torch.rand(shape[0], 1, 1, 1, generator=random, dtype=torch.float64))
        inputs = self._batch.inputs
        new, angle = torch.stack(drawn).to(inputs), torch.stack(angles).to(inputs)
        if not self.generations:
            return new
        before = torch.cat([one.gains for one in self.generations], 1)
        worst = before[torch.arange(len(before), device=before.device)[:, None], self.worst]
        return angle.cos() * worst + angle.sin() * new


@metric("attack_movement")
@dataclass(frozen=True)
class AttackMovement(AttackMetric):
    """Largest movement of the map that a search finds among inaudible changes that keep the predicted class.

    Attributes
    ----------
    explainer, stft, population, generations, margin_db, seed
        As in :class:`AttackMetric`.

    Notes
    -----
    After Ghorbani et al. 2019 (an attack on maps that keeps the class), here by a search without gradients, so that all
    methods are attacked alike, and below the masking threshold of the clip. NaN where the map is constant, or every
    change changes the predicted class.
    """

    label: ClassVar[str] = "Movement under an inaudible attack"
    short: ClassVar[str] = "Attack"
    source: ClassVar[str] = "Ghorbani et al. 2019"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, 2.0)

    def read(self, search: Search) -> Tensor:
        """Scores in [0, 2]."""
        return search.movements.gather(1, search.worst)[:, 0]


@metric("attack_overlap")
@dataclass(frozen=True)
class AttackOverlap(AttackMetric):
    """Share of the most relevant tenth of the features that stays in it under the change that moved the map most.

    Attributes
    ----------
    explainer, stft, population, generations, margin_db, seed
        As in :class:`AttackMetric`.

    Notes
    -----
    Ghorbani et al. 2019, Sect. 3, with k a tenth of the features; the change is that of :class:`AttackMovement`, and
    the score is undefined where that one's is.
    """

    label: ClassVar[str] = "Top tenth kept under an inaudible attack"
    short: ClassVar[str] = "Attack, kept"
    source: ClassVar[str] = "Ghorbani et al. 2019"
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    few_values: ClassVar[bool] = True

    def read(self, search: Search) -> Tensor:
        """Scores in [0, 1]."""
        undefined = search.movements.gather(1, search.worst)[:, 0].isnan()
        return torch.where(undefined, torch.nan, search.overlaps.gather(1, search.worst)[:, 0])


@metric("inaudible_movement")
@dataclass(frozen=True)
class RandomMovement(AttackMetric):
    """Mean movement of the map under random inaudible changes, as loud as those of the attack, that keep the class.

    Attributes
    ----------
    explainer, stft, population, generations, margin_db, seed
        As in :class:`AttackMetric`; of the attack's generations only the first counts, which is drawn at random.

    Notes
    -----
    The control of :class:`AttackMovement`: what no search is needed for. NaN as there.
    """

    label: ClassVar[str] = "Movement under random inaudible changes"
    short: ClassVar[str] = "Inaudible change"
    source: ClassVar[str] = "control of Ghorbani et al. 2019"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, 2.0)

    @property
    def generations_needed(self) -> int:
        """The first."""
        return 1

    def read(self, search: Search) -> Tensor:
        """Scores in [0, 2]."""
        return search.movements[:, : self.population].nanmean(1)
