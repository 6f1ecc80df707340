"""The reference's faithfulness metrics.

It has no insertion, comprehensiveness or listening measures, and its *Sufficiency* (Dasgupta et al. 2022) compares
explanations across samples, which is not the sufficiency of ERASER.
"""

from audio_xai.metrics.quantus_compat.faithfulness.correlation import FaithfulnessCorrelation
from audio_xai.metrics.quantus_compat.faithfulness.infidelity import Infidelity
from audio_xai.metrics.quantus_compat.faithfulness.road import Road
from audio_xai.metrics.quantus_compat.faithfulness.steps import FaithfulnessEstimate, PixelFlipping
from audio_xai.metrics.quantus_compat.faithfulness.sufficiency import Sufficiency

__all__ = [
    "FaithfulnessCorrelation",
    "FaithfulnessEstimate",
    "Infidelity",
    "PixelFlipping",
    "Road",
    "Sufficiency",
]
