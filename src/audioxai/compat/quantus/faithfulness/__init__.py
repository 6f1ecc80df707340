"""The reference's faithfulness metrics.

It has no insertion, comprehensiveness or listening measures, and its *Sufficiency* (Dasgupta et al. 2022) compares
explanations across samples, which is not the sufficiency of ERASER.
"""

from audioxai.compat.quantus.faithfulness.correlation import FaithfulnessCorrelation
from audioxai.compat.quantus.faithfulness.infidelity import Infidelity
from audioxai.compat.quantus.faithfulness.road import Road
from audioxai.compat.quantus.faithfulness.steps import FaithfulnessEstimate, PixelFlipping
from audioxai.compat.quantus.faithfulness.sufficiency import Sufficiency

__all__ = [
    "FaithfulnessCorrelation",
    "FaithfulnessEstimate",
    "Infidelity",
    "PixelFlipping",
    "Road",
    "Sufficiency",
]
