"""What *absent* means: the values that stand where a feature was removed, for explainers and metrics alike.

What is learnt from a training set is learnt from one given explicitly (``DatasetMedian.of(training_inputs)``), never
from the batch at hand, so a sample's baseline never depends on the company it comes in.
"""

from audioxai.baselines.blur import Blur, blurred
from audioxai.baselines.constant import Black, Constant, Silence
from audioxai.baselines.masking import Inaudible, masking_threshold_db
from audioxai.baselines.noise import BandNoise, NoisySilence, SpeechShapedNoise
from audioxai.baselines.protocol import Baseline, RandomBaseline
from audioxai.baselines.statistics import DatasetMean, DatasetMedian, LowEnergy, NoiseFloor, References, Table

__all__ = [
    "BandNoise",
    "Baseline",
    "Black",
    "Blur",
    "Constant",
    "DatasetMean",
    "DatasetMedian",
    "Inaudible",
    "LowEnergy",
    "NoiseFloor",
    "NoisySilence",
    "RandomBaseline",
    "References",
    "Silence",
    "SpeechShapedNoise",
    "Table",
    "blurred",
    "masking_threshold_db",
]
