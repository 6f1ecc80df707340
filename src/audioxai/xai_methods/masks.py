"""Every method in masks of a recording, for any model of waveforms: what the model's own features are does not matter.

Idea
----
One recording, one removal and the model make a model of masks, m ↦ F(x(m)) with x(m) = r + S(M ⊙ Z(x − r))
(:mod:`audioxai.domains.mask`): 1 everywhere is the recording, 0 the removal. Explainers that take a model and its
inputs take this one with a mask of ones, from a baseline of zeros. A complete explanation adds up to
F(recording) − F(removal). Where the gradient does not reach the waveform, methods without gradients serve.

:func:`in_masks` makes an explainer of waveforms by any registered method's name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline, Silence
from audioxai.core import Explainer, Targets, activation_of, output_of
from audioxai.domains import Mask, MaskValues, Waveform, in_stft_cells
from audioxai.registry import MethodEntry
from audioxai.utils.errors import UserError
from audioxai.xai_methods.calls import check_inputs, prepared
from audioxai.xai_methods.path_integral import Integral, Integrating
from audioxai.xai_methods.registry import METHODS
from audioxai.xai_methods.scores import ScoreFunction


@dataclass(frozen=True, eq=False)
class MaskedSounds:
    """The sounds between removals and recordings, by masks.

    Attributes
    ----------
    domain : Mask
        Cells of the masks.
    removed : Tensor
        r, ``(batch, 1, time)``.
    spectra : Tensor
        Z(x − r), complex, ``(batch, 1, bins, frames)``.

    Examples
    --------
    >>> domain, recording = Mask.of(8_000, 0.25), torch.ones(1, 1, 2_000)
    >>> sounds = MaskedSounds.of(domain, recording, torch.zeros_like(recording))
    >>> half = sounds(torch.full((1, 1, *domain.shape), 0.5), torch.tensor([0]))
    >>> bool(torch.allclose(half, 0.5 * recording, atol=1e-5))
    True
    """

    domain: Mask
    removed: Tensor
    spectra: Tensor

    @classmethod
    def of(cls, domain: Mask, recordings: Tensor, removed: Tensor) -> "MaskedSounds":
        """Between ``removed`` and ``recordings``, both ``(batch, 1, time)``."""
        return cls(domain, removed, domain.stft.analysis(recordings - removed))

    def __call__(self, masks: Tensor, rows: Tensor) -> Tensor:
        """Sounds ``(pairs, 1, time)`` of masks ``(pairs, 1, bands, frames)`` of the recordings ``rows``."""
        stft = self.domain.stft
        gains = in_stft_cells(masks, self.domain, stft)
        return self.removed[rows] + stft.synthesis(gains * self.spectra[rows])

    def scored(self, score: ScoreFunction) -> ScoreFunction:
        """A score of sounds as one of masks."""
        return lambda masks, rows: score(self(masks, rows), rows)


class MaskedModel(nn.Module):
    """A model of masks ``(batch, 1, bands, frames)`` of one recording, which is removed where the mask is 0.

    Parameters
    ----------
    model : nn.Module
        Takes waveforms; shared, not copied.
    sounds : MaskedSounds
        Of one recording.
    """

    def __init__(self, model: nn.Module, sounds: MaskedSounds) -> None:
        super().__init__()
        self.model = model
        self.sounds = sounds
        self.activation = activation_of(model)
        # Frozen TorchScript has no mode any more.
        self.training = getattr(model, "training", False)

    @property
    def features_per_input(self) -> int:
        """Samples of the sound that a mask becomes, on which the size of a model call depends."""
        return self.sounds.removed[0].numel()

    @property
    def inputs(self) -> Tensor:
        """The mask of the whole recording: ones, ``(1, 1, bands, frames)``."""
        return MaskValues(self.sounds.domain).analysis(self.sounds.removed)

    def forward(self, masks: Tensor) -> Tensor:
        """Masks → logits ``(batch, classes)``."""
        first = torch.zeros(len(masks), dtype=torch.int64, device=masks.device)
        return output_of(self.model, self.sounds(masks, first))


@dataclass(frozen=True)
class InMasks:
    """An explainer of waveforms by an explainer of their masks, clip by clip.

    Attributes
    ----------
    explainer : Explainer
        Gets a :class:`MaskedModel` and its mask of ones; its baseline is a mask of zeros. One that takes no passes does
        not ask the model but reads the sound, so it gets the levels of the cells in dB.
    domain : Mask
        Where the attributions live.
    removal : Baseline
        What is heard where the mask is 0.
    """

    explainer: Explainer
    domain: Mask
    removal: Baseline

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Targets) -> Tensor:
        """Attributions ``(batch, 1, bands, frames)`` of waveforms ``(batch, 1, time)``.

        Raises
        ------
        UserError
            As the explainer does, or if the waveforms are of another length than the domain's.
        """
        check_inputs(inputs, targets)
        if self.passes(inputs) == 0:
            return self.explainer(model, self.domain.analysis(inputs.detach()), cast(Tensor, targets))

        def compute(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
            clips = self._clips(model, inputs)
            return torch.cat([self.explainer(one, one.inputs, targets[[row]]) for row, one in enumerate(clips)])

        return prepared(model, inputs, targets, compute)

    def passes(self, inputs: Tensor) -> int:
        """The explainer's."""
        return len(inputs) * self.explainer.passes(MaskValues(self.domain).analysis(inputs[:1]))

    def _clips(self, model: nn.Module, inputs: Tensor) -> Iterator[MaskedModel]:
        sounds = MaskedSounds.of(self.domain, inputs, self.removal(inputs))
        for row in range(len(inputs)):
            rows = slice(row, row + 1)
            yield MaskedModel(model, MaskedSounds(self.domain, sounds.removed[rows], sounds.spectra[rows]))


