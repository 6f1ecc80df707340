"""Data sets made of other data sets: spectrograms as images, and images as sounds.

A comparison of sound with images mixes what is shown with how it is treated: units, baseline, noise and removal. These
sources take the two apart. The samples, their ids, labels, groups and parts are those of the data set that they are
made of, and so is the name of what is loaded, so that a study explains the same samples of both.

Examples
--------
>>> spectrograms = AsImages("fsdd", 64, 64)  # the arrays that a model of FSDD sees, in [0, 1]
>>> tones = AsSounds("mnist")  # waveforms whose spectrograms are the digits
>>> both = AsImages(tones, 32, 32)
>>> both.name, both.modality
('mnist_as_sounds', 'image')
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from audioxai import datasets
from audioxai.datasets.audio_files import AudioFormat
from audioxai.datasets.mnist import IMAGE_SIDE
from audioxai.datasets.records import Dataset, Modality, Outline
from audioxai.datasets.sources import Source, content_fingerprint
from audioxai.domains import Domain, LogMel, Pixels
from audioxai.domains.log_mel import mel_band_edges_hz, mel_filters
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import slices
from audioxai.utils.seeding import generator

SAMPLES_AT_ONCE = 256


class Wrapped:
    """What a source takes from the other data set that it reads in another way; subclasses are frozen dataclasses.

    Attributes
    ----------
    of : str or Source
        The other data set: a registered one, or a source such as an ``AudioFolder``.
    """

    public: ClassVar[None] = None
    of: str | Source

    @property
    def inner(self) -> Source:
        """The other data set."""
        return datasets.source_of(self.of)

    @property
    def origin(self) -> str:
        """Registered data set that it is made of."""
        return self.of if isinstance(self.of, str) else getattr(self.of, "origin", "audio_folder")

    @property
    def root(self) -> Path | None:
        """Folder of the other data set; None if it is not there."""
        own = getattr(self.of, "root", None)
        return datasets.find_root(self.of) if isinstance(self.of, str) else own and Path(own)

    def found_in(self, root: Path) -> bool:
        """Whether the other data set is there."""
        return self.inner.found_in(root)

    def lacking_in(self, root: Path) -> str:
        """What the other data set lacks there."""
        return self.inner.lacking_in(root)

    def place_in(self, folder: Path) -> str | None:
        """Where ``folder`` belongs below the root of the other data set."""
        return self.inner.place_in(folder)

    def count_files(self, root: Path) -> int:
        """Number of files of the other data set."""
        return self.inner.count_files(root)

    def group_attributes(self, root: Path) -> dict[str, dict[str, object]]:
        """Attributes of the groups of the other data set."""
        return self.inner.group_attributes(root)


class Derived(Wrapped, ABC):
    """Base of the sources that change the inputs of another data set; subclasses are frozen dataclasses."""

    modality: ClassVar[Modality]

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the data set, with what was done to it."""

    @abstractmethod
    def audio_format(self, root: Path | None = None) -> AudioFormat | None:
        """How the sounds are read; None for images."""

    @abstractmethod
    def made_of(self, loaded: Dataset) -> Tensor:
        """Inputs ``(samples, 1, …)`` made of those of the other data set."""

    def split_names(self, root: Path | None = None) -> tuple[str, ...]:
        """Those of the other data set."""
        return self.inner.split_names(root)

    def outline(self, root: Path, split: str | None = None, limit: int | None = None) -> Outline:
        """Classes and sizes of the other data set."""
        return self.inner.outline(root, split, limit)

    def load(
        self, root: Path, split: str | None = None, audio_format: AudioFormat | None = None, limit: int | None = None
    ) -> Dataset:
        """The samples of the other data set with other inputs.

        Raises
        ------
        UserError
            As the other data set does, or if another format is asked for.
        """
        fingerprint = self.fingerprint(root, split, audio_format, limit)
        loaded = datasets.load(self.of, root=root, split=split, limit=limit)
        own_format = self.audio_format(root)
        return replace(
            loaded,
            modality=self.modality,
            sample_rate_hz=None if own_format is None else own_format.sample_rate_hz,
            inputs=self.made_of(loaded),
            fingerprint=fingerprint,
        )

    def fingerprint(
        self, root: Path, split: str | None = None, audio_format: AudioFormat | None = None, limit: int | None = None
    ) -> str:
        """The fingerprint of what :meth:`load` returns."""
        if audio_format not in (None, self.audio_format(root)):
            raise UserError(f"{self.name} is made in a form of its own; leave the audio format out")
        inner = self.inner.fingerprint(root, split, None, limit)
        fields = {name: value for name, value in vars(self).items() if name != "of"}
        return content_fingerprint([(inner, b"")], type(self).__name__, sorted(fields.items()))


