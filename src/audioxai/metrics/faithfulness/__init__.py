"""Faithfulness: whether the model loses what the attribution says it would lose.

A *cell* is one place of the input (a sample of a waveform, a point of a spectrogram, a pixel) with all its channels;
its relevance is the sum of its attributions over the channels. *Absent* cells hold what the stated baseline says.
"""

from audioxai.metrics.faithfulness.correlation import FaithfulnessCorrelation
from audioxai.metrics.faithfulness.curves import Deletion, Insertion
from audioxai.metrics.faithfulness.eraser import Comprehensiveness, Sufficiency
from audioxai.metrics.faithfulness.estimate import FaithfulnessEstimate
from audioxai.metrics.faithfulness.infidelity import ContributionInfidelity, Infidelity
from audioxai.metrics.faithfulness.listening import (
    AverageDrop,
    AverageGain,
    AverageIncrease,
    InputFidelity,
    MaskFaithfulness,
)
from audioxai.metrics.faithfulness.resynthesis import RemovalCurves, ResynthesisFaithfulness
from audioxai.metrics.faithfulness.road import Road

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
