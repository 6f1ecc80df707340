"""Baselines: the values of features that are absent or removed, for explainers and metrics alike.

Statistics are computed from a training set that is given explicitly (``DatasetMedian.of(training_inputs)``), so that a
sample's baseline does not depend on the batch that it is in.

Examples
--------
>>> import torch
>>> from audioxai.domains import LogMel
>>> baseline = Silence(LogMel(8_000, 0.25, bands=16, frames=12))
>>> baseline(torch.zeros(1, 1, 2, 2)).flatten().tolist()
[-80.0, -80.0, -80.0, -80.0]
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