@dataclass(frozen=True)
class AsImages(Derived):
    """Arrays that a model of another data set sees, as images: silence is black, a full-scale sine is white.

    Attributes
    ----------
    of : str or Source
        The other data set, of sounds or of images.
    rows, columns : int
        Bands and frames of the log-mel spectrogram, or pixels.
    through : int or None
        The arrays are reduced to this many rows and columns and enlarged again: less detail on the same grid.
    black_share : float or None
        The darkest features of every array become black until this share of them is.

    Notes
    -----
    Brightness is (L − L_floor) / −L_floor of the level L in dB. It is the affine map that puts levels and pixels alike
    into a network of this project, so a body sees the same numbers either way.
    """

    modality: ClassVar[Modality] = "image"

    of: str | Source
    rows: int
    columns: int
    through: int | None = None
    black_share: float | None = None

    def __post_init__(self) -> None:
        Pixels(self.rows, self.columns)
        if self.through is not None and not 1 <= self.through <= min(self.rows, self.columns):
            raise UserError(
                f"through is {self.through}; give 1 to {min(self.rows, self.columns)}, the smaller side of the arrays"
            )
        if self.black_share is not None and not 0.0 < self.black_share < 1.0:
            raise UserError(f"black_share is {self.black_share}; give a share between 0 and 1")

    @property
    def name(self) -> str:
        """The other data set's, with what was done to the arrays."""
        parts = [self.inner.name]
        parts += [] if self.through is None else [f"through_{self.through}"]
        parts += [] if self.black_share is None else ["sparse"]
        return "_".join(parts)

    def audio_format(self, root: Path | None = None) -> None:
        """None: these are images."""

    def made_of(self, loaded: Dataset) -> Tensor:
        """Images ``(samples, 1, rows, columns)`` in [0, 1]."""
        domain = self._domain(loaded)
        parts = slices(len(loaded), SAMPLES_AT_ONCE)
        images = torch.cat([self._drawn(domain, loaded.inputs[rows]) for rows in parts])
        return images if self.black_share is None else with_black_share(images, self.black_share)

    def _domain(self, loaded: Dataset) -> Domain:
        if loaded.sample_rate_hz is None:
            return Pixels(self.rows, self.columns)
        duration_s = loaded.inputs.shape[-1] / loaded.sample_rate_hz
        return LogMel(loaded.sample_rate_hz, duration_s, bands=self.rows, frames=self.columns)

    def _drawn(self, domain: Domain, recorded: Tensor) -> Tensor:
        images = brightness(domain, domain.analysis(recorded))
        return images if self.through is None else with_less_detail(images, self.through)


def brightness(domain: Domain, values: Tensor) -> Tensor:
    """Values of a domain with its silence at 0 and the upper end of its range at 1."""
    _, high = domain.value_range
    return (values - domain.silence_value) / (high - domain.silence_value)


def with_less_detail(images: Tensor, side: int) -> Tensor:
    """Images ``(batch, 1, rows, columns)`` averaged down to ``side × side`` and enlarged bilinearly to their size."""
    small = functional.adaptive_avg_pool2d(images, side)
    return functional.interpolate(small, images.shape[2:], mode="bilinear", align_corners=False)


def with_black_share(images: Tensor, share: float) -> Tensor:
    """Images of which the darkest ``share`` of features is black; those that have more black keep it."""
    flat = images.flatten(1)
    darkest = flat.argsort(dim=1, stable=True)[:, : round(share * flat.shape[1])]
    return flat.scatter(1, darkest, 0.0).reshape_as(images)


