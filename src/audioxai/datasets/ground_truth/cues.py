"""Planted cues: a tone or a band of noise decides the class, so relevance belongs where it sounds.

Idea
----
Every clip of a data set is given a class at random, whatever is said in it, and the cue of that class is added
at a random time. A model that tells these classes apart must use the cue; that it does is seen on the same clips
without the cue (accuracy at chance) and with the cue of another class in its place (predictions follow the cue).

Conventions
-----------
Levels are RMS values in dB re. a full-scale sine, between the cue's ramps and before ``gains``. What is drawn for a
clip depends on the seed and on the clip's samples alone.
"""

import math
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from audioxai.core import configuration_of
from audioxai.datasets.ground_truth.levels import (
    RAMP_S,
    derived_fingerprint,
    energy,
    floor_db,
    full_scale_gain,
    levels_db,
    ramped,
    ratio_db,
    require_made_for,
    require_sounds,
)
from audioxai.datasets.records import Dataset
from audioxai.domains import Domain, Waveform
from audioxai.utils.errors import UserError
from audioxai.utils.seeding import content_key, generator


class Cue(Protocol):
    """What marks a class."""

    @property
    def name(self) -> str:
        """Name of the class that it marks."""
        ...

    @property
    def band_hz(self) -> tuple[float, float]:
        """Lowest and highest frequency."""
        ...

    def sound(self, samples: int, sample_rate_hz: int, random: torch.Generator) -> Tensor:
        """Sound ``(samples,)``, float64, with the RMS of a full-scale sine, √½ (all zero if it has none)."""
        ...


@dataclass(frozen=True)
class Tone:
    """A sine of random phase."""

    frequency_hz: float

    @property
    def name(self) -> str:
        """``tone`` and its frequency."""
        return f"tone {self.frequency_hz:g} Hz"

    @property
    def band_hz(self) -> tuple[float, float]:
        """Its frequency, twice."""
        return (self.frequency_hz, self.frequency_hz)

    def sound(self, samples: int, sample_rate_hz: int, random: torch.Generator) -> Tensor:
        """Sine ``(samples,)`` of amplitude 1."""
        phase = 2.0 * torch.pi * torch.rand((), generator=random, dtype=torch.float64)
        times_s = torch.arange(samples, dtype=torch.float64) / sample_rate_hz
        return torch.sin(2.0 * torch.pi * self.frequency_hz * times_s + phase)


@dataclass(frozen=True)
class NoiseBand:
    """Gaussian noise between two frequencies."""

    low_hz: float
    high_hz: float

    @property
    def name(self) -> str:
        """``noise`` and its band."""
        return f"noise {self.low_hz:g}–{self.high_hz:g} Hz"

    @property
    def band_hz(self) -> tuple[float, float]:
        """Lower and upper edge."""
        return (self.low_hz, self.high_hz)

    def sound(self, samples: int, sample_rate_hz: int, random: torch.Generator) -> Tensor:
        """Noise ``(samples,)`` of RMS √½.

        Raises
        ------
        UserError
            If the band is too narrow for so short a sound.
        """
        spectrum = torch.fft.rfft(torch.randn(samples, generator=random, dtype=torch.float64))
        bins_hz = torch.arange(len(spectrum), dtype=torch.float64) * sample_rate_hz / samples
        inside = (bins_hz >= self.low_hz) & (bins_hz <= self.high_hz)
        if not bool(inside.any()):
            raise UserError(
                f"{self.name} is narrower than the {sample_rate_hz / samples:g} Hz that a sound of {samples} samples "
                "resolves; widen the band or ask for a longer cue"
            )
        noise: Tensor = torch.fft.irfft(spectrum * inside, n=samples)
        return noise * math.sqrt(0.5 / float(noise.square().mean()))


@dataclass(frozen=True)
class NoCue:
    """Nothing: the class of the clips that are left as they are."""

    @property
    def name(self) -> str:
        """``no cue``."""
        return "no cue"

    @property
    def band_hz(self) -> tuple[float, float]:
        """No frequency, as 0 Hz twice."""
        return (0.0, 0.0)

    def sound(self, samples: int, sample_rate_hz: int, random: torch.Generator) -> Tensor:  # noqa: ARG002
        """Zeros ``(samples,)``."""
        return torch.zeros(samples, dtype=torch.float64)