@dataclass(frozen=True)
class IntegralInMasks(InMasks):
    """The same of a complete explainer: attributions of a clip add up to F(clip) − F(removal)."""

    explainer: Integrating

    def attribute(
        self, model: nn.Module, inputs: Tensor, targets: Targets, internal_batch_size: int | None = None
    ) -> Integral:
        """Attributions, the change that they should add up to, and the gradients spent."""

        def compute(model: nn.Module, inputs: Tensor, targets: Tensor) -> Integral:
            integrals = [
                self.explainer.attribute(one, one.inputs, targets[[row]], internal_batch_size)
                for row, one in enumerate(self._clips(model, inputs))
            ]
            fields = ("attributions", "change", "gradients")
            return Integral(*(torch.cat([getattr(one, name) for one in integrals]) for name in fields))

        return prepared(model, inputs, targets, compute)


def in_masks(
    method: str | Explainer,
    domain: Mask,
    *,
    gradients: int | None = None,
    seed: int = 0,
    references: Tensor | None = None,
    removal: Baseline | None = None,
    **options: Any,
) -> Explainer:
    """An explainer of waveforms whose attributions are in the cells of a mask.

    Parameters
    ----------
    method : str or Explainer
        Name of a registered method, one of :func:`methods_in_masks`, or an explainer for models of masks.
    domain : Mask
        For clips of the model's rate and the recording's length.
    gradients : int, optional
        Gradients, or passes of a method that asks for scores alone, that the method may take per clip; its own default
        if not given.
    seed : int
        Seed of everything random.
    references : Tensor, optional
        Waveforms ``(clips, 1, time)`` as long as the explained ones, such as the explained clip itself, from whose
        spectrum a method with noise learns it; such a method needs them.
    removal : Baseline, optional
        What is heard where the mask is 0, for methods that have one removal; silence by default.
    **options
        Other parameters of the method.

    Returns
    -------
    Explainer
        Takes a model of waveforms, waveforms ``(batch, 1, time)`` and targets, returns ``(batch, 1, bands, frames)``;
        has the attributes ``domain`` and, of a complete method, ``attribute``.

    Raises
    ------
    UserError
        If the method cannot be used in masks, or needs what was not given.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(2_000, 3))
    >>> explainer = in_masks("silence", Mask.of(8_000, 0.25), gradients=8)
    >>> explainer(model, torch.rand(2, 1, 2_000) - 0.5, torch.tensor([0, 2])).shape
    torch.Size([2, 1, 64, 17])
    """
    explainer = method
    if isinstance(method, str):
        entry = METHODS[method]
        if not can_be_in_masks(entry):
            raise UserError(f"method {method} cannot explain masks; choose among {', '.join(methods_in_masks())}")
        budget = {} if gradients is None else {"gradients": gradients, "passes": gradients}
        context = {"seed": seed, **budget}
        if Mask.name in entry.domains:
            if references is None or removal is not None:
                raise UserError(
                    f"method {method} has removals of its own, silence and noise; give references, such as the clip "
                    "itself, whose spectrum the noise gets, and no removal"
                )
            own: Explainer = entry.bind({"domain": domain, "training_inputs": references, **context}, **options)
            return own
        values = MaskValues(domain)
        explainer = entry.bind({"domain": values, "baseline": Silence(values), **context}, **options)
        if explainer.passes(torch.ones(1, 1, *domain.shape)) == 0:
            explainer = entry.bind({"domain": domain, "baseline": Silence(domain), **context}, **options)
    assert isinstance(explainer, Explainer)
    removed = removal or Silence(Waveform(domain.sample_rate_hz, domain.duration_s))
    if isinstance(explainer, Integrating):
        return IntegralInMasks(explainer, domain, removed)
    return InMasks(explainer, domain, removed)


def can_be_in_masks(entry: MethodEntry) -> bool:
    """Whether a method can explain masks: one made for them, or for any inputs and not learnt from inputs."""
    return Mask.name in entry.domains or not (entry.domains or "training_inputs" in entry.parameters)


def methods_in_masks() -> tuple[str, ...]:
    """Names of the registered methods that :func:`in_masks` takes."""
    return tuple(name for name, entry in METHODS.items() if can_be_in_masks(entry))
