"""One wrapper that makes any classifier of sounds a module from waveforms ``(batch, 1, time)`` to logits."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from audioxai.core import Activation
from audioxai.models.front_end import logits_of_probabilities
from audioxai.models.layouts import MONO, Key, Layout, entry

Pool = Literal["mean", "max"]
# Root mean square of the noise that keeps models away from digital silence, re full scale: −120 dB.
DITHER = 1e-6


@dataclass(frozen=True)
class Adaptation:
    """What lies between a model and the logits of waveforms.

    Attributes
    ----------
    layout : Layout
        How it takes waveforms.
    key : str, int or None
        Which entry of its output holds the scores.
    frame_axis : int or None
        Axis of the scores ``(batch, …)`` that is time; None where there is one score per class.
    pool : {"mean", "max"}
        What becomes of the logits of all frames.
    probabilities : {"softmax", "sigmoid"} or None
        Of what its scores are probabilities; None where they are logits.
    one_by_one : bool
        Whether every clip goes alone.
    dither : bool
        Whether noise of −120 dB is added, the same to every clip.
    """

    layout: Layout = MONO
    key: Key = None
    frame_axis: int | None = None
    pool: Pool = "mean"
    probabilities: Activation | None = None
    one_by_one: bool = False
    dither: bool = False


class Adapted(nn.Module):
    """A model as a module from waveforms ``(batch, 1, time)`` to logits ``(batch, classes)``.

    Parameters
    ----------
    inner : nn.Module
        The model as it was given.
    adaptation : Adaptation
        What is done around it.
    activation : {"softmax", "sigmoid"}
        What makes its logits probabilities.
    given : dict, optional
        Further arguments of its ``forward``, such as a sample rate.
    """

    def __init__(
        self, inner: nn.Module, adaptation: Adaptation, activation: Activation, given: dict[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.inner = inner
        self.adaptation = adaptation
        self.activation = activation
        self.given = given or {}
        # As it is: TorchScript that was frozen has no mode.
        self.training = bool(getattr(inner, "training", False))

    def forward(self, waveforms: Tensor) -> Tensor:
        """Logits."""
        return self.pooled(self.scores(waveforms))

    def scores(self, waveforms: Tensor) -> Tensor:
        """Scores as the model returns them, ``(batch, …)``; clips go one by one where that makes a difference."""
        alone = self.adaptation.one_by_one or not self.adaptation.layout.batched
        if not alone or len(waveforms) == 1:
            return self._of_call(waveforms)
        return torch.cat([self._of_call(one) for one in singles(waveforms)])

    def output(self, waveforms: Tensor) -> Any:
        """What the model itself returns."""
        own = next((tensor for tensor in self.inner.parameters() if tensor.is_floating_point()), waveforms)
        if self.adaptation.dither:
            waveforms = waveforms + DITHER * _noise(waveforms)
        reset = getattr(self.inner, "reset_states", None)
        if callable(reset):
            reset()
        return self.inner(self.adaptation.layout.arranged(waveforms.to(own.device, own.dtype)), **self.given)

    def pooled(self, scores: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` of scores ``(batch, …)``."""
        kind, axis = self.adaptation.probabilities, self.adaptation.frame_axis
        if axis is None:
            flat = scores.reshape(len(scores), -1)
            return flat if kind is None else logits_of_probabilities(flat, kind)
        frames = scores[..., None] if scores.ndim == 2 else scores.movedim(axis, 1)
        logits = frames if kind is None else logits_of_probabilities(frames, kind)
        return logits.mean(1) if self.adaptation.pool == "mean" else logits.amax(1)

    def _of_call(self, waveforms: Tensor) -> Tensor:
        found = entry(self.output(waveforms), self.adaptation.key).to(waveforms.device, waveforms.dtype)
        alone = len(waveforms) == 1 and found.shape[:1] != (1,)
        return found[None] if alone or found.ndim == 0 else found


def singles(waveforms: Tensor) -> list[Tensor]:
    """Each clip of ``(batch, 1, time)`` as a batch of its own."""
    return [waveforms[row : row + 1] for row in range(len(waveforms))]


def _noise(waveforms: Tensor) -> Tensor:
    """Standard normal numbers ``(time,)``, always the same."""
    random = torch.Generator().manual_seed(0)
    return torch.randn(waveforms.shape[-1], generator=random).to(waveforms)
