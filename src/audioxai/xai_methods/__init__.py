"""Explanation methods behind one protocol, by name in one registry; some through Captum, any of Captum's by an adapter.

Examples
--------
>>> import torch
>>> from audioxai.baselines import Constant
>>> from audioxai.xai_methods import METHODS
>>> explainer = METHODS.bind("integrated_gradients", {"baseline": Constant(0.0), "gradients": 8})
>>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, 2))
>>> explainer(model, torch.ones(1, 1, 2, 3), torch.tensor([1])).shape
torch.Size([1, 1, 2, 3])
"""

from audioxai.xai_methods.adapters import FromCaptum, FromFunction
from audioxai.xai_methods.registry import METHODS

__all__ = ["METHODS", "FromCaptum", "FromFunction"]
