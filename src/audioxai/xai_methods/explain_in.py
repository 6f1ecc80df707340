"""One model explained in any domain in which it can be seen."""

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from audioxai.core import Explainer, activation_of
from audioxai.domains import Domain, Invertible
from audioxai.utils.errors import UserError


@runtime_checkable
class WithFrontEnd(Protocol):
    """A model of waveforms that consists of a front end and a body."""

    front_end: nn.Module
    body: nn.Module

    @property
    def domain(self) -> Domain:
        """Domain of the body's inputs."""
        ...


class Synthesis(nn.Module):
    """A domain's synthesis as a layer.

    Attributes
    ----------
    relevance : str
        How it hands relevance on in LRP: as every linear layer does.
    """

    relevance: ClassVar[str] = "linear"

    def __init__(self, domain: Invertible) -> None:
        super().__init__()
        self.domain = domain

    def forward(self, values: Tensor) -> Tensor:
        """``(batch, 1, *domain.shape)`` → waveforms ``(batch, 1, time)``."""
        return self.domain.synthesis(values)


class Resynthesised(nn.Module):
    """A model of waveforms that takes them in another domain, through the domain's synthesis."""

    def __init__(self, domain: Invertible, model: nn.Module) -> None:
        super().__init__()
        self.synthesis = Synthesis(domain)
        self.model = model
        self.activation = activation_of(model)
        self.training = model.training

    def forward(self, values: Tensor) -> Tensor:
        """``(batch, 1, *domain.shape)`` → logits ``(batch, classes)``."""
        logits: Tensor = self.model(self.synthesis(values))
        return logits


def seen_in(domain: Domain, model: nn.Module, waveforms: Tensor) -> tuple[nn.Module, Tensor]:
    """Model and inputs of a domain, whose logits are those of ``model(waveforms)``.

    Parameters
    ----------
    domain : Domain
        The domain of the model's body, or one that can be inverted: waveform, STFT, ERB bands.
    model : nn.Module
        Takes waveforms; shared, not copied.
    waveforms : Tensor
        ``(batch, 1, time)`` in [−1, 1].

    Returns
    -------
    tuple of (nn.Module, Tensor)
        A model and its inputs ``(batch, 1, *domain.shape)``.

    Raises
    ------
    UserError
        If the domain's sample rate or length is not the model's, or the domain cannot be inverted.
    """
    own = model.domain if isinstance(model, WithFrontEnd) else None
    _require_same_format(domain, own)
    if isinstance(model, WithFrontEnd) and own == domain:
        return model.body, domain.analysis(waveforms)
    if isinstance(domain, Invertible):
        return Resynthesised(domain, model), domain.analysis(waveforms)
    raise UserError(
        f"the {domain.name} domain cannot be inverted to waveforms and is not the domain of the model's body "
        f"({'not known' if own is None else own}); explain the model in its own domain, waveform, stft or erb_bands"
    )


def explain_in(domain: Domain, model: nn.Module, explainer: Explainer, waveforms: Tensor, targets: Tensor) -> Tensor:
    """Attributions ``(batch, 1, *domain.shape)`` of a model of waveforms; parameters and errors as :func:`seen_in`.

    In every domain the logits are the same, and so is the change that a complete explainer attributes.

    Examples
    --------
    >>> import torch
    >>> from audioxai.domains import Stft
    >>> from audioxai.xai_methods.gradients import InputXGradient
    >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(800, 2))
    >>> domain, waveforms = Stft(8_000, 0.1), torch.ones(1, 1, 800)
    >>> explain_in(domain, model, InputXGradient(), waveforms, torch.tensor([1])).shape[1:] == (1, *domain.shape)
    True
    """
    view, inputs = seen_in(domain, model, waveforms)
    return explainer(view, inputs, targets)


@dataclass(frozen=True)
class OfWaveforms:
    """An explainer of waveforms by one of another domain, such as of a body's spectrograms.

    Attributes
    ----------
    explainer : Explainer
        Explains the model seen in the domain.
    inputs : Domain
        The domain of what it takes; see :func:`seen_in`.
    """

    explainer: Explainer
    inputs: Domain

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Attributions ``(batch, 1, *domain.shape)`` of waveforms ``(batch, 1, time)``."""
        return explain_in(self.inputs, model, self.explainer, inputs, targets)

    def passes(self, inputs: Tensor) -> int:
        """The explainer's."""
        return self.explainer.passes(torch.empty(len(inputs), 1, *self.inputs.shape, device="meta"))

    @property
    def domain(self) -> Domain:
        """Where the attributions live."""
        own: Domain | None = getattr(self.explainer, "domain", None)
        return self.inputs if own is None else own


def _require_same_format(domain: Domain, own: Domain | None) -> None:
    for what, unit in (("sample_rate_hz", " Hz"), ("duration_s", " s")):
        expected, given = getattr(own, what, None), getattr(domain, what, None)
        if expected is not None and given is not None and expected != given:
            raise UserError(
                f"the model takes waveforms with {what} {expected:g}{unit} but the {domain.name} domain was made for "
                f"{given:g}{unit}; make the domain for the model's recordings"
            )