@dataclass(frozen=True)
class CueDesign:
    """What is planted.

    Attributes
    ----------
    cues : tuple of Cue
        The cue of every class, at least two different ones.
    level_db : float
        Level of every cue, at most 0.
    duration_s : float
        Length of every cue, its two ramps of 5 ms included.
    earliest_s, latest_s : float
        Range of the time at which a cue starts; equal for a fixed time.
    seed : int
        Seed of classes, times, phases and noise.

    Raises
    ------
    UserError
        If a value is out of its range.
    """

    cues: tuple[Cue, ...]
    level_db: float
    duration_s: float
    earliest_s: float
    latest_s: float
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.cues) < 2 or len(set(self.cues)) < len(self.cues):
            names = ", ".join(cue.name for cue in self.cues) or "none"
            raise UserError(f"the cues are {names}; give at least two, all different")
        if not -math.inf < self.level_db <= 0.0:
            raise UserError(f"level_db is {self.level_db}; give a level of at most 0 dB re. a full-scale sine")
        if not 2.0 * RAMP_S < self.duration_s < math.inf:
            raise UserError(f"duration_s is {self.duration_s}; give more than the two ramps' {2 * RAMP_S} s")
        if not 0.0 <= self.earliest_s <= self.latest_s < math.inf:
            raise UserError(
                f"cues start between earliest_s {self.earliest_s} and latest_s {self.latest_s}; give 0 ≤ earliest ≤ "
                "latest"
            )


@dataclass(frozen=True, eq=False)
class CuedClips:
    """Clips whose class is the cue in them: ``dataset.inputs = clips + cues``.

    Attributes
    ----------
    dataset : Dataset
        Clips with their cue; classes are the design's cues; ids, groups and parts as they were.
    clips, cues : Tensor
        ``(samples, 1, time)``: the speech and the cue that ``dataset.inputs`` add up.
    swapped_cues : Tensor
        ``(samples, 1, time)``: at the same time and level, the cue of the next class (of the first after the last).
    starts_s : Tensor
        When the cue starts, ``(samples,)``, float64.
    gains : Tensor
        One factor in (0, 1] per clip, for speech and cues alike: below 1 where any class's cue would have exceeded full
        scale, so that it does not tell the class. ``(samples,)``, float64.
    snr_db : Tensor
        Energy of the cue over that of the speech, both over the whole clip, in dB; −inf without a cue. ``(samples,)``,
        float64.
    design : CueDesign
        The requested design.
    """

    dataset: Dataset
    clips: Tensor
    cues: Tensor
    swapped_cues: Tensor
    starts_s: Tensor
    gains: Tensor
    snr_db: Tensor
    design: CueDesign

    def without_cue(self) -> Dataset:
        """The same clips without any cue, labels kept: a model that uses the cue is at chance."""
        return replace(self.dataset, inputs=self.clips)

    def with_swapped_cue(self) -> Dataset:
        """The same clips with the next class's cue instead, labelled so: a model that uses the cue follows it."""
        labels = (self.dataset.labels + 1) % len(self.design.cues)
        return replace(self.dataset, inputs=self.clips + self.swapped_cues, labels=labels)

    def mask(self, domain: Domain, below_peak_db: float = 20.0) -> Tensor:
        """Cells in which the cue lies, bool ``(samples, 1, *domain.shape)``; none in clips without a cue.

        Those whose level in the analysis of the cue alone is within ``below_peak_db`` of the cue's loudest cell and
        above the floor; in a waveform those from the cue's start to its end.

        Raises
        ------
        UserError
            If ``below_peak_db`` is not positive or the domain is not made for these clips.
        """
        require_made_for(domain, self.dataset)
        if isinstance(domain, Waveform):
            return self._sounding(domain)
        return cue_cells(domain, self.cues, below_peak_db)

    def _sounding(self, domain: Waveform) -> Tensor:
        samples = torch.arange(domain.shape[0])
        since_start = samples - (self.starts_s * domain.sample_rate_hz).round()[:, None]
        sounding = (since_start >= 0) & (since_start < round(domain.sample_rate_hz * self.design.duration_s))
        has_cue = self.cues.flatten(1).any(1)
        return (sounding & has_cue[:, None])[:, None]


