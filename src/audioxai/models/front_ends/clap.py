"""Log-mel spectrograms of repeated, cut or fused clips, for CLAP."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from audioxai.models.front_ends.protocol import DRAW_SEED, ClipFrontEnd, Constants, power_of
from audioxai.models.front_ends.registry import FRONT_ENDS

FLOOR = 1e-10
# Three excerpts and the whole clip shrunk: what a model with fusion takes.
EXCERPTS = 3
FUSED = EXCERPTS + 1


@FRONT_ENDS.register(
    "ClapFeatureExtractor",
    label="Log-mel spectrogram of a repeated or cut clip",
    source="Wu et al. 2023; transformers' ClapFeatureExtractor",
)
class ClapFrontEnd(ClipFrontEnd):
    """Mel power in dB of 10 s: shorter clips repeated, longer ones cut at random or fused of random excerpts.

    What the extractor draws at random is drawn with seed 0 in every pass, and depends on the clip's length alone.
    """

    def __init__(self, extractor: Any) -> None:
        fuses = extractor.truncation == "fusion"
        longest = int(extractor.nb_max_samples)
        super().__init__(extractor.sampling_rate, longest_samples=None if fuses else longest)
        self.samples, self.fuses, self.padding = longest, fuses, extractor.padding
        self.fft_samples, self.hop_samples = int(extractor.fft_window_size), int(extractor.hop_length)
        filters = extractor.mel_filters if fuses else extractor.mel_filters_slaney
        window = torch.hann_window(self.fft_samples, dtype=torch.float64)
        self._constants = Constants(window.numpy(), filters.T)

    @property
    def notes(self) -> tuple[str, ...]:
        """What happens to clips that are shorter or longer than what the model takes."""
        seconds = self.samples / self.sample_rate_hz
        filled = {
            "repeatpad": "repeated as often as it fits and padded with silence",
            "repeat": "repeated",
        }.get(self.padding, "padded with silence")
        cut = (
            f"of a longer one it takes {EXCERPTS} excerpts and the whole shrunk"
            if self.fuses
            else "of a longer one it takes an excerpt"
        )
        return (
            f"The model takes {seconds:g} s: a shorter clip is {filled}; {cut}, drawn with seed {DRAW_SEED}. The map "
            "covers the clip alone.",
        )

    def analysis(self, sounds: Tensor) -> Tensor:
        """Mel power in dB ``(batch, 1 or 4, frames, bands)``, in double precision as the extractor's."""
        exact = sounds.double()
        if exact.shape[1] <= self.samples:
            return self._stacked(self._level_db(self._filled(exact)))
        # RandomState draws as numpy's global functions do, which the extractor calls.
        draw = np.random.RandomState(DRAW_SEED)
        if not self.fuses:
            start = int(draw.randint(0, exact.shape[1] - self.samples + 1))
            return self._stacked(self._level_db(exact[:, start : start + self.samples]))
        level_db = self._level_db(exact).to(sounds.dtype)
        frames = self.samples // self.hop_samples + 1
        if level_db.shape[1] == frames:
            return self._stacked(level_db)
        starts = [int(draw.choice(part)) for part in _thirds(level_db.shape[1] - frames + 1)]
        # In the waveforms' precision, since the extractor shrinks in single precision: places between frames are as
        # rough there. To 64 bands whatever their number, as the extractor.
        shrunk = functional.interpolate(level_db[:, None], size=(frames, 64), mode="bilinear", align_corners=False)[
            :, 0
        ]
        return torch.stack([shrunk, *(level_db[:, start : start + frames] for start in starts)], 1)

    def inputs(self, analysed: Tensor, statistics: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """``input_features`` ``(batch, 1 or 4, frames, bands)``, and whether excerpts are fused ``(batch, 1)``."""
        del statistics
        # With fusion the extractor marks at least one clip of a call, and clips go one by one. Without it no model
        # reads the mark.
        longer = torch.full((len(analysed), 1), self.fuses, device=analysed.device)
        return {"input_features": analysed, "is_longer": longer}

    def padding_share(self, samples: int) -> float:
        """Share of the 10 s that holds neither the clip nor a repetition of it."""
        if samples >= self.samples or self.padding == "repeat":
            return 0.0
        times = self.samples // samples if self.padding == "repeatpad" else 1
        return 1.0 - samples * times / self.samples

    def _filled(self, sounds: Tensor) -> Tensor:
        samples = sounds.shape[1]
        if samples < self.samples and self.padding in ("repeat", "repeatpad"):
            times = self.samples // samples + (self.padding == "repeat")
            sounds = sounds.repeat(1, times)[:, : self.samples]
        return functional.pad(sounds, (0, self.samples - sounds.shape[1]))

    def _level_db(self, sounds: Tensor) -> Tensor:
        window, filters = self._constants.like(sounds)
        spectrum = torch.stft(sounds, self.fft_samples, self.hop_samples, window=window, return_complex=True)
        return 10.0 * (filters @ power_of(spectrum)).clamp_min(FLOOR).log10().transpose(1, 2)

    def _stacked(self, level_db: Tensor) -> Tensor:
        return level_db[:, None].expand(-1, FUSED if self.fuses else 1, -1, -1)


def _thirds(count: int) -> list["np.ndarray[Any, Any]"]:
    """``range(count)`` in three parts; an empty one holds 0 alone."""
    parts = np.array_split(np.arange(count), EXCERPTS)
    return [part if len(part) else np.zeros(1, dtype=np.int64) for part in parts]
