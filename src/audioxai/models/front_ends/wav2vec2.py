"""Waveforms of zero mean and unit variance, for wav2vec2, HuBERT, WavLM and their kin."""

from typing import Any

from torch import Tensor

from audioxai.models.front_ends.protocol import ClipFrontEnd
from audioxai.models.front_ends.registry import FRONT_ENDS

# Added to the variance by the extractor.
EPSILON = 1e-7
NORMALISED = (
    "The model takes the clip with zero mean and unit variance; mean and variance are held at those of the whole clip "
    "while parts of it are removed.",
)


@FRONT_ENDS.register(
    "Wav2Vec2FeatureExtractor",
    label="Waveform of zero mean and unit variance",
    source="Baevski et al. 2020; transformers' Wav2Vec2FeatureExtractor",
)
class Wav2Vec2FrontEnd(ClipFrontEnd):
    """The clip as it is, or, where the extractor has ``do_normalize``, with zero mean and unit variance.

    Clips go unpadded: models with group normalisation answer differently for a padded clip.
    """

    def __init__(self, extractor: Any) -> None:
        super().__init__(extractor.sampling_rate)
        self.normalises = bool(extractor.do_normalize)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is held."""
        return NORMALISED if self.normalises else ()

    def analysis(self, sounds: Tensor) -> Tensor:
        """The waveforms."""
        return sounds

    def statistics(self, analysed: Tensor) -> tuple[Tensor, ...]:
        """Mean and variance of every clip, ``(batch, 1)``."""
        if not self.normalises:
            return ()
        return analysed.mean(-1, keepdim=True), analysed.var(-1, correction=0, keepdim=True)

    def inputs(self, analysed: Tensor, statistics: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """``input_values`` ``(batch, time)``; the extractor may add a mask, which is all ones without padding."""
        if statistics:
            mean, variance = statistics
            analysed = (analysed - mean) / (variance + EPSILON).sqrt()
        return {"input_values": analysed}

    def padding_share(self, samples: int) -> float:
        """Zero."""
        del samples
        return 0.0
