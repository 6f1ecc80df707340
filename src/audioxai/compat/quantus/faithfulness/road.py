"""ROAD as in the reference: a sparse solve an image, noise from NumPy's generator."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve
from torch import Tensor, nn

from audioxai.compat.quantus.faithfulness.perturbing import Preparing
from audioxai.compat.quantus.reference import as_sent
from audioxai.metrics.batch import Batch
from audioxai.metrics.engine import Scoring
from audioxai.metrics.faithfulness.removal import CurveMetric, Tracing
from audioxai.metrics.faithfulness.road import is_predicted
from audioxai.utils.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Road(Preparing, CurveMetric):
    """The reference's ROAD.

    Quirks: only its first batch counts, so ours is that batch; noise is absolute, in the input's unit; images of one
    channel, nothing else. It returns the mean over samples of every percentage, which is that of :meth:`curve`; the
    score is a sample's mean over the percentages.

    Attributes
    ----------
    percentages : tuple of int
        Of the pixels that are imputed, the most relevant ones.
    noise : float
        Its standard deviation.
    seed : int
        Of NumPy's generator.
    abs, normalise
        As in :class:`Preparing`.
    """

    percentages: tuple[int, ...] = tuple(range(1, 100, 2))
    noise: float = 0.01
    seed: int = 0

    label: ClassVar[str] = "road as in Quantus"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    source: ClassVar[str] = "Quantus 0.6.0; Rong et al. 2022"

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [0, 1]."""
        curve = yield from self.tracing(batch, attributions)
        return curve.mean(1)

    def tracing(self, batch: Batch, attributions: Tensor) -> Tracing:
        """Whether the target is predicted, 1 or 0, ``(batch, percentages)``."""
        counts = self._counts(batch.inputs)
        order = self.features_of(attributions).argsort(dim=1, descending=True).cpu().numpy()
        # The reference draws sample by sample, percentage by percentage: the order in which the engine asks.
        random = np.random.RandomState(self.seed)

        def impute(samples: Tensor, runs: Tensor) -> Tensor:
            images = [
                _noisy_image(batch.inputs[sample], order[sample, : counts[run]], self.noise, random.randn)
                for sample, run in zip(samples.tolist(), runs.tolist(), strict=True)
            ]
            return as_sent(torch.stack(images))

        after = batch.responses(impute, len(counts), is_predicted)
        yield [after.work]
        return after.values.double()

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """One per percentage and sample."""
        return len(inputs) * len(self.percentages)

    def _counts(self, inputs: Tensor) -> list[int]:
        if inputs.ndim != 4 or inputs.shape[1] != 1:
            raise UserError(
                f"the reference's ROAD takes images of one channel, not inputs of {tuple(inputs.shape[1:])}"
            )
        counts = [int(inputs[0].numel() * percentage / 100) for percentage in self.percentages]
        if min(counts) < 1:
            raise UserError(f"{min(self.percentages)} % of {inputs[0].numel()} pixels are none; choose more")
        return counts


def _noisy_image(image: Tensor, absent: np.ndarray, noise: float, draw: Callable[[int], np.ndarray]) -> Tensor:
    """Image ``(1, rows, columns)`` whose absent pixels are imputed by a sparse solve, noise in their order."""
    values = image.flatten().double().cpu().numpy().copy()
    values[absent] = _solved(values.reshape(image.shape[1:]), absent) + noise * draw(len(absent))
    return torch.from_numpy(values).to(image).reshape(image.shape)


def _solved(image: np.ndarray, absent: np.ndarray) -> np.ndarray:
    """Absent pixels, each the mean of its neighbours, direct ones weighing 1/6 and diagonal ones 1/12."""
    unknown = np.full(image.size, -1)
    unknown[absent] = np.arange(len(absent))
    rows, columns = np.unravel_index(absent, image.shape)
    weights, known, entries = np.zeros(len(absent)), np.zeros(len(absent)), []
    for down, right in [(d, r) for d in (-1, 0, 1) for r in (-1, 0, 1) if (d, r) != (0, 0)]:
        row, column = rows + down, columns + right
        there = np.flatnonzero((row >= 0) & (column >= 0) & (row < image.shape[0]) & (column < image.shape[1]))
        neighbour = np.ravel_multi_index((row[there], column[there]), image.shape)
        weight = 1 / 12 if down and right else 1 / 6
        weights[there] += weight
        to_solve = unknown[neighbour] >= 0
        known[there[~to_solve]] += weight * image.flat[neighbour[~to_solve]]
        entries.append((there[to_solve], unknown[neighbour[to_solve]], np.full(to_solve.sum(), -weight)))
    diagonal = np.arange(len(absent))
    first, second, entry = (np.concatenate(part) for part in zip(*entries, (diagonal, diagonal, weights), strict=True))
    matrix = coo_matrix((entry, (first, second)), shape=(len(absent), len(absent))).tocsc()
    return cast(np.ndarray, spsolve(matrix, known))
