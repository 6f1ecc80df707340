"""Quantus called the way its answers are compared: one batch, NumPy's global generator seeded just before."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from audioxai.core import Explainer

QUIET = {"disable_warnings": True, "display_progressbar": False}


def call_quantus(
    metric: Any,
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    attributions: Tensor,
    *,
    seed: int = 0,
    explainer: Explainer | None = None,
    masks: Tensor | None = None,
    **call: Any,
) -> Any:
    """What the reference's metric returns for all samples as one batch; NumPy's global state is put back.

    Parameters
    ----------
    metric : object
        Quantus's, made with ``**QUIET``.
    model, inputs, targets, attributions : as our metrics take them
        The model in float32, which is what Quantus sends.
    seed : int
        Of NumPy's global generator.
    explainer : Explainer, optional
        For metrics that explain again.
    masks : Tensor, optional
        For localisation.
    **call
        Further arguments of the call.
    """

    def explain(model: nn.Module, inputs: NDArray[Any], targets: NDArray[Any], **_: object) -> NDArray[Any]:
        assert explainer is not None
        tensors = (Tensor(np.asarray(inputs)), Tensor(np.asarray(targets)).long())
        return explainer(model, *tensors).numpy()

    before = np.random.get_state()  # noqa: NPY002 (what Quantus draws from)
    np.random.seed(seed)  # noqa: NPY002
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return metric(
                model=model,
                x_batch=inputs.numpy().copy(),
                y_batch=targets.numpy().copy(),
                a_batch=attributions.numpy().copy(),
                s_batch=None if masks is None else masks.numpy().copy(),
                explain_func=explain if explainer is not None else None,
                batch_size=len(inputs),
                **call,
            )
    finally:
        np.random.set_state(before)  # noqa: NPY002
