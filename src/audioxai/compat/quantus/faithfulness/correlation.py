"""Faithfulness correlation as in the reference: subsets of a fixed size, drawn one after the other."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from audioxai.compat.quantus.faithfulness.perturbing import Perturbing
from audioxai.compat.quantus.reference import as_sent, reading, still_fills
from audioxai.metrics.batch import Batch, Responses
from audioxai.metrics.engine import Scoring
from audioxai.metrics.similarity import pearson
from audioxai.utils.errors import UserError


@dataclass(frozen=True, kw_only=True)
class FaithfulnessCorrelation(Perturbing):
    """The reference's faithfulness correlation.

    Quirks: a subset of a fixed number of features whatever the size of the input; removed features take the sample's
    own minimum; subsets depend on a sample's place in the batch.

    Attributes
    ----------
    nr_runs, subset_size : int
        Number of subsets per sample, and of features in each.
    abs, normalise, perturb_baseline, softmax, seed
        As in :class:`Perturbing`.
    """

    nr_runs: int = 100
    subset_size: int = 224

    label: ClassVar[str] = "faithfulness correlation as in Quantus"
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    source: ClassVar[str] = "Quantus 0.6.0; Bhatt et al. 2020"

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [−1, 1]."""
        subsets, after = batch.shared(self, lambda: self._removals(batch))
        before = batch.plain(reading(self.softmax))
        yield [before.work, after.work]
        flat = self.features_of(attributions).double()
        sums = torch.stack([flat.gather(1, subset.long()).sum(1) for subset in subsets], dim=1)
        return pearson(sums, before.values - after.values)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """Per sample ``nr_runs`` and one for the unperturbed input."""
        return len(inputs) * (self.nr_runs + 1)

    def _removals(self, batch: Batch) -> tuple[Tensor, Responses]:
        """Subsets ``(runs, batch, size)`` and the responses to their removal."""
        features = batch.inputs.flatten(1)
        subsets, draws = self._draws(*features.shape)
        subsets = subsets.to(features.device)
        fills = still_fills(features, self.perturb_baseline, draws)

        def remove(samples: Tensor, runs: Tensor) -> Tensor:
            index = subsets[runs, samples].long()
            filled = features[samples].scatter(1, index, fills[samples, runs, None].expand_as(index))
            return as_sent(filled).reshape(-1, *batch.inputs.shape[1:])

        return subsets, batch.responses(remove, self.nr_runs, reading(self.softmax))

    def _draws(self, batch: int, features: int) -> tuple[Tensor, np.ndarray]:
        """Subsets and uniform numbers ``(runs, batch)`` in the reference's order of drawing."""
        if self.subset_size >= features:
            raise UserError(f"subset_size is {self.subset_size} but inputs have {features} features; choose fewer")
        random = np.random.RandomState(self.seed)
        subsets = np.empty((self.nr_runs, batch, self.subset_size), dtype=np.int32)
        draws = np.zeros((self.nr_runs, batch))
        for run in range(self.nr_runs):
            for sample in range(batch):
                # What choice(features, subset_size, replace=False) does, without what it checks each time.
                subsets[run, sample] = random.permutation(features)[: self.subset_size]
            if isinstance(self.perturb_baseline, str):
                draws[run] = random.uniform(size=batch)
        return torch.from_numpy(subsets), draws
