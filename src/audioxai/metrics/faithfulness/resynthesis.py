"""Insertion and deletion that can be heard: what the model gets is a sound at every step.

Idea
----
Attributions, wherever they live, are carried over to the cells of one complex spectrogram
(:mod:`audioxai.domains.stft_cells`) and put these in an order. The most relevant ones come into what stands for
*removed* (insertion), or go from the clip (deletion), step by step, through the inverse transform and the model's own
front end. An explanation that is good under one removal only has learnt the removal: silence tells a model that nothing
was said, noise hides what was. So there is more than one, and the worst counts.

Conventions
-----------
Inputs are waveforms ``(batch, 1, time)`` and the model takes waveforms, its front end included (for a model of
spectrograms ``nn.Sequential(front_end, body)``). A removal is a baseline of waveforms: ``Silence(Waveform(…))``,
``SpeechShapedNoise.of(training_waveforms, snr_db)``. Fractions are of the spectrogram's cells, whatever the domain of
the attributions, so that methods of different domains can be compared.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline
from audioxai.domains import Domain, Stft, audible, in_stft_cells
from audioxai.metrics.batch import Batch, PassMetric, Responses, check_finite, target_probability
from audioxai.metrics.engine import Forward, Scoring, Work, run
from audioxai.metrics.faithfulness.curves import Tracing
from audioxai.metrics.faithfulness.ranking import absent_cells, ranks_cells
from audioxai.metrics.similarity import ascending, ordinals
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import inputs_per_call, slices
from audioxai.utils.seeding import content_key, content_keys, generator

MOST_STEPS = 255


@dataclass(frozen=True, eq=False)
class RemovalCurves:
    """Probability of the target along both curves, under one removal.

    Attributes
    ----------
    removal : str
        Its name.
    fractions : Tensor
        Fraction of the cells that came, or went, at every point, ``(points,)``, from 0 to 1.
    insertion, deletion : Tensor
        ``(batch, points)``, float64.
    """

    removal: str
    fractions: Tensor
    insertion: Tensor
    deletion: Tensor

    @property
    def insertion_area(self) -> Tensor:
        """Area under the insertion curve by the trapezoid rule, ``(batch,)``, in [0, 1]."""
        return torch.trapezoid(self.insertion, self.fractions)

    @property
    def deletion_area(self) -> Tensor:
        """Area under the deletion curve by the trapezoid rule, ``(batch,)``, in [0, 1]."""
        return torch.trapezoid(self.deletion, self.fractions)

    @property
    def difference(self) -> Tensor:
        """Insertion minus deletion, ``(batch,)``, in [−1, 1]."""
        return self.insertion_area - self.deletion_area


@dataclass(frozen=True)
class ResynthesisFaithfulness(PassMetric):
    """Area under the insertion curve minus that under the deletion curve, the worst over the removals, clip by clip.

    Attributes
    ----------
    domain : Domain
        Where the attributions live: waveform, STFT, ERB bands or log-mel.
    stft : Stft
        Spectrogram whose cells come and go; the same for all methods that are compared.
    removals : tuple of Baseline
        What stands where cells are removed; with one of them, its own score.
    steps : int
        Parts in which the cells come and go, 2 to 255; after step k of n, a fraction ½ − ½ cos(π k / n) of the cells:
        closest together at both ends, where curves bend.
    seed : int
        Of the order of cells of equal relevance, which is every sample's own.

    Notes
    -----
    Petsiuk et al. 2018 for the curves and their areas by the trapezoid rule. With D the spectrum of clip − removal, M
    the cells that came and S the inverse transform, insertion is removal + S(M ⊙ D) and deletion clip − S(M ⊙ D): one
    transform serves both. The opposite order has the opposite score, so a random one scores 0 on average, whatever the
    removal and the model. NaN where all attributions of a sample are equal.
    """

    domain: Domain
    stft: Stft
    removals: tuple[Baseline, ...]
    steps: int = 16
    seed: int = 0

    title: ClassVar[str] = "resynthesis faithfulness"
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    source: ClassVar[str] = "Petsiuk et al. 2018, in sounds"

    def __post_init__(self) -> None:
        sound = audible(self.domain)
        if (sound.sample_rate_hz, sound.duration_s) != (self.stft.sample_rate_hz, self.stft.duration_s):
            raise UserError(
                f"domain {sound.name} is of {sound.duration_s:g} s at {sound.sample_rate_hz} Hz but the stft of "
                f"{self.stft.duration_s:g} s at {self.stft.sample_rate_hz} Hz; give both for the same clips"
            )
        if not self.removals or len(set(self.removals)) < len(self.removals):
            names = ", ".join(removal.name for removal in self.removals) or "none"
            raise UserError(f"removals are {names}; give at least one, all different")
        if not 2 <= self.steps <= MOST_STEPS:
            raise UserError(f"steps is {self.steps}; give 2 to {MOST_STEPS}")

    def check(self, batch: Batch, attributions: Tensor) -> None:
        """Refuse inputs that are no clips of the domain and attributions that are not in it.

        Raises
        ------
        UserError
            Naming both shapes, or the sample that is at fault.
        """
        given, due = (
            (tuple(batch.inputs.shape), tuple(attributions.shape)),
            ((len(batch), 1, self.stft.samples), (len(batch), 1, *self.domain.shape)),
        )
        if given != due:
            raise UserError(
                f"{self.title} got inputs of shape {given[0]} and attributions of {given[1]} but takes waveforms of "
                f"{due[0]} and attributions in domain {self.domain.name}, {due[1]}"
            )
        if not attributions.is_floating_point():
            raise UserError(f"{self.title} got attributions of {attributions.dtype}; give real numbers, one a cell")
        check_finite(self.title, inputs=batch.inputs, attributions=attributions)

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [−1, 1]."""
        curves = yield from self.tracing(batch, attributions)
        worst = torch.stack([one.difference for one in self._named(curves)]).amin(0)
        return torch.where(ranks_cells(attributions), worst, torch.nan)

    def curves(
        self, model: nn.Module, inputs: Tensor, targets: Tensor, attributions: Tensor
    ) -> tuple[RemovalCurves, ...]:
        """Both curves under every removal; arguments and errors as in calling the metric."""
        batch = Batch(model, inputs, targets)
        self.check(batch, attributions)
        (outcome,) = run([self.tracing(batch, attributions.detach())])
        return self._named(outcome.scores)

    def tracing(self, batch: Batch, attributions: Tensor) -> Tracing:
        """Yield the work, then return insertion and deletion ``(batch, removals, 2, steps + 1)``, float64."""
        whole = batch.plain(target_probability)
        emptied = [self._emptied(batch, removal) for removal in self.removals]
        order = _Order(self, batch, attributions)
        between = [self._between(batch, order, removal) for removal in self.removals]
        yield [whole.work, *(part.work for part in (*emptied, *between))]
        return torch.stack(
            [_joined(whole.values, empty.values, part.values) for empty, part in zip(emptied, between, strict=True)], 1
        )

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the protocol's)
        """The clip; for every removal, what it leaves of nothing and two sounds for every step but the last."""
        return len(inputs) * (1 + len(self.removals) * (2 * self.steps - 1))

    @property
    def fractions(self) -> Tensor:
        """Fraction of the cells that has come, or gone, at every point of a curve, ``(steps + 1,)``, float64."""
        inner = self._counts().double() / self.stft.shape[0] / self.stft.shape[1]
        return torch.cat([inner.new_zeros(1), inner, inner.new_ones(1)])

    def _named(self, curves: Tensor) -> tuple[RemovalCurves, ...]:
        fractions = self.fractions.to(curves.device)
        return tuple(
            RemovalCurves(removal.name, fractions, one[:, 0], one[:, 1])
            for removal, one in zip(self.removals, curves.unbind(1), strict=True)
        )

    def _counts(self) -> Tensor:
        """Cells that have come, or gone, after every step but the last, ``(steps − 1,)``."""
        cells = self.stft.shape[0] * self.stft.shape[1]
        turns = [math.pi * step / self.steps for step in range(1, self.steps)]
        counts = torch.tensor([round(cells * (0.5 - 0.5 * math.cos(turn))) for turn in turns])
        return counts.clamp(1, max(1, cells - 1))

    def _emptied(self, batch: Batch, removal: Baseline) -> Responses:
        """Probability ``(batch, 1)`` in what the removal alone sounds like; asked once for all methods."""

        def ask() -> Responses:
            return batch.responses(lambda samples, _: absent_cells(batch, removal)[samples], 1, target_probability)

        return batch.shared(("emptied", removal), ask)

    def _between(self, batch: Batch, order: "_Order", removal: Baseline) -> Responses:
        """Probabilities ``(batch, 2 · (steps − 1))``, insertion and deletion in turn; equal attributions ask once."""
        key = ("between", self.domain, self.stft, self.steps, self.seed, removal, order.key)
        return batch.shared(key, _PartialSounds(self, batch, order, removal).responses)

    def steps_of_cells(self, batch: Batch, attributions: Tensor) -> Tensor:
        """Step, from 0, with which every cell of every sample comes or goes, ``(batch, bins, frames)``, uint8."""
        shuffles = batch.shared(
            ("order of equal stft cells", self.stft.shape, self.seed), lambda: self._shuffles(batch)
        )
        parts = slices(len(batch), inputs_per_call(math.prod(self.stft.shape), attributions.device))
        return torch.cat([self._steps_of_cells(attributions[rows], shuffles[rows]) for rows in parts])

    def _steps_of_cells(self, attributions: Tensor, shuffles: Tensor) -> Tensor:
        # In single precision, so that what is equal but for the rounding of weighted means is equal.
        relevance = in_stft_cells(attributions.double(), audible(self.domain), self.stft).float()
        keys = (ordinals(relevance.flatten(1)) << 32) | shuffles
        thresholds = ascending(keys)[:, keys.shape[1] - self._counts().to(keys.device)]
        steps = torch.zeros_like(keys, dtype=torch.uint8)
        for threshold in thresholds.unbind(1):
            steps += keys < threshold[:, None]
        return steps.reshape(-1, *self.stft.shape)

    def _shuffles(self, batch: Batch) -> Tensor:
        """A permutation of the cells for every sample, its own, ``(batch, cells)``, int32."""
        cells = self.stft.shape[0] * self.stft.shape[1]
        randoms = (generator("equal cells", self.seed, key) for key in content_keys(batch.inputs))
        shuffles = [torch.randperm(cells, generator=random).to(torch.int32) for random in randoms]
        return torch.stack(shuffles).to(batch.inputs.device)


