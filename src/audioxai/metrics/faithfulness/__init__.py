"""Faithfulness: whether the model's output changes as the attributions say when features are removed.

Conventions
-----------
A *feature* is one position of the input (a sample of a waveform, a time–frequency bin, a pixel) with all its channels;
its relevance is the sum of its attributions over the channels. *Removed* features take the value of the baseline.

Modules
-------
* :mod:`~audioxai.metrics.faithfulness.correlation`: drops of the logit against summed attribution.
* :mod:`~audioxai.metrics.faithfulness.removal`: removal in the order of relevance.
* :mod:`~audioxai.metrics.faithfulness.road`: the same with imputation.
* :mod:`~audioxai.metrics.faithfulness.positive_deletion`: the same as FreqRISE does it.
* :mod:`~audioxai.metrics.faithfulness.infidelity`: error of predicted drops.
* :mod:`~audioxai.metrics.faithfulness.masking`: soft masks.
* :mod:`~audioxai.metrics.faithfulness.resynthesis`: removal from sounds, through the inverse transform.
"""

from audioxai.metrics.faithfulness.correlation import FaithfulnessCorrelation, FaithfulnessEstimate
from audioxai.metrics.faithfulness.infidelity import ContributionInfidelity, Infidelity
from audioxai.metrics.faithfulness.masking import (
    AverageDrop,
    AverageGain,
    AverageIncrease,
    InputFidelity,
    MaskFaithfulness,
)
from audioxai.metrics.faithfulness.positive_deletion import PositiveDeletion
from audioxai.metrics.faithfulness.removal import Comprehensiveness, Deletion, Insertion, Sufficiency
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
    "PositiveDeletion",
    "RemovalCurves",
    "ResynthesisFaithfulness",
    "Road",
    "Sufficiency",
]
