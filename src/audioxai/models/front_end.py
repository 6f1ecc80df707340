"""The front end as a layer, and the two halves every classifier of ours is made of."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from audioxai.core import Activation, activation_of, logits_in
from audioxai.domains import Domain
from audioxai.utils.errors import UserError


class FrontEnd(nn.Module):
    """First layer: the differentiable analysis of a domain."""

    def __init__(self, domain: Domain) -> None:
        super().__init__()
        self.domain = domain

    def forward(self, recorded: Tensor) -> Tensor:
        """Recordings ``(batch, 1, …)`` → ``(batch, 1, *domain.shape)`` in the domain's unit."""
        return self.domain.analysis(recorded)


class Standardise(nn.Module):
    """Map a range of values linearly onto [−1, 1], so that one architecture suits decibels and brightness alike.

    Attributes
    ----------
    relevance : str
        How it hands relevance on in LRP: to the feature at the same place.
    """

    relevance: ClassVar[str] = "one to one"

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
        self.activation = activation_of(body)

    @property
    def domain(self) -> Domain:
        """Domain in which the body sees its inputs."""
        return self.front_end.domain

    def forward(self, recorded: Tensor) -> Tensor:
        """Recordings ``(batch, 1, …)`` → logits ``(batch, classes)``."""
        return logits_in(self.body(self.front_end(recorded)))


class Labels(nn.Module):
    """A model whose logits are of labels that do not exclude each other, one sigmoid each.

    Parameters
    ----------
    model : nn.Module
        Returns logits ``(batch, labels)``.
    """

    activation: Activation = "sigmoid"

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.training = model.training

    def forward(self, inputs: Tensor) -> Tensor:
        """``(batch, 1, …)`` → logits ``(batch, labels)``."""
        return logits_in(self.model(inputs))


class LogitsOfProbabilities(nn.Module):
    """A model that returns probabilities as one that returns logits.

    Parameters
    ----------
    model : nn.Module
        Returns probabilities ``(batch, classes)``.
    kind : {"softmax", "sigmoid"}
        How it makes them: see :func:`logits_of_probabilities`.

    Examples
    --------
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Softmax(1))
    >>> inputs = torch.ones(1, 1, 4)
    >>> torch.allclose(LogitsOfProbabilities(model, "softmax")(inputs).softmax(1), model(inputs))
    True
    """

    def __init__(self, model: nn.Module, kind: Activation) -> None:
        super().__init__()
        if kind not in ("softmax", "sigmoid"):
            raise UserError(f"probabilities are of a {kind!r}; choose softmax or sigmoid")
        self.model, self.activation = model, kind
        self.train(model.training)

    def forward(self, inputs: Tensor) -> Tensor:
        """``(batch, 1, …)`` → logits ``(batch, classes)``."""
        return logits_of_probabilities(logits_in(self.model(inputs)), self.activation)


def logits_of_probabilities(probabilities: Tensor, kind: Activation) -> Tensor:
    """Logits of probabilities, same shape, finite where these round to 0 or 1.

    Log p for a softmax over the classes, log p/(1 − p) for one sigmoid per class.

    Examples
    --------
    >>> logits_of_probabilities(torch.tensor([[0.5, 1.0]]), "sigmoid").isfinite().all()
    tensor(True)
    """
    smallest = torch.finfo(probabilities.dtype).tiny
    if kind == "softmax":
        return probabilities.clamp_min(smallest).log()
    return probabilities.clamp_min(smallest).log() - torch.log1p(
        -probabilities.clamp_max(1.0 - torch.finfo(probabilities.dtype).eps / 2)
    )


def prepared_for(model: nn.Module, device: torch.device) -> nn.Module:
    """Return the model on its device; on the CPU channels last, which oneDNN convolves fastest.

    On CUDA channels stay first: in single precision without TF32 that is what cuDNN's fast convolutions take.
    """
    model.to(device)
    if device.type != "cpu":
        return model
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
