"""What is explained: test samples as they are, and clips whose relevant features are known."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from audioxai.datasets import Dataset
from audioxai.datasets.ground_truth import CueDesign, mix, plant, sequence
from audioxai.domains import Domain
from audioxai.utils.errors import UserError
from audioxai.utils.seeding import generator

MIXING_SNR_DB = 0.0


@dataclass(frozen=True, eq=False)
class Material:
    """Samples to be explained.

    Attributes
    ----------
    samples : Dataset
        With their labels.
    targets : Tensor or None
        Classes ``(samples,)`` to be explained; None for those that the model predicts.
    mask : callable or None
        Domain → bool ``(samples, 1, *domain.shape)``, True where relevance belongs; None where that is not known.
    """

    samples: Dataset
    targets: Tensor | None = None
    mask: Callable[[Domain], Tensor] | None = None


def chosen(test: Dataset, count: int, sample_seed: int) -> Tensor:
    """Positions ``(count,)`` of the test samples that the models of one training seed explain.

    Consecutive stretches of one seeded shuffle, so that different training seeds meet different samples as long as the
    test part suffices.

    Raises
    ------
    UserError
        If the test part holds fewer samples.
    """
    require_enough(count, len(test), test.name)
    order = torch.randperm(len(test), generator=generator("explained samples", test.name, test.split_name))
    return order[(sample_seed * count + torch.arange(count)) % len(test)]


def require_enough(count: int, there: int, name: str) -> None:
    """Refuse more samples than the test part holds.

    Raises
    ------
    UserError
        Naming both numbers.
    """
    if count > there:
        raise UserError(
            f"{count} samples per model were asked for but the test part of {name} holds {there}; ask for fewer"
        )


def _unchanged(samples: Dataset, cues: CueDesign | None) -> Material:  # noqa: ARG001 (as the others)
    return Material(samples)


def _labelled(samples: Dataset, cues: CueDesign | None) -> Material:  # noqa: ARG001 (as the others)
    return Material(samples, samples.labels)


def _with_cues(samples: Dataset, cues: CueDesign | None) -> Material:
    assert cues is not None
    cued = plant(samples, cues)
    return Material(cued.dataset, cued.dataset.labels, cued.mask)


def _mixed(samples: Dataset, cues: CueDesign | None) -> Material:  # noqa: ARG001 (as the others)
    mixtures = mix(samples, MIXING_SNR_DB)
    return Material(mixtures.dataset, mixtures.dataset.labels, mixtures.mask)


def _in_sequence(samples: Dataset, cues: CueDesign | None) -> Material:  # noqa: ARG001 (as the others)
    sequences = sequence(samples, MIXING_SNR_DB)
    return Material(sequences.dataset, sequences.dataset.labels, sequences.mask)


# Materials of which it is not known where relevance belongs; of labelled clips the true class is explained.
UNMASKED = ("clips", "labelled")
# Each takes the chosen test samples before anything is done to them, and the cues of the model's data.
MATERIALS: dict[str, Callable[[Dataset, CueDesign | None], Material]] = {
    "clips": _unchanged,
    "labelled": _labelled,
    "cues": _with_cues,
    "mixtures": _mixed,
    "sequences": _in_sequence,
}
