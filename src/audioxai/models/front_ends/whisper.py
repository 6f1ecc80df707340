"""Log-mel spectrogram of 30 s above a floor that the clip's maximum sets, for Whisper's encoders."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from audioxai.models.front_ends.protocol import DRAW_SEED, ClipFrontEnd, Constants, power_of
from audioxai.models.front_ends.registry import FRONT_ENDS

FLOOR = 1e-10
# Decades of power below the clip's maximum at which everything quieter is set.
RANGE_DECADES = 8.0


@FRONT_ENDS.register(
    "WhisperFeatureExtractor",
    label="Log-mel spectrogram of 30 s",
    source="Radford et al. 2023; transformers' WhisperFeatureExtractor",
)
class WhisperFrontEnd(ClipFrontEnd):
    """Logarithm of mel power, at least the clip's maximum − 8, plus 4, divided by 4; padded with silence to 30 s.

    In the waveforms' own precision, as the extractor's ``torch.stft``.
    """

    def __init__(self, extractor: Any) -> None:
        super().__init__(extractor.sampling_rate, longest_samples=extractor.n_samples)
        self.samples = int(extractor.n_samples)
        self.fft_samples, self.hop_samples = int(extractor.n_fft), int(extractor.hop_length)
        self.padding_value = float(extractor.padding_value)
        self.dithered = extractor.dither != 0.0
        # The extractor's own draw, in its precision.
        noise = torch.randn(1, self.samples if self.dithered else 0, generator=torch.Generator().manual_seed(DRAW_SEED))
        window = torch.hann_window(self.fft_samples, dtype=torch.float64)
        self._constants = Constants(window.numpy(), extractor.mel_filters.T, (extractor.dither * noise).numpy())

    @property
    def notes(self) -> tuple[str, ...]:
        """What is held, and the length that the model takes."""
        return (
            f"The model takes {self.samples / self.sample_rate_hz:g} s; a shorter clip is padded with silence, and the "
            "map covers the clip alone.",
            "Power below a hundred-millionth of the clip's maximum is raised to that; the maximum is held at that of "
            "the whole clip while parts of it are removed.",
            *((f"The extractor adds noise, which is drawn once, with seed {DRAW_SEED}.",) if self.dithered else ()),
        )

    def analysis(self, sounds: Tensor) -> Tensor:
        """Logarithm to base 10 of mel power ``(batch, bands, frames)``."""
        window, filters, noise = self._constants.like(sounds)
        cut = sounds[:, : self.samples]
        padded = functional.pad(cut, (0, self.samples - cut.shape[1]), value=self.padding_value)
        if self.dithered:
            padded = padded + noise
        spectrum = torch.stft(padded, self.fft_samples, self.hop_samples, window=window, return_complex=True)
        return (filters @ power_of(spectrum[..., :-1])).clamp_min(FLOOR).log10()

    def statistics(self, analysed: Tensor) -> tuple[Tensor, ...]:
        """Maximum of every clip, ``(batch, 1, 1)``."""
        return (analysed.amax((1, 2), keepdim=True),)

    def inputs(self, analysed: Tensor, statistics: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """``input_features`` ``(batch, bands, frames)``."""
        (maximum,) = statistics
        return {"input_features": (torch.maximum(analysed, maximum - RANGE_DECADES) + 4.0) / 4.0}

    def padding_share(self, samples: int) -> float:
        """Share of the 30 s that the clip does not reach."""
        return 1.0 - min(samples, self.samples) / self.samples