@dataclass(frozen=True)
class AsSounds(Derived):
    """Images of 28 × 28 pixels written as sounds: a pixel is a sine in the middle of its band for one frame.

    The front end ``LogMel(16_000, 1.984, bands=32, frames=32)`` returns the image with a margin of two black pixels:
    its frames stand side by side, so columns are exact; along a column the window smears a sine over the bands beside
    it, some 14 dB below and more, so that lines are thicker than they were drawn.

    Attributes
    ----------
    of : str or Source
        Images in [0, 1], 28 × 28.
    white_db : float
        Level of the band of a white pixel; black is silence, and brightness is even in dB between. At −30 dB, 28 white
        pixels at once stay below full scale.

    Notes
    -----
    Levels of the sines make up for what reaches their band from its neighbours.
    """

    modality: ClassVar[Modality] = "audio"
    side: ClassVar[int] = 32

    of: str | Source
    white_db: float = -30.0

    def __post_init__(self) -> None:
        loudest_db = -20.0 * math.log10(IMAGE_SIDE)
        if not self.domain.floor_db < self.white_db <= loudest_db:
            raise UserError(
                f"white_db is {self.white_db}; give more than {self.domain.floor_db:g} dB, which is black, and at most "
                f"{loudest_db:.1f} dB, at which a white column is a full-scale sound"
            )

    @property
    def name(self) -> str:
        """The other data set's, as sounds."""
        return f"{self.inner.name}_as_sounds"

    @property
    def domain(self) -> LogMel:
        """The front end that returns the images."""
        duration_s = (self.side - 1) * LogMel.window_s
        return LogMel(16_000, duration_s, bands=self.side, frames=self.side)

    def audio_format(self, root: Path | None = None) -> AudioFormat:  # noqa: ARG002
        """As long as its frames, at 16 kHz."""
        return AudioFormat(self.domain.sample_rate_hz, self.domain.duration_s, "start", None, False)

    def made_of(self, loaded: Dataset) -> Tensor:
        """Waveforms ``(samples, 1, time)``.

        Raises
        ------
        UserError
            If the other data set does not hold images of 28 × 28 pixels.
        """
        if tuple(loaded.inputs.shape[1:]) != (1, IMAGE_SIDE, IMAGE_SIDE):
            raise UserError(
                f"inputs of {loaded.name} have shape {tuple(loaded.inputs.shape[1:])}; sounds are made of images of "
                f"1 × {IMAGE_SIDE} × {IMAGE_SIDE} pixels"
            )
        margin = (self.side - IMAGE_SIDE) // 2
        sines = self._sines()
        parts = slices(len(loaded), SAMPLES_AT_ONCE)
        return torch.cat([self._sounded(functional.pad(loaded.inputs[rows], [margin] * 4), sines) for rows in parts])

    def _sounded(self, images: Tensor, sines: Tensor) -> Tensor:
        """Waveforms of images ``(batch, 1, bands, frames)``."""
        domain = self.domain
        levels_db = domain.floor_db + (self.white_db - domain.floor_db) * images[:, 0].double()
        wanted = torch.where(images[:, 0] > 0.0, 10.0 ** (levels_db / 10.0), 0.0)
        power = torch.linalg.solve(self._reach(), wanted).clamp_min(0.0).where(wanted > 0.0, 0.0)
        frames = torch.einsum("bmf,mn->bfn", power.sqrt(), sines)
        half = domain.window_length // 2
        return frames.flatten(1)[:, None, half : half + domain.samples].float()

    def _sines(self) -> Tensor:
        """One frame of a full-scale sine in every band, ``(bands, window)``, with phases of their own."""
        domain = self.domain
        random = generator("phases of images as sounds")
        phases = 2.0 * torch.pi * torch.rand(domain.bands, 1, generator=random, dtype=torch.float64)
        time = torch.arange(domain.window_length, dtype=torch.float64)
        return torch.sin(2.0 * torch.pi * self._bins()[:, None] * time / domain.window_length + phases)

    def _bins(self) -> Tensor:
        """Bin of the spectrum nearest to the middle of every band."""
        domain = self.domain
        centres_hz = mel_band_edges_hz(domain.bands, domain.sample_rate_hz)[1:-1]
        return torch.from_numpy(centres_hz * domain.window_length / domain.sample_rate_hz).round()

    def _reach(self) -> Tensor:
        """Power that a sine of power 1 in one band (column) brings into every band (row)."""
        domain, bins = self.domain, self._bins().long()
        filters = torch.from_numpy(mel_filters(domain.sample_rate_hz, domain.window_length, domain.bands))
        # A Hann window spreads a sine in the middle of a bin over three, the outer ones at a quarter of the power.
        return filters[:, bins] + 0.25 * (filters[:, bins - 1] + filters[:, bins + 1])
