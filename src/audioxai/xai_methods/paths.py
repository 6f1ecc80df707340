"""Paths from a baseline to the input, along which gradients are integrated.

A path, made for a batch of inputs, is a curve: ``at(rows, t)`` are the points of the samples ``rows`` at positions
``t`` between 0 (the baseline) and 1 (the input). A step along it is the difference of two points, so that a curve is
never differentiated and may have corners.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from audioxai.baselines import BandNoise, Baseline, RandomBaseline, SpeechShapedNoise, blurred
from audioxai.utils.counter_random import normal_like
from audioxai.utils.errors import UserError


class Curve(ABC):
    """One curve for each sample of a batch."""

    @abstractmethod
    def at(self, rows: Tensor, t: Tensor) -> Tensor:
        """Points ``(pairs, 1, …)`` of the samples ``rows`` ``(pairs,)`` at positions ``t`` ``(pairs,)`` in [0, 1]."""

    def step(self, rows: Tensor, first: Tensor, last: Tensor) -> Tensor:
        """``at(rows, last) − at(rows, first)``, ``(pairs, 1, …)``."""
        return self.at(rows, last) - self.at(rows, first)


class Path(ABC):
    """A frozen dataclass that makes a curve for every sample, from the sample's own values alone."""

    @abstractmethod
    def curve(self, inputs: Tensor, draw: int) -> Curve:
        """Curves of a batch ``(batch, 1, …)``; ``draw`` numbers the repetitions of a random path."""

    @property
    def is_straight(self) -> bool:
        """Whether a step is, in every feature, the share of the whole distance that its positions say."""
        return False


def broadcast(values: Tensor, like: Tensor) -> Tensor:
    """``values`` ``(pairs,)`` in the real precision of ``like``, shaped to multiply ``(pairs, 1, …)``."""
    real = like.real if like.is_complex() else like
    return values.to(real).reshape(-1, *[1] * (like.ndim - 1))


# --- Straight lines --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Line(Curve):
    """The straight line from ``start`` to ``end``, both ``(batch, 1, …)``."""

    start: Tensor
    end: Tensor

    def __post_init__(self) -> None:
        if self.start.shape != self.end.shape:
            raise UserError(
                f"the baseline has shape {tuple(self.start.shape)} but the inputs have {tuple(self.end.shape)}; "
                "make the baseline for these inputs"
            )

    def at(self, rows: Tensor, t: Tensor) -> Tensor:
        """``start + t · (end − start)``."""
        start = self.start[rows]
        return start + broadcast(t, start) * (self.end[rows] - start)

    def step(self, rows: Tensor, first: Tensor, last: Tensor) -> Tensor:
        """``(last − first) · (end − start)``."""
        difference = self.end[rows] - self.start[rows]
        return broadcast(last - first, difference) * difference


@dataclass(frozen=True)
class Straight(Path):
    """The straight line from a baseline, in the inputs' unit (Sundararajan et al. 2017)."""

    baseline: Baseline

    @property
    def is_straight(self) -> bool:
        """Always."""
        return True

    def curve(self, inputs: Tensor, draw: int) -> Curve:  # noqa: ARG002 (the protocol's)
        """Line from the baseline of every input."""
        return Line(self.baseline(inputs), inputs)


@dataclass(frozen=True)
class FromDrawn(Path):
    """A straight line from every draw of a random baseline.

    Notes
    -----
    With training references as baseline it is expected gradients (Erion et al. 2021); with one step per draw the
    positions on the lines are stratified, one in each of ``draws`` equal parts, which samples their uniform
    distribution with a smaller variance.
    """

    baseline: RandomBaseline

    @property
    def is_straight(self) -> bool:
        """Always."""
        return True

    def curve(self, inputs: Tensor, draw: int) -> Curve:
        """Line from that draw of every input's baseline."""
        return Line(self.baseline.drawn(inputs, draw), inputs)


@dataclass(frozen=True)
class NoisyInput(Path):
    """Another path, to the input with Gaussian noise added (as in SmoothGrad, Smilkov et al. 2017).

    Attributes
    ----------
    path : Path
        Made for the noisy input, so that it ends there.
    noise_std : float
        Standard deviation of the noise, in the inputs' unit.
    seed : int
        Of the noise.
    """

    path: Path
    noise_std: float
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.noise_std > 0.0:
            raise UserError(f"noise_std is {self.noise_std}; noise needs a positive standard deviation")

    @property
    def is_straight(self) -> bool:
        """Where the other path is."""
        return self.path.is_straight

    def curve(self, inputs: Tensor, draw: int) -> Curve:
        """Curve of the inputs with that draw's noise."""
        return self.path.curve(with_noise(inputs, self.noise_std, self.seed, draw), draw)


def with_noise(inputs: Tensor, noise_std: float, seed: int, draw: int) -> Tensor:
    """Inputs plus Gaussian noise, drawn for each sample from its values, the seed and the draw."""
    return inputs + noise_std * normal_like(inputs, "noise around inputs", seed, draw).to(inputs)


