"""Occlusion: the drop of the score when a patch is removed."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline
from audioxai.core import Targets, target_scores
from audioxai.utils.errors import UserError
from audioxai.xai_methods.calls import attribute_in_calls
from audioxai.xai_methods.registry import METHODS


@METHODS.register(
    "occlusion",
    label="Occlusion",
    family="perturbation",
    role="peer",
    source="Zeiler & Fergus 2014",
    gradients=False,
)
@dataclass(frozen=True)
class Occlusion:
    """Drop of the target's logit when a patch is set to the baseline (Zeiler & Fergus 2014), through Captum.

    Attributes
    ----------
    baseline : Baseline
        What a removed patch is filled with.
    patches_per_side : int
        The input is divided into this many patches along every axis, so that the cost and the share of the input that
        one patch takes are the same at every resolution. Patches do not overlap; the last ones may be smaller.
    """

    baseline: Baseline
    patches_per_side: int = 8

    def __post_init__(self) -> None:
        if self.patches_per_side < 2:
            raise UserError(f"patches_per_side is {self.patches_per_side}; occlusion needs at least 2")

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Targets) -> Tensor:
        """Attributions shaped like ``inputs``, in logits, constant within a patch."""
        return attribute_in_calls(model, inputs, targets, self._attribute)

    def passes(self, inputs: Tensor) -> int:
        """Per sample, one for each patch and one for the whole input."""
        # Captum brings pyplot along, which takes longer than most explanations.

        patches = 1
        for size, side in zip(inputs.shape[2:], self._window(inputs), strict=True):
            patches *= -(-size // side)
        return len(inputs) * (patches + 1)

    def _window(self, inputs: Tensor) -> tuple[int, ...]:
        return tuple(-(-size // self.patches_per_side) for size in inputs.shape[2:])

    def _attribute(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        # Captum brings pyplot along, which takes longer than most explanations.
        from captum.attr import Occlusion as CaptumOcclusion

        window = (inputs.shape[1], *self._window(inputs))

        def scores(perturbed: Tensor) -> Tensor:
            return target_scores(model, perturbed, targets)

        # Not in inference mode, whose tensors a model might keep.
        with torch.no_grad():
            attributions: Tensor = CaptumOcclusion(scores).attribute(
                inputs.detach(),
                sliding_window_shapes=window,
                strides=window,
                baselines=self.baseline(inputs.detach()),
                perturbations_per_eval=1,
            )
        # Captum returns single precision whatever the inputs' is.
        real = attributions.real if attributions.is_complex() else attributions
        return real.to(inputs.real.dtype if inputs.is_complex() else inputs.dtype, copy=True)