def cue_cells(domain: Domain, cues: Tensor, below_peak_db: float = 20.0) -> Tensor:
    """Cells within ``below_peak_db`` of the loudest cell of each cue ``(samples, 1, time)``, above the floor; bool.

    Raises
    ------
    UserError
        If ``below_peak_db`` is not positive or the domain is none of sound.
    """
    if not below_peak_db > 0.0:
        raise UserError(f"below_peak_db is {below_peak_db}; give a positive number of decibels")
    levels = levels_db(domain, cues)
    loudest = levels.flatten(1).amax(1)[:, None, None, None]
    return (levels >= loudest - below_peak_db) & (levels > floor_db(domain))


def plant(dataset: Dataset, design: CueDesign) -> CuedClips:
    """Give every clip a class at random and add that class's cue.

    Raises
    ------
    UserError
        If the dataset is of images, or a cue does not fit into the clips or below half their sample rate.
    """
    rate_hz = require_sounds(dataset)
    _require_fitting(design, dataset.inputs.shape[-1] / rate_hz, rate_hz)
    labels, starts, clips, cues, swapped, gains, snrs = zip(
        *(_planted(clip, design, rate_hz) for clip in dataset.inputs), strict=True
    )
    planted = replace(
        dataset,
        name=f"{dataset.name}_cues",
        class_names=tuple(cue.name for cue in design.cues),
        inputs=torch.stack(clips) + torch.stack(cues),
        labels=torch.tensor(labels, dtype=torch.int64),
        fingerprint=derived_fingerprint(dataset, "cues", configuration_of(design)),
    )
    return CuedClips(
        dataset=planted,
        clips=torch.stack(clips),
        cues=torch.stack(cues),
        swapped_cues=torch.stack(swapped),
        starts_s=torch.tensor(starts, dtype=torch.float64) / rate_hz,
        gains=torch.tensor(gains, dtype=torch.float64),
        snr_db=torch.tensor(snrs, dtype=torch.float64),
        design=design,
    )


def _planted(clip: Tensor, design: CueDesign, rate_hz: int) -> tuple[int, int, Tensor, Tensor, Tensor, float, float]:
    """Class, first sample, speech, own and next cue ``(1, time)``, gain and SNR of one clip."""
    random = generator("planted cue", design.seed, content_key(clip))
    label = int(torch.randint(len(design.cues), (), generator=random))
    first = round(rate_hz * design.earliest_s)
    last = max(first, min(round(rate_hz * design.latest_s), clip.shape[-1] - round(rate_hz * design.duration_s)))
    start = int(torch.randint(first, last + 1, (), generator=random))
    bursts = [_burst(cue, start, clip, design, rate_hz, random) for cue in design.cues]
    gain = full_scale_gain(clip, *(clip + burst for burst in bursts))
    own, following = bursts[label], bursts[(label + 1) % len(bursts)]
    return label, start, gain * clip, gain * own, gain * following, gain, ratio_db(energy(own), energy(clip))


def _burst(cue: Cue, start: int, clip: Tensor, design: CueDesign, rate_hz: int, random: torch.Generator) -> Tensor:
    """The cue where it sounds and zeros around it, like ``clip``."""
    length = round(rate_hz * design.duration_s)
    burst = torch.zeros_like(clip)
    sound = 10.0 ** (design.level_db / 20.0) * cue.sound(length, rate_hz, random)
    burst[..., start : start + length] = ramped(sound, rate_hz).to(clip.dtype)
    return burst


def _require_fitting(design: CueDesign, clip_s: float, rate_hz: int) -> None:
    if design.latest_s + design.duration_s > clip_s:
        raise UserError(
            f"a cue of {design.duration_s} s that starts as late as {design.latest_s} s does not fit into clips of "
            f"{clip_s:g} s; start earlier or make it shorter"
        )
    for cue in design.cues:
        if isinstance(cue, NoCue):
            continue
        low_hz, high_hz = cue.band_hz
        if not 0.0 < low_hz <= high_hz < rate_hz / 2.0:
            raise UserError(
                f"{cue.name} does not lie between 0 Hz and half the sample rate of {rate_hz} Hz; choose another band"
            )
