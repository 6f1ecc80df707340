"""Models, inputs and targets on which explainers are tested."""

import torch
from torch import Tensor, nn

from audioxai.baselines import Constant
from helpers.tiny_models import draw, tiny_cnn, tiny_waveform_cnn

# A baseline that is neither zero nor any input, so that a method that forgets it is found out.
BASELINE = Constant(0.25)
MODELS = {"image": (tiny_cnn, (1, 12, 10)), "waveform": (tiny_waveform_cnn, (1, 40))}


def case(kind: str, dtype: torch.dtype = torch.float64, batch: int = 5) -> tuple[nn.Sequential, Tensor, Tensor]:
    """Model, inputs and targets; every class is a target of some sample."""
    build, shape = MODELS[kind]
    return build(dtype=dtype), draw(batch, *shape, seed=3, dtype=dtype), torch.arange(batch) % 3
