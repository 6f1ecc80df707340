"""How the target's logit drops when cells are removed, and whether it does at all."""

import torch
from torch import Tensor

from audioxai.metrics.batch import Responses, rounding_of
from audioxai.metrics.similarity import pearson


def correlation_with_drops(sums: Tensor, before: Responses, after: Responses) -> Tensor:
    """Correlation ``(batch,)`` of summed relevance ``(batch, runs)`` with the drops from ``before`` to ``after``.

    NaN where drops differ by no more than logits are rounded: calls of different sizes round differently, and that has
    nothing to do with the removals.
    """
    drops = before.values - after.values
    rounding = rounding_of(before.values, after.values).amax(1)
    return torch.where(drops.amax(1) - drops.amin(1) > rounding, pearson(sums, drops), torch.nan)
