"""How the reference is asked."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def reference(
    metric: Any, model: nn.Module, inputs: Tensor, targets: Tensor, attributions: Tensor, seed: int = 0, **others: Any
) -> np.ndarray:
    """Scores ``(batch,)`` of a metric of Quantus for one batch, its random numbers seeded, everything handed as copy."""
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        x, y, a = (tensor.detach().numpy().copy() for tensor in (inputs, targets, attributions))
        scores = metric(model=model, x_batch=x, y_batch=y, a_batch=a, batch_size=len(x), **others)
    finally:
        np.random.set_state(state)
    return np.asarray(scores, dtype=np.float64)


def explained_by(explainer: Any) -> Any:
    """One of our explainers as the function that the reference calls."""

    def explain(model: nn.Module, inputs: Any, targets: Any, **_: Any) -> np.ndarray:
        given = torch.as_tensor(inputs, dtype=torch.float32), torch.as_tensor(targets, dtype=torch.int64)
        return explainer(model, *given).detach().numpy()

    return explain
