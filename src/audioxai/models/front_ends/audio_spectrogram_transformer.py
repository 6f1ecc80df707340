"""Kaldi filter banks of a fixed number of frames, for the Audio Spectrogram Transformer."""

import math
from typing import Any

from torch import Tensor
from torch.nn import functional

from audioxai.models.front_ends.kaldi import FLOOR, FRAME_SAMPLES, constants_of, frames_in, log_filter_banks, samples_of
from audioxai.models.front_ends.protocol import ClipFrontEnd
from audioxai.models.front_ends.registry import FRONT_ENDS

# Log power that the extractor pads with, before it normalises.
PADDING = 0.0


@FRONT_ENDS.register(
    "ASTFeatureExtractor",
    label="Kaldi filter banks",
    source="Gong et al. 2021; transformers' ASTFeatureExtractor",
)
class ASTFrontEnd(ClipFrontEnd):
    """Log-mel bands by ``max_length`` frames, normalised by mean and deviation of the training data.

    The extractor pads with 0.0 *before* it normalises. Log powers of ordinary sound are negative, so this is a block
    that is louder than silence, and mostly louder than the sound. It is constant and no part of the clip, so an
    explanation of the clip gives it no relevance.
    """

    def __init__(self, extractor: Any) -> None:
        super().__init__(extractor.sampling_rate, FRAME_SAMPLES, samples_of(extractor.max_length))
        self.frames = int(extractor.max_length)
        self.mean = float(extractor.mean) if extractor.do_normalize else 0.0
        self.deviation = 2.0 * float(extractor.std) if extractor.do_normalize else 1.0
        self._constants = constants_of(extractor, "hann")

    @property
    def notes(self) -> tuple[str, ...]:
        """The length that the model takes, and how loud its padding is."""
        padding, silence = ((level - self.mean) / self.deviation for level in (PADDING, math.log(FLOOR)))
        return (
            f"The model takes {samples_of(self.frames) / self.sample_rate_hz:.2f} s; what a shorter clip leaves is "
            f"padded with a constant block at {padding:+.3f}, where silence is at {silence:+.3f}, and the map covers "
            "the clip alone.",
        )

    def analysis(self, sounds: Tensor) -> Tensor:
        """Log power ``(batch, frames, bands)`` of as many frames as the model takes."""
        return log_filter_banks(sounds[:, : samples_of(self.frames)], self._constants)

    def inputs(self, analysed: Tensor, statistics: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """``input_values`` ``(batch, max_length, bands)``."""
        del statistics
        padded = functional.pad(analysed, (0, 0, 0, self.frames - analysed.shape[1]), value=PADDING)
        return {"input_values": (padded - self.mean) / self.deviation}

    def padding_share(self, samples: int) -> float:
        """Share of the frames that the clip does not reach."""
        return 1.0 - min(max(frames_in(samples), 0), self.frames) / self.frames
