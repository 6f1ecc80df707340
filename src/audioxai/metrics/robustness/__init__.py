"""Robustness: how much an explanation changes when its input hardly does.

Idea
----
Every metric asks for explanations of the same disturbed inputs, so all of them together cost the passes of one.

Conventions
-----------
Noise is relative to the sample: a signal-to-noise ratio for sound, a share of the range for images. A *draw* is one
disturbance of every sample; the explained class stays the same. Norms are Euclidean, over all cells of a map.

Metrics
-------
* :class:`AverageSensitivity` and :class:`MaximumSensitivity`: relative change of the map.
* :class:`LocalLipschitz`: the same per unit of disturbance.
* :class:`RelativeInputStability`: relative change of the map's cells per relative change of the input's.
"""

from audioxai.metrics.robustness.lipschitz import LocalLipschitz
from audioxai.metrics.robustness.noise import Noise, RangeNoise, SignalNoise
from audioxai.metrics.robustness.sensitivity import AverageSensitivity, MaximumSensitivity
from audioxai.metrics.robustness.stability import RelativeInputStability

__all__ = [
    "AverageSensitivity",
    "LocalLipschitz",
    "MaximumSensitivity",
    "Noise",
    "RangeNoise",
    "RelativeInputStability",
    "SignalNoise",
]
