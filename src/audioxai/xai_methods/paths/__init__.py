"""Ways from what counts as absent to the input, along which gradients are added up."""

from audioxai.xai_methods.paths.crossfades import LevelCrossfade, WaveformCrossfade
from audioxai.xai_methods.paths.lines import FromDrawn, Line, Shaken, Straight, shaken
from audioxai.xai_methods.paths.loudness import Amplified, FadeIn
from audioxai.xai_methods.paths.protocol import Apart, Curve, Path, beside
from audioxai.xai_methods.paths.sharpening import Sharpening
from audioxai.xai_methods.paths.turns import InTurns, turns_of

__all__ = [
    "Amplified",
    "Apart",
    "Curve",
    "FadeIn",
    "FromDrawn",
    "InTurns",
    "LevelCrossfade",
    "Line",
    "Path",
    "Shaken",
    "Sharpening",
    "Straight",
    "WaveformCrossfade",
    "beside",
    "shaken",
    "turns_of",
]
