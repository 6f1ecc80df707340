"""Architectures, their training and their checkpoints."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from audioxai.domains import Domain
from audioxai.models.alexnet import alexnet
from audioxai.models.audionet import audionet
from audioxai.models.front_end import Classifier
from audioxai.models.small_cnn import small_cnn
from audioxai.utils.errors import UserError


@dataclass(frozen=True)
class Architecture:
    """How to build a body, and which inputs it takes.

    Attributes
    ----------
    build : callable
        ``build(domain, class_count)`` → the body, randomly initialised.
    dimensions : int
        1 for waveforms, 2 for spectrograms and images.
    smallest : int
        Least number of cells along each dimension.
    """

    build: Callable[[Domain, int], nn.Module]
    dimensions: int
    smallest: int


ARCHITECTURES: dict[str, Architecture] = {
    "small_cnn": Architecture(small_cnn, dimensions=2, smallest=16),
    "alexnet": Architecture(alexnet, dimensions=2, smallest=28),
    "audionet": Architecture(audionet, dimensions=1, smallest=64),
}


def build(name: str, domain: Domain, class_count: int, seed: int) -> Classifier:
    """Classifier of a registered architecture with weights drawn from ``seed``; global random state is untouched.

    Raises
    ------
    UserError
        If the architecture is unknown or does not take inputs of the domain's shape.
    """
    if name not in ARCHITECTURES:
        raise UserError(f"architecture is {name!r}; choose one of {', '.join(ARCHITECTURES)}")
    architecture = ARCHITECTURES[name]
    if len(domain.shape) != architecture.dimensions or min(domain.shape) < architecture.smallest:
        raise UserError(
            f"{name} takes {architecture.dimensions}-dimensional inputs of at least {architecture.smallest} cells "
            f"a side but the {domain.name} domain gives {domain.shape}; choose another architecture or resolution"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Classifier(domain, architecture.build(domain, class_count))