# --- Gains -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _LevelFadeIn(Curve):
    """``max(levels − (1 − t) · depth_db, floor_db)``."""

    levels: Tensor
    depth_db: Tensor
    floor_db: float

    def at(self, rows: Tensor, t: Tensor) -> Tensor:
        levels = self.levels[rows]
        return (levels - broadcast((1.0 - t) * self.depth_db[rows], levels)).clamp_min(self.floor_db)


@dataclass(frozen=True)
class FadeIn(Path):
    """Amplitude path of levels in dB: the spectrogram of a · x for every gain a from 0 to 1, floor included.

    Attributes
    ----------
    floor_db : float
        Floor L_f of the levels.

    Notes
    -----
    γ = max(L + 20 log₁₀ a, L_f) is the analysis of the recording times a. Feature i leaves the floor at
    a_i = 10^((L_f − L_i)/20), so A_i = ∫ from a_i to 1 of ∂_iF · 8.686/a da; the weight of a node is the integral of
    8.686/a over that part of its interval in which the feature is above the floor, in closed form the difference of γ.
    Positions are even in dB from the gain at which the loudest feature leaves the floor, because the score changes with
    decibels: even in a, the first of 32 intervals would take 50 of 80 dB.
    """

    floor_db: float

    def curve(self, inputs: Tensor, draw: int) -> Curve:  # noqa: ARG002 (the protocol's)
        """Fade-in of every input.

        Raises
        ------
        UserError
            If an input is below the floor, which no gain reaches.
        """
        if float(inputs.min()) < self.floor_db:
            raise UserError(
                f"the inputs go down to {float(inputs.min()):g} dB but the floor is {self.floor_db:g} dB; give levels "
                "made by the domain's analysis"
            )
        return _LevelFadeIn(inputs, (inputs.flatten(1).amax(1) - self.floor_db).double(), self.floor_db)


@dataclass(frozen=True, eq=False)
class _Gain(Curve):
    """``a(t) · ends`` with a gain that grows evenly in dB over ``depth_db`` and is 0 at 0."""

    ends: Tensor
    depth_db: float

    def at(self, rows: Tensor, t: Tensor) -> Tensor:
        ends = self.ends[rows]
        return broadcast(gain(t, self.depth_db), ends) * ends

    def step(self, rows: Tensor, first: Tensor, last: Tensor) -> Tensor:
        ends = self.ends[rows]
        return broadcast(gain(last, self.depth_db) - gain(first, self.depth_db), ends) * ends


@dataclass(frozen=True)
class Amplified(Path):
    """The straight line from zero, a · x, with positions even in dB of the gain a: a fade-in of waveforms.

    Attributes
    ----------
    depth_db : float
        Gain at which the fade-in begins, in dB below 0; the first interval takes all that is quieter.

    Notes
    -----
    The same line as from silence, and so the same integral. A model whose front end takes levels in dB changes as much
    between the gains 0.001 and 0.01 as between 0.1 and 1, which nodes even in the gain miss.
    """

    depth_db: float = 80.0

    def __post_init__(self) -> None:
        if not self.depth_db > 0.0:
            raise UserError(f"depth_db is {self.depth_db}; a fade-in begins a positive number of dB below the input")

    def curve(self, inputs: Tensor, draw: int) -> Curve:  # noqa: ARG002 (the protocol's)
        """Fade-in of every input."""
        return _Gain(inputs, self.depth_db)


def gain(t: Tensor, depth_db: float) -> Tensor:
    """Gain ``10^(−depth_db (1 − t) / 20)``, and 0 at position 0."""
    return torch.where(t > 0.0, 10.0 ** (-depth_db * (1.0 - t) / 20.0), 0.0)


# --- Crossfades from noise -------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Mixture(Curve):
    """``sin(90° t) · signal + cos(90° t) · noise``."""

    signal: Tensor
    noise: Tensor

    def at(self, rows: Tensor, t: Tensor) -> Tensor:
        signal, angles = self.signal[rows], t * (torch.pi / 2.0)
        return broadcast(angles.sin(), signal) * signal + broadcast(angles.cos(), signal) * self.noise[rows]


@dataclass(frozen=True, eq=False)
class _LevelOfMixture(Curve):
    """Level in dB of a mixture of amplitudes, at least the floor."""

    mixture: _Mixture
    floor_db: float

    def at(self, rows: Tensor, t: Tensor) -> Tensor:
        power = self.mixture.at(rows, t).abs().square()
        return 10.0 * power.clamp_min(10.0 ** (self.floor_db / 10.0)).log10()


