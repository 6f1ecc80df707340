"""Kaldi filter banks normalised band by band and stacked in pairs, for Wav2Vec2-BERT."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from audioxai.models.front_ends.kaldi import constants_of, frames_in, log_filter_banks, samples_of
from audioxai.models.front_ends.protocol import ClipFrontEnd
from audioxai.models.front_ends.registry import FRONT_ENDS

# The extractor multiplies by what a 16-bit sample is at most.
FULL_SCALE = 2.0**15
EPSILON = 1e-7
# The extractor's default, whatever its stride.
MULTIPLE_OF_FRAMES = 2
# Of one frame there is no variance.
FEWEST_FRAMES = 2


@FRONT_ENDS.register(
    "SeamlessM4TFeatureExtractor",
    label="Kaldi filter banks, normalised by band",
    source="Barrault et al. 2023; transformers' SeamlessM4TFeatureExtractor",
)
class SeamlessM4TFrontEnd(ClipFrontEnd):
    """Log-mel bands, each with zero mean and unit variance over the clip, ``stride`` frames side by side."""

    def __init__(self, extractor: Any) -> None:
        super().__init__(extractor.sampling_rate, samples_of(FEWEST_FRAMES))
        self.stride, self.padding_value = int(extractor.stride), float(extractor.padding_value)
        self._constants = constants_of(extractor, "povey")

    @property
    def notes(self) -> tuple[str, ...]:
        """What is held."""
        return (
            "The model takes every mel band with zero mean and unit variance over the clip; both are held at those of "
            "the whole clip while parts of it are removed.",
        )

    def analysis(self, sounds: Tensor) -> Tensor:
        """Log power ``(batch, frames, bands)`` of 16-bit samples."""
        return log_filter_banks(sounds.double() * FULL_SCALE, self._constants)

    def statistics(self, analysed: Tensor) -> tuple[Tensor, ...]:
        """Mean and variance of every band, ``(batch, 1, bands)``."""
        return analysed.mean(1, keepdim=True), analysed.var(1, correction=1, keepdim=True)

    def inputs(self, analysed: Tensor, statistics: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """``input_features`` ``(batch, frames / stride, bands · stride)``, and the mask of those that are no padding.

        A last pair that is half padding counts as padding, as in the extractor.
        """
        mean, variance = statistics
        normalised = (analysed - mean) / (variance + EPSILON).sqrt()
        batch, frames, bands = normalised.shape
        added = -frames % MULTIPLE_OF_FRAMES
        padded = functional.pad(normalised, (0, 0, 0, added), value=self.padding_value)
        rows = (frames + added) // self.stride
        stacked = padded[:, : rows * self.stride].reshape(batch, rows, bands * self.stride)
        valid = (torch.arange(frames + added, device=analysed.device) < frames).int()
        mask = valid[: rows * self.stride].reshape(rows, self.stride)[:, 1 % self.stride]
        return {"input_features": stacked, "attention_mask": mask.expand(batch, rows)}

    def padding_share(self, samples: int) -> float:
        """Share of the frames that make up the last pair."""
        frames = max(frames_in(samples), 0)
        added = -frames % MULTIPLE_OF_FRAMES
        return added / max(frames + added, 1)
