"""What every explainer is tried on."""

import torch
from torch import Tensor, nn

from audioxai.baselines import Constant
from audioxai.core import Explainer
from audioxai.xai_methods import EXPLAINERS
from helpers.tiny_models import draw, tiny_cnn, tiny_waveform_cnn

# A baseline that is neither zero nor any input, so that a method that forgets it is found out.
BASELINE = Constant(0.25)
# Those that look at the model at all.
REAL = [name for name in EXPLAINERS if name != "random"]
MODELS = {"image": (tiny_cnn, (1, 12, 10)), "waveform": (tiny_waveform_cnn, (1, 40))}


def case(kind: str, dtype: torch.dtype = torch.float64, batch: int = 5) -> tuple[nn.Module, Tensor, Tensor]:
    """Model, inputs and targets; every class is a target of some sample."""
    build, shape = MODELS[kind]
    return build(dtype=dtype), draw(batch, *shape, seed=3, dtype=dtype), torch.arange(batch) % 3


def registered(name: str) -> Explainer:
    """The registered explainer with the baseline of these tests."""
    return EXPLAINERS[name](BASELINE)
