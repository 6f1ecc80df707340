"""One model explained in any domain that it can be seen in."""

from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from audioxai.core import Explainer
from audioxai.domains import Domain, Invertible
from audioxai.utils.errors import UserError


@runtime_checkable
class TwoHalves(Protocol):
    """A model of recordings that is a front end and a body behind it."""

    front_end: nn.Module
    body: nn.Module

    @property
    def domain(self) -> Domain:
        """Domain in which the body sees its inputs."""
        ...


class Resynthesised(nn.Module):
    """A model of waveforms that takes them in another domain, through its synthesis."""

    def __init__(self, domain: Invertible, model: nn.Module) -> None:
        super().__init__()
        self.domain = domain
        self.model = model
        self.training = model.training

    def forward(self, values: Tensor) -> Tensor:
        """``(batch, 1, *domain.shape)`` → logits."""
        logits: Tensor = self.model(self.domain.synthesis(values))
        return logits


def seen_in(domain: Domain, model: nn.Module, waveforms: Tensor) -> tuple[nn.Module, Tensor]:
    """The model as it is seen in a domain, and what it is given there.

    Parameters
    ----------
    domain : Domain
        The model's own, or one with a way back to waveforms.
    model : nn.Module
        Takes waveforms; shared, not copied.
    waveforms : Tensor
        ``(batch, 1, time)`` in [−1, 1].

    Returns
    -------
    tuple
        A model and inputs ``(batch, 1, *domain.shape)`` that it turns into the logits of ``model(waveforms)``.

    Raises
    ------
    UserError
        If the domain's sample rate or length is not the model's, or there is no way back from the domain.
    """
    own = model.domain if isinstance(model, TwoHalves) else None
    _require_the_same_recordings(domain, own)
    if isinstance(model, TwoHalves) and own == domain:
        return model.body, domain.analysis(waveforms)
    if isinstance(domain, Invertible):
        return Resynthesised(domain, model), domain.analysis(waveforms)
    raise UserError(
        f"the {domain.name} domain has no way back to waveforms and is not what the model itself sees "
        f"({'not known' if own is None else own}); explain the model in its own domain, waveform, stft or erb_bands"
    )


def explain_in(domain: Domain, model: nn.Module, explainer: Explainer, waveforms: Tensor, targets: Tensor) -> Tensor:
    """Attributions ``(batch, 1, *domain.shape)`` of a model of waveforms; parameters and errors as :func:`seen_in`.

    Whatever the domain, the model's logits are the same and so is the change that a complete explainer shares out.
    """
    view, inputs = seen_in(domain, model, waveforms)
    return explainer(view, inputs, targets)


def _require_the_same_recordings(domain: Domain, own: Domain | None) -> None:
    for what, unit in (("sample_rate_hz", " Hz"), ("duration_s", " s")):
        wanted, given = getattr(own, what, None), getattr(domain, what, None)
        if wanted is not None and given is not None and wanted != given:
            raise UserError(
                f"the model takes waveforms with {what} {wanted:g}{unit} but the {domain.name} domain was made for "
                f"{given:g}{unit}; make the domain for the model's recordings"
            )
