"""One model explained in any domain in which it can be seen."""

from typing import Protocol, runtime_checkable

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


class Resynthesised(nn.Module):
    """A model of waveforms that takes them in another domain, through the domain's synthesis."""

    def __init__(self, domain: Invertible, model: nn.Module) -> None:
        super().__init__()
        self.domain = domain
        self.model = model
        self.activation = activation_of(model)
        self.training = model.training

    def forward(self, values: Tensor) -> Tensor:
        """``(batch, 1, *domain.shape)`` → logits ``(batch, classes)``."""
        logits: Tensor = self.model(self.domain.synthesis(values))
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


def _require_same_format(domain: Domain, own: Domain | None) -> None:
    for what, unit in (("sample_rate_hz", " Hz"), ("duration_s", " s")):
        expected, given = getattr(own, what, None), getattr(domain, what, None)
        if expected is not None and given is not None and expected != given:
            raise UserError(
                f"the model takes waveforms with {what} {expected:g}{unit} but the {domain.name} domain was made for "
                f"{given:g}{unit}; make the domain for the model's recordings"
            )