class _Order:
    """In which order the cells of every sample come or go, for one method: made once for all removals, then forgotten.

    Parameters
    ----------
    metric, batch, attributions
        Whose order.
    """

    def __init__(self, metric: ResynthesisFaithfulness, batch: Batch, attributions: Tensor) -> None:
        self._metric, self._batch, self._attributions = metric, batch, attributions
        self._steps: Tensor | None = None
        self._still_to_come = len(metric.removals)

    @cached_property
    def key(self) -> int:
        """Equal for equal attributions."""
        return content_key(self._attributions)

    @property
    def steps(self) -> Tensor:
        """Step of every cell, ``(batch, frames, bins)``, uint8; frames are rows for the inverse transform."""
        if self._steps is None:
            self._steps = self._metric.steps_of_cells(self._batch, self._attributions).transpose(1, 2).contiguous()
        return self._steps

    def done_with(self) -> None:
        """Take note that one more removal has no need of it; after the last the steps go, until asked for again."""
        self._still_to_come -= 1
        if self._still_to_come <= 0:
            self._steps = None


class _PartialSounds:
    """Clips of which some cells are there and others removed, for one method under one removal.

    Numbered sample by sample, step by step, insertion before deletion, so that a call needs the spectra of few samples
    and one inverse transform for two sounds. The spectra of a call's samples are made together and kept until a later
    call is about others.
    """

    def __init__(self, metric: ResynthesisFaithfulness, batch: Batch, order: _Order, removal: Baseline) -> None:
        self._metric, self._batch, self._order, self._removal = metric, batch, order, removal
        self._inner = metric.steps - 1
        self._first, self._kept = 0, torch.empty(0)

    def responses(self) -> Responses:
        """Probabilities ``(batch, 2 · (steps − 1))`` once the work is done."""
        batch, runs = self._batch, 2 * self._inner
        values = torch.full((len(batch), runs), torch.nan, dtype=batch.inputs.dtype, device=batch.inputs.device)

        def take(numbers: Tensor, logits: Tensor) -> None:
            read = target_probability(logits, batch.targets[numbers // runs])
            values[numbers // runs, numbers % runs] = read.to(values.dtype)

        shape = tuple(batch.inputs.shape[1:])
        return Responses(Work(Forward(batch.model), shape, values.numel(), values.device, self._make, take), values)

    def _make(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Sounds ``(n, 1, time)`` and targets ``(n,)``."""
        samples = numbers // (2 * self._inner)
        steps, which = torch.unique_consecutive(numbers // 2, return_inverse=True)
        there = self._there(steps // self._inner, steps % self._inner + 1)[which]
        deleted = (numbers % 2 == 1)[:, None, None]
        absent = absent_cells(self._batch, self._removal)[samples]
        sounds = torch.where(deleted, self._batch.inputs[samples] - there, absent + there)
        if int(numbers[-1]) == 2 * self._inner * len(self._batch) - 1:
            self._kept = torch.empty(0)
            self._order.done_with()
        return sounds, self._batch.targets[samples]

    def _there(self, samples: Tensor, steps: Tensor) -> Tensor:
        """What the cells of the first ``steps`` steps add to the removal, ``(n, 1, time)``; samples ascend."""
        first, last = samples[[0, -1]].tolist()
        come = self._order.steps[samples] < steps.to(torch.uint8)[:, None, None]
        frames = self._differences(first, last)[samples - first].mul_(come)
        return self._metric.stft.synthesis(frames.transpose(1, 2)[:, None])

    def _differences(self, first: int, last: int) -> Tensor:
        """Spectra of clip − removal of the samples from first to last, ``(samples, frames, bins)``."""
        kept = self._kept[max(first - self._first, 0) :] if self._first <= first else self._kept[:0]
        missing = slice(first + len(kept), last + 1)
        if missing.start < missing.stop:
            kept = torch.cat([kept, self._analysed(missing)]) if len(kept) else self._analysed(missing)
        self._first, self._kept = first, kept
        return kept

    def _analysed(self, rows: slice) -> Tensor:
        """Spectra of clip − removal of these samples; frames are rows, as the inverse transform reads them."""
        absent = absent_cells(self._batch, self._removal)[rows]
        differences = self._metric.stft.analysis(self._batch.inputs[rows] - absent)
        return differences[:, 0].transpose(1, 2).contiguous()


def _joined(whole: Tensor, empty: Tensor, between: Tensor) -> Tensor:
    """Insertion and deletion ``(batch, 2, steps + 1)`` with the ends that they share, float64."""
    insertion = torch.cat([empty, between[:, 0::2], whole], dim=1)
    deletion = torch.cat([whole, between[:, 1::2], empty], dim=1)
    return torch.stack([insertion, deletion], dim=1).double()