@dataclass(frozen=True)
class WaveformCrossfade(Path):
    """a · x + √(1 − a²) · n with speech-shaped noise n; its STFT is the same mixture of spectra.

    Notes
    -----
    Positions are even in the angle arcsin a. Where the noise is as loud as the clip, the power stays the same.
    """

    noise: SpeechShapedNoise

    def curve(self, inputs: Tensor, draw: int) -> Curve:
        """Crossfade of every waveform ``(batch, 1, time)`` with that draw of noise."""
        return _Mixture(inputs, self.noise.drawn(inputs, draw))


@dataclass(frozen=True)
class LevelCrossfade(Path):
    """Levels in dB of a · Z + √(1 − a²) · N with complex noise N that has the bands of speech.

    Notes
    -----
    A level does not tell the phase of its feature, but N is equally likely at every phase, so Z may be taken as real.
    Mixing amplitudes keeps their interference, which adding powers would leave out. Positions as in
    :class:`WaveformCrossfade`.
    """

    noise: BandNoise

    def curve(self, inputs: Tensor, draw: int) -> Curve:
        """Crossfade of every spectrogram ``(batch, 1, bands, frames)`` with that draw of noise."""
        noise = self.noise.amplitudes(inputs, draw)
        signal = (10.0 ** (inputs / 20.0)).to(noise.dtype)
        return _LevelOfMixture(_Mixture(signal, noise), self.noise.silence_value)


# --- Other curves ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Blurred(Curve):
    """Inputs blurred by ``(1 − t) · sigma_cells``."""

    ends: Tensor
    sigma_cells: float

    def at(self, rows: Tensor, t: Tensor) -> Tensor:
        ends = self.ends[rows]
        return blurred(ends, ((1.0 - t) * self.sigma_cells).to(ends))


@dataclass(frozen=True)
class FromBlur(Path):
    """From the input blurred by a Gaussian of ``sigma_cells`` to the input itself (Blur IG, Xu et al. 2020).

    Attributes
    ----------
    sigma_cells : float
        Standard deviation of the widest blur, in features; positions are even in it.
    """

    sigma_cells: float

    def __post_init__(self) -> None:
        if not self.sigma_cells > 0.0:
            raise UserError(f"sigma_cells is {self.sigma_cells}; a blur needs a positive standard deviation")

    def curve(self, inputs: Tensor, draw: int) -> Curve:  # noqa: ARG002 (the protocol's)
        """Ever narrower blurs of every input."""
        return _Blurred(inputs, self.sigma_cells)


@dataclass(frozen=True, eq=False)
class OrderedLine(Curve):
    """Features move from ``start`` to ``end`` one after another, as they are inserted when a map is judged.

    Attributes
    ----------
    start, end : Tensor
        ``(batch, 1, …)``.
    ranks : Tensor
        Position in [0, 1] at which each feature begins to move, shaped alike.
    overlap : float
        How long it moves, in the unit of the ranks; above 0. The larger, the more features move at the same time.

    Notes
    -----
    At position t a feature has covered the share clip((t (1 + overlap) − rank) / overlap, 0, 1) of its distance.
    """

    start: Tensor
    end: Tensor
    ranks: Tensor
    overlap: float

    def __post_init__(self) -> None:
        if not self.start.shape == self.end.shape == self.ranks.shape:
            raise UserError(
                f"start, end and ranks have shapes {tuple(self.start.shape)}, {tuple(self.end.shape)} and "
                f"{tuple(self.ranks.shape)}; all have to be shaped alike"
            )

    def at(self, rows: Tensor, t: Tensor) -> Tensor:
        """``start + share · (end − start)``."""
        start = self.start[rows]
        return start + self._shares(rows, t) * (self.end[rows] - start)

    def step(self, rows: Tensor, first: Tensor, last: Tensor) -> Tensor:
        """``(share at last − share at first) · (end − start)``."""
        shares = self._shares(rows, last) - self._shares(rows, first)
        return shares * (self.end[rows] - self.start[rows])

    def _shares(self, rows: Tensor, t: Tensor) -> Tensor:
        return ordered_shares(self.ranks[rows], t, self.overlap)


def ordered_shares(ranks: Tensor, t: Tensor, overlap: float) -> Tensor:
    """Share of its way that each feature has covered at positions ``t`` ``(pairs,)``, in [0, 1], shaped like ``ranks``.

    ``ranks`` ``(pairs, 1, …)`` say at which position in [0, 1] a feature begins to move, ``overlap`` how long it moves.
    """
    return ((broadcast(t, ranks) * (1.0 + overlap) - ranks) / overlap).clamp(0.0, 1.0)


def insertion_ranks(attributions: Tensor) -> Tensor:
    """Ranks in [0, 1] by falling attribution ``(batch, 1, …)``: 0 for the largest, 1 for the smallest.

    Features of equal attribution are ordered by their coordinates.
    """
    features = attributions.flatten(1)
    order = features.argsort(dim=1, descending=True, stable=True)
    even = torch.linspace(0.0, 1.0, features.shape[1], dtype=attributions.dtype, device=attributions.device)
    return torch.empty_like(features).scatter_(1, order, even.expand_as(features)).reshape_as(attributions)
