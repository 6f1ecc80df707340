"""The front end as a layer, and the two halves every classifier of ours is made of."""

from typing import cast

import torch
from torch import Tensor, nn

from audioxai.domains import Domain


class FrontEnd(nn.Module):
    """First layer: the differentiable analysis of a domain."""

    def __init__(self, domain: Domain) -> None:
        super().__init__()
        self.domain = domain

    def forward(self, recorded: Tensor) -> Tensor:
        """Recordings ``(batch, 1, …)`` → ``(batch, 1, *domain.shape)`` in the domain's unit."""
        return self.domain.analysis(recorded)


class Standardise(nn.Module):
    """Map a range of values linearly onto [−1, 1], so that one architecture suits decibels and brightness alike."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.centre = (low + high) / 2.0
        self.half_range = (high - low) / 2.0

    def forward(self, inputs: Tensor) -> Tensor:
        """``(inputs − centre) / half_range``."""
        return (inputs - self.centre) / self.half_range


class Classifier(nn.Module):
    """A front end and a body; the body alone classifies what lives in the front end's domain.

    ``classifier(recorded)`` and ``classifier.body(classifier.front_end(recorded))`` are the same logits, so that one
    model is explained on what was recorded or on what its front end sees.
    """

    def __init__(self, domain: Domain, body: nn.Module) -> None:
        super().__init__()
        self.front_end = FrontEnd(domain)
        self.body = body

    @property
    def domain(self) -> Domain:
        """Domain in which the body sees its inputs."""
        return self.front_end.domain

    def forward(self, recorded: Tensor) -> Tensor:
        """Recordings ``(batch, 1, …)`` → logits ``(batch, classes)``."""
        return cast(Tensor, self.body(self.front_end(recorded)))


def prepared_for(model: nn.Module, device: torch.device) -> nn.Module:
    """Return the model on its device; on the CPU channels last, which oneDNN convolves fastest.

    On CUDA channels stay first: in single precision without TF32 that is what cuDNN's fast convolutions take.
    """
    model.to(device)
    if device.type != "cpu":
        return model
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
