"""Insertion and deletion of resynthesised sounds: the model's input is a sound at every step.

Idea
----
Attributions of any domain of sound are mapped to the bins of one complex spectrogram
(:mod:`audioxai.domains.stft_cells`), which they rank. Step by step the most relevant bins are inserted into a removal
(silence, noise), or deleted from the clip, through the inverse transform and the model's own front end. A map that is
good under one removal only is adapted to that removal, so several are used and the worst counts: silence tells a model
that nothing was said, noise hides what was said.

Conventions
-----------
Inputs are waveforms ``(batch, 1, time)`` and the model takes waveforms, its front end included (for a model of
spectrograms ``nn.Sequential(front_end, body)``). A removal is a baseline of waveforms: ``Silence(Waveform(…))``,
``SpeechShapedNoise.of(training_waveforms, snr_db)``. Fractions are of the spectrogram's bins, whatever the domain of
the attributions, so that methods of different domains can be compared.

Metrics
-------
``removal_silence`` and ``removal_noise`` score one of the removals, ``removal_worst`` the worst for each clip. All
three are :class:`ResynthesisFaithfulness`, and share their passes when carried out together.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline
from audioxai.domains import Domain, Stft, audible, in_stft_cells
from audioxai.metrics.batch import Batch, PassMetric, Responses, check_finite
from audioxai.metrics.engine import ModelRoute, Scoring, Work, run
from audioxai.metrics.faithfulness.ranking import ranks_features, removed_inputs
from audioxai.metrics.faithfulness.removal import Tracing
from audioxai.metrics.registry import METRICS, entry_of
from audioxai.metrics.similarity import ascending, ordinals
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import inputs_per_call, slices
from audioxai.utils.seeding import content_key, generator

MOST_STEPS = 255
# Row of each removal in result tables, by the name of its baseline.
ROWS = {"silence": "removal_silence", "speech-shaped noise": "removal_noise"}
WORST_ROW = "removal_worst"


@dataclass(frozen=True, eq=False)
class RemovalCurves:
    """Probability of the target along both curves, under one removal.

    Attributes
    ----------
    removal : str
        Its name.
    fractions : Tensor
        Fraction of the bins that are inserted, or deleted, at every point, ``(points,)``, from 0 to 1.
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
    """Area under the insertion curve minus that under the deletion curve, the smallest over the removals for each clip.

    Attributes
    ----------
    domain : Domain
        Domain of the attributions: waveform, STFT, ERB bands or log-mel.
    stft : Stft
        Spectrogram whose bins are inserted and deleted; the same for all methods that are compared.
    removals : tuple of Baseline
        What removed bins hold; of several the worst counts.
    steps : int
        Steps of insertion and deletion, 2 to 255; after step k of n, a fraction ½ − ½ cos(π k / n) of the bins, so that
        points are closest together at both ends, where curves bend.
    seed : int
        Of the order of equally relevant bins, a function of the sample's values and the seed.

    Notes
    -----
    Petsiuk et al. 2018 for the curves and their areas by the trapezoid rule. With D the spectrum of clip − removal, M
    the inserted bins and S the inverse transform, insertion is removal + S(M ⊙ D) and deletion clip − S(M ⊙ D), so one
    transform serves both. The opposite order has the opposite score, so a random one scores 0 on average, whatever the
    removal and the model. NaN where all attributions of a sample are equal.
    """

    domain: Domain
    stft: Stft
    removals: tuple[Baseline, ...]
    steps: int = 16
    seed: int = 0

    label: ClassVar[str] = "Insertion − deletion, worse removal"
    short: ClassVar[str] = "Worse"
    family: ClassVar[str] = "faithfulness"
    revision: ClassVar[int] = 2
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
        """Refuse inputs that are no clips of the domain, and attributions of another domain.

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
                f"{self.label} got inputs of shape {given[0]} and attributions of {given[1]} but takes waveforms of "
                f"{due[0]} and attributions in domain {self.domain.name}, {due[1]}"
            )
        if not attributions.is_floating_point():
            raise UserError(f"{self.label} got attributions of {attributions.dtype}; give one real number per feature")
        check_finite(self.label, inputs=batch.inputs, attributions=attributions)

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [−1, 1]."""
        curves = yield from self.tracing(batch, attributions)
        worst = torch.stack([one.difference for one in self._named(curves)]).amin(0)
        return torch.where(ranks_features(attributions), worst, torch.nan)

    def rows(self, curves: Tensor, attributions: Tensor) -> dict[str, Tensor]:
        """Scores ``(batch,)`` by row of a result table: each removal's own, and the worst.

        Parameters
        ----------
        curves : Tensor
            As :meth:`tracing` returns them.
        attributions : Tensor
            Where all are equal the scores are NaN.
        """
        areas = torch.trapezoid(curves, self.fractions.to(curves.device))
        scores = torch.where(ranks_features(attributions)[:, None], areas[..., 0] - areas[..., 1], torch.nan)
        names = [ROWS.get(removal.name, f"removal_{removal.name.replace(' ', '_')}") for removal in self.removals]
        return dict(zip(names, scores.unbind(1), strict=True)) | {WORST_ROW: scores.amin(1)}

    def curves(
        self, model: nn.Module, inputs: Tensor, targets: Tensor, attributions: Tensor
    ) -> tuple[RemovalCurves, ...]:
        """Both curves under each removal; arguments and errors as in calling the metric."""
        batch = Batch(model, inputs, targets)
        self.check(batch, attributions)
        (outcome,) = run([self.tracing(batch, attributions.detach())])
        return self._named(outcome.scores)

    def tracing(self, batch: Batch, attributions: Tensor) -> Tracing:
        """Yield the work, then return insertion and deletion ``(batch, removals, 2, steps + 1)``, float64."""
        whole = batch.plain(batch.probability)
        emptied = [self._emptied(batch, removal) for removal in self.removals]
        order = _Order(self, batch, attributions)
        between = [self._between(batch, order, removal) for removal in self.removals]
        yield [whole.work, *(part.work for part in (*emptied, *between))]
        return torch.stack(
            [_joined(whole.values, empty.values, part.values) for empty, part in zip(emptied, between, strict=True)], 1
        )

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """Per sample one for the clip, and for each removal one without any bin and two for each step but the last."""
        return len(inputs) * (1 + len(self.removals) * (2 * self.steps - 1))

    @property
    def fractions(self) -> Tensor:
        """Fraction of the bins that are inserted, or deleted, at every point of a curve, ``(steps + 1,)``, float64."""
        inner = self._counts().double() / self.stft.shape[0] / self.stft.shape[1]
        return torch.cat([inner.new_zeros(1), inner, inner.new_ones(1)])

    def _named(self, curves: Tensor) -> tuple[RemovalCurves, ...]:
        fractions = self.fractions.to(curves.device)
        return tuple(
            RemovalCurves(removal.name, fractions, one[:, 0], one[:, 1])
            for removal, one in zip(self.removals, curves.unbind(1), strict=True)
        )

    def _counts(self) -> Tensor:
        """Bins that are inserted, or deleted, after each step but the last, ``(steps − 1,)``."""
        bins = math.prod(self.stft.shape)
        angles = [math.pi * step / self.steps for step in range(1, self.steps)]
        counts = torch.tensor([round(bins * (0.5 - 0.5 * math.cos(angle))) for angle in angles])
        return counts.clamp(1, max(1, bins - 1))

    def _emptied(self, batch: Batch, removal: Baseline) -> Responses:
        """Probability ``(batch, 1)`` in the removal itself; shared by all methods."""

        def responses() -> Responses:
            return batch.responses(lambda samples, _: removed_inputs(batch, removal)[samples], 1, batch.probability)

        return batch.shared(("emptied", removal), responses)

    def _between(self, batch: Batch, order: "_Order", removal: Baseline) -> Responses:
        """Probabilities ``(batch, 2 · (steps − 1))``, insertion and deletion alternating; equal maps share them."""
        key = ("between", self.domain, self.stft, self.steps, self.seed, removal, order.key)
        return batch.shared(key, _PartialSounds(self, batch, order, removal).responses)

    def steps_of_bins(self, batch: Batch, attributions: Tensor) -> Tensor:
        """Step, from 0, in which each bin is inserted or deleted, ``(batch, bins, frames)``, uint8."""
        shuffles = batch.shared(("order of equal stft bins", self.stft.shape, self.seed), lambda: self._shuffles(batch))
        parts = slices(len(batch), inputs_per_call(math.prod(self.stft.shape), attributions.device))
        return torch.cat([self._steps_of_bins(attributions[rows], shuffles[rows]) for rows in parts])

    def _steps_of_bins(self, attributions: Tensor, shuffles: Tensor) -> Tensor:
        # In single precision, so that weighted means that differ by rounding in double precision are equal.
        relevance = in_stft_cells(attributions.double(), audible(self.domain), self.stft).float()
        keys = (ordinals(relevance.flatten(1)) << 32) | shuffles
        thresholds = ascending(keys)[:, keys.shape[1] - self._counts().to(keys.device)]
        steps = torch.zeros_like(keys, dtype=torch.uint8)
        for threshold in thresholds.unbind(1):
            steps += keys < threshold[:, None]
        return steps.reshape(-1, *self.stft.shape)

    def _shuffles(self, batch: Batch) -> Tensor:
        """A permutation of the bins for each sample, ``(batch, bins)``, int32."""
        bins = math.prod(self.stft.shape)
        # "equal cells" seeds the order; another word would change scores.
        randoms = (generator("equal cells", self.seed, key) for key in batch.keys)
        shuffles = [torch.randperm(bins, generator=random).to(torch.int32) for random in randoms]
        return torch.stack(shuffles).to(batch.inputs.device)


