"""Guided Grad-CAM."""

import warnings
from dataclasses import dataclass

from torch import Tensor, nn

from audioxai.core import Targets, output_of
from audioxai.fused import original_passes
from audioxai.utils.errors import UserError
from audioxai.xai_methods.calls import LogitsOf, attribute_in_calls, graph_behind, require_real, require_relu_modules
from audioxai.xai_methods.registry import METHODS


@METHODS.register(
    "guided_grad_cam", label="Guided Grad-CAM", family="class activation maps", source="Selvaraju et al. 2017"
)
@dataclass(frozen=True)
class GuidedGradCam:
    """Guided backpropagation times the upsampled Grad-CAM map (Selvaraju et al. 2017), through Captum.

    The map is taken at the last convolution whose output has more than one position along every axis, so that it
    localises at every resolution.
    """

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Targets) -> Tensor:
        """Attributions shaped like ``inputs``.

        Raises
        ------
        UserError
            If the model has no such convolution or a ReLU that is not a module.
        """
        with original_passes(model):
            return attribute_in_calls(model, inputs, targets, _attribute)

    def passes(self, inputs: Tensor) -> int:
        """Two per sample, one for each factor."""
        return 2 * len(inputs)


def last_convolution(model: nn.Module, inputs: Tensor) -> nn.Module:
    """Last convolution, in order of execution, whose output has more than one position along every axis.

    Convolutions that the logits do not depend on are passed over.

    Raises
    ------
    UserError
        If the model has no convolution or every output has a single position along an axis.
    """
    shapes: dict[nn.Module, tuple[int, ...]] = {}
    nodes: dict[nn.Module, object] = {}
    channels: set[int] = set()
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[inputs.ndim - 3]
    convolutions = [module for module in model.modules() if isinstance(module, kind)]
    if not convolutions:
        raise UserError(
            f"guided Grad-CAM needs a convolution along the {inputs.ndim - 2} axes of the inputs but the model has no "
            f"{kind.__name__}; use another method"
        )

    def record(module: nn.Module, _: object, output: Tensor) -> None:
        # A convolution of one channel along as many positions as there were channels is channel attention.
        single = module.in_channels == module.out_channels == 1
        if not (single and output.shape[2:].numel() in channels):
            shapes[module], nodes[module] = tuple(output.shape[2:]), output.grad_fn
        channels.add(output.shape[1])

    hooks = [module.register_forward_hook(record) for module in convolutions]
    try:
        used = graph_behind(output_of(model, inputs[:1]))
    finally:
        for hook in hooks:
            hook.remove()
    wide = [module for module, shape in shapes.items() if min(shape) > 1 and (not used or nodes[module] in used)]
    if not wide:
        raise UserError(
            f"guided Grad-CAM needs a feature map but every convolution has shrunk inputs of {tuple(inputs.shape[2:])} "
            "to a single row or column; use a higher resolution or fewer pooling layers"
        )
    return wide[-1]


def _attribute(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    require_real("guided Grad-CAM", inputs)
    if require_relu_modules("guided Grad-CAM", model, inputs, targets) == 0:
        raise UserError("guided Grad-CAM needs a model with nn.ReLU modules but this one uses none; use another method")
    layer = last_convolution(model, inputs)
    with warnings.catch_warnings():
        # Captum brings pyplot along, which takes longer than most explanations.
        from captum.attr import GuidedGradCam as CaptumGuidedGradCam

        # Captum announces that it hooks ReLU modules; `unchanged` restores them.
        warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU activations")
        attributions: Tensor = CaptumGuidedGradCam(LogitsOf(model), layer).attribute(
            inputs, target=targets, interpolate_mode="linear" if inputs.ndim == 3 else "bilinear"
        )
    return attributions
