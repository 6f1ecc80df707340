"""Architectures, their training, their checkpoints, and models that were made elsewhere."""

import torch

from audioxai.domains import Domain
from audioxai.models.front_end import Classifier, LogitsOfProbabilities
from audioxai.models.registry import ARCHITECTURES
from audioxai.utils.errors import UserError

__all__ = ["ARCHITECTURES", "Classifier", "LogitsOfProbabilities", "build"]


def build(name: str, domain: Domain, class_count: int, seed: int) -> Classifier:
    """Classifier of a registered architecture with weights drawn from ``seed``, in evaluation mode.

    The global random state is untouched.

    Parameters
    ----------
    name : str
        Registered architecture.
    domain : Domain
        Front end of the classifier; its shape is what the architecture takes.
    class_count : int
        Number of logits.
    seed : int
        Seed of the initial weights.

    Raises
    ------
    UserError
        If the architecture is unknown or does not take inputs of the domain's shape.
    """
    entry = ARCHITECTURES[name]
    if len(domain.shape) != entry.dimensions or min(domain.shape) < entry.smallest:
        raise UserError(
            f"{name} takes {entry.dimensions}-dimensional inputs of at least {entry.smallest} features "
            f"a side but the {domain.name} domain gives {domain.shape}; choose another architecture or resolution"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Classifier(domain, entry.make(domain, class_count)).eval()
