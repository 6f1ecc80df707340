"""The reference's faithfulness metrics.

It has no insertion, comprehensiveness or listening measures, and its *Sufficiency* (Dasgupta et al. 2022) compares
explanations across samples, which is not the sufficiency of ERASER.
"""

from audioxai.metrics.quantus_compat.faithfulness.correlation import FaithfulnessCorrelation
from audioxai.metrics.quantus_compat.faithfulness.infidelity import Infidelity
from audioxai.metrics.quantus_compat.faithfulness.road import Road
from audioxai.metrics.quantus_compat.faithfulness.steps import FaithfulnessEstimate, PixelFlipping
from audioxai.metrics.quantus_compat.faithfulness.sufficiency import Sufficiency

__all__ = [
    "FaithfulnessCorrelation",
    "FaithfulnessEstimate",
    "Infidelity",
    "PixelFlipping",
    "Road",
    "Sufficiency",
]
