"""Faithfulness: whether the model loses what the attribution says it would lose.

A *cell* is one place of the input (a sample of a waveform, a point of a spectrogram, a pixel) with all its channels;
its relevance is the sum of its attributions over the channels. *Absent* cells hold what the stated baseline says.
"""

from audio_xai.metrics.faithfulness.correlation import FaithfulnessCorrelation
from audio_xai.metrics.faithfulness.curves import Deletion, Insertion
from audio_xai.metrics.faithfulness.eraser import Comprehensiveness, Sufficiency
from audio_xai.metrics.faithfulness.estimate import FaithfulnessEstimate
from audio_xai.metrics.faithfulness.infidelity import ContributionInfidelity, Infidelity
from audio_xai.metrics.faithfulness.listening import (
    AverageDrop,
    AverageGain,
    AverageIncrease,
    InputFidelity,
    MaskFaithfulness,
)
from audio_xai.metrics.faithfulness.resynthesis import RemovalCurves, ResynthesisFaithfulness
from audio_xai.metrics.faithfulness.road import Road

__all__ = [
    "AverageDrop",
    "AverageGain",
    "AverageIncrease",
    "Comprehensiveness",
    "ContributionInfidelity",
    "Deletion",
    "FaithfulnessCorrelation",
    "FaithfulnessEstimate",
    "Infidelity",
    "InputFidelity",
    "Insertion",
    "MaskFaithfulness",
    "RemovalCurves",
    "ResynthesisFaithfulness",
    "Road",
    "Sufficiency",
]
