"""What the reference's metrics share, its quirks included (Quantus 0.6.0).

Conventions
-----------
Fields carry the reference's names and defaults, so that published settings carry over. ``seed`` stands for
``numpy.random.seed(seed)`` called just before the reference; the batch stands for one batch of the reference, so call
that with ``batch_size`` no smaller. A *feature* is one number of the input, channels counted apart.
"""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from audioxai.metrics.batch import PassMetric, Reading, target_logit, target_probability
from audioxai.utils.errors import UserError

BASELINES = ("black", "white", "mean", "uniform")


class QuantusMetric(PassMetric):
    """A metric by the reference's definition; not registered."""

    family: ClassVar[str] = "quantus"


def prepared(attributions: Tensor, *, normalise: bool, absolute: bool) -> Tensor:
    """Attributions as the reference's metrics receive them.

    Parameters
    ----------
    attributions : Tensor
        ``(batch, …)``.
    normalise : bool
        Divide by the largest magnitude of the *whole batch*, unless that is 0.
    absolute : bool
        Take magnitudes afterwards.

    Returns
    -------
    Tensor
        Shaped like the attributions.
    """
    largest = attributions.abs().max()
    if normalise and float(largest) > 0.0:
        attributions = attributions / largest
    return attributions.abs() if absolute else attributions


def reading(softmax: bool) -> Reading:
    """Probability or logit of the target."""
    return target_probability if softmax else target_logit


def as_sent(inputs: Tensor) -> Tensor:
    """Inputs as the model gets them: the reference sends everything through float32."""
    return inputs.float().to(inputs.dtype)


def check_baseline(baseline: str | float) -> None:
    """Refuse a baseline that the reference does not have.

    Raises
    ------
    UserError
        Naming it.
    """
    if isinstance(baseline, str) and baseline not in BASELINES:
        raise UserError(f"perturb_baseline is {baseline!r}; choose among {', '.join(BASELINES)}, or give a number")


def still_fills(features: Tensor, baseline: str | float, draws: np.ndarray) -> Tensor:
    """What replaces features ``(batch, n)`` in each of some replacements of the *original* input, ``(batch, steps)``.

    Parameters
    ----------
    features : Tensor
        The inputs.
    baseline : str or float
        ``black`` is each sample's own minimum, ``white`` its maximum, ``mean`` its mean, ``uniform`` one of the draws.
    draws : ndarray
        ``(steps, batch)``, the reference's uniform numbers, which it draws for every baseline that has a name.
    """
    steps = len(draws)
    if not isinstance(baseline, str):
        return features.new_full((len(features), steps), float(baseline))
    if baseline == "uniform":
        return torch.from_numpy(draws.T.copy()).to(features)
    values = {"black": features.amin(1), "white": features.amax(1), "mean": features.mean(1)}
    return values[baseline][:, None].expand(-1, steps)


def running_fills(features: Tensor, chunks: Tensor, steps: int, baseline: str | float, draws: np.ndarray) -> Tensor:
    """What replaces each chunk in turn where the baseline is read off the input *as replaced so far*.

    Parameters
    ----------
    features, chunks : Tensor
        The inputs and the step ``(batch, n)`` in which each feature is replaced.
    steps : int
        How many there are.
    baseline, draws
        As in :func:`still_fills`.

    Returns
    -------
    Tensor
        ``(batch, steps)``. Least and largest values stay what they are, so only the mean runs.
    """
    if baseline != "mean":
        return still_fills(features, baseline, draws)
    taken = features.new_zeros(len(features), steps).scatter_add_(1, chunks, features)
    sizes = features.new_zeros(len(features), steps).scatter_add_(1, chunks, torch.ones_like(features))
    total, means = features.sum(1), []
    for gone, size in zip(taken.unbind(1), sizes.unbind(1), strict=True):
        means.append(total / features.shape[1])
        total = total - gone + size * means[-1]
    return torch.stack(means, dim=1)


def descending_places(flat: Tensor) -> Tensor:
    """Place ``(batch, n)`` of every feature in descending order, 0 the largest; without ties it is the reference's."""
    order = flat.argsort(dim=1, descending=True)
    numbers = torch.arange(flat.shape[1], device=flat.device)
    return torch.empty_like(order).scatter_(1, order, numbers.expand_as(order))