class _Order:
    """Order of the bins of every sample for one method's attributions: made once for all removals, then dropped."""

    def __init__(self, metric: ResynthesisFaithfulness, batch: Batch, attributions: Tensor) -> None:
        self._metric, self._batch, self._attributions = metric, batch, attributions
        self._steps: Tensor | None = None
        self._removals_left = len(metric.removals)

    @cached_property
    def key(self) -> int:
        """Equal for equal attributions."""
        return content_key(self._attributions)

    @property
    def steps(self) -> Tensor:
        """Step of every bin, ``(batch, frames, bins)``, uint8; frames are rows for the inverse transform."""
        if self._steps is None:
            self._steps = self._metric.steps_of_bins(self._batch, self._attributions).transpose(1, 2).contiguous()
        return self._steps

    def done_with(self) -> None:
        """Called when a removal is finished; after the last one the steps are dropped, until they are needed again."""
        self._removals_left -= 1
        if self._removals_left <= 0:
            self._steps = None


class _PartialSounds:
    """Clips with some bins removed, for one method's order and one removal.

    They are numbered sample by sample, step by step, insertion before deletion, so that a call needs the spectra of few
    samples and one inverse transform for two sounds. Spectra are kept until a later call needs those of other samples.
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
            read = batch.probability(logits, batch.targets[numbers // runs])
            values[numbers // runs, numbers % runs] = read.to(values.dtype)

        shape = tuple(batch.inputs.shape[1:])
        return Responses(Work(ModelRoute(batch.model), shape, values.numel(), values.device, self._make, take), values)

    def _make(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Sounds ``(n, 1, time)`` and targets ``(n,)``."""
        samples = numbers // (2 * self._inner)
        steps, which = torch.unique_consecutive(numbers // 2, return_inverse=True)
        there = self._there(steps // self._inner, steps % self._inner + 1)[which]
        deleted = (numbers % 2 == 1)[:, None, None]
        removal = removed_inputs(self._batch, self._removal)[samples]
        sounds = torch.where(deleted, self._batch.inputs[samples] - there, removal + there)
        if int(numbers[-1]) == 2 * self._inner * len(self._batch) - 1:
            self._kept = torch.empty(0)
            self._order.done_with()
        return sounds, self._batch.targets[samples]

    def _there(self, samples: Tensor, steps: Tensor) -> Tensor:
        """What the bins of the first ``steps`` steps add to the removal, ``(n, 1, time)``; samples ascend."""
        first, last = samples[[0, -1]].tolist()
        inserted = self._order.steps[samples] < steps.to(torch.uint8)[:, None, None]
        frames = self._differences(first, last)[samples - first].mul_(inserted)
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
        removal = removed_inputs(self._batch, self._removal)[rows]
        differences = self._metric.stft.analysis(self._batch.inputs[rows] - removal)
        return differences[:, 0].transpose(1, 2).contiguous()


def _joined(whole: Tensor, empty: Tensor, between: Tensor) -> Tensor:
    """Insertion and deletion ``(batch, 2, steps + 1)`` with the ends that they share, float64."""
    insertion = torch.cat([empty, between[:, 0::2], whole], dim=1)
    deletion = torch.cat([whole, between[:, 1::2], empty], dim=1)
    return torch.stack([insertion, deletion], dim=1).double()


def removal_silence(
    domain: Domain, stft: Stft, removals: tuple[Baseline, ...], steps: int = 16, seed: int = 0
) -> ResynthesisFaithfulness:
    """The metric under the one of the removals that is silence; raises if there is none."""
    return ResynthesisFaithfulness(domain, stft, _only("silence", removals), steps, seed)


def removal_noise(
    domain: Domain, stft: Stft, removals: tuple[Baseline, ...], steps: int = 16, seed: int = 0
) -> ResynthesisFaithfulness:
    """The metric under the one of the removals that is speech-shaped noise; raises if there is none."""
    return ResynthesisFaithfulness(domain, stft, _only("speech-shaped noise", removals), steps, seed)


def _only(name: str, removals: tuple[Baseline, ...]) -> tuple[Baseline, ...]:
    chosen = tuple(removal for removal in removals if removal.name == name)
    if not chosen:
        raise UserError(f"removals are {', '.join(removal.name for removal in removals)}; {name} has to be among them")
    return chosen


METRICS.add(
    entry_of(
        "removal_silence",
        ResynthesisFaithfulness,
        removal_silence,
        label="Insertion − deletion, silence",
        short="Silence",
    )
)
METRICS.add(
    entry_of(
        "removal_noise",
        ResynthesisFaithfulness,
        removal_noise,
        label="Insertion − deletion, noise",
        short="Noise",
    )
)
METRICS.add(entry_of(WORST_ROW, ResynthesisFaithfulness))
