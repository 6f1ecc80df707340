"""Guided Grad-CAM."""

import warnings
from dataclasses import dataclass

from captum.attr import GuidedGradCam as CaptumGuidedGradCam
from torch import Tensor, nn

from audioxai.utils.errors import UserError
from audioxai.xai_methods.calls import explained
from audioxai.xai_methods.rectifiers import require_rectifier_modules


@dataclass(frozen=True)
class GuidedGradCam:
    """Guided backpropagation times the upsampled Grad-CAM map (Selvaraju et al. 2017), through Captum.

    The map is taken at the last convolution whose output has more than one cell in every direction, so that it says
    where and not only how much, at every resolution.
    """

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Attributions shaped like ``inputs``.

        Raises
        ------
        UserError
            If the model has no such convolution or a ReLU that is no module of its own.
        """
        return explained(model, inputs, targets, _attribute)

    def passes(self, inputs: Tensor) -> int:
        """Two a sample, one for each factor."""
        return 2 * len(inputs)


def last_convolution(model: nn.Module, inputs: Tensor) -> nn.Module:
    """Last convolution, in order of execution, whose output has more than one cell along every axis.

    Raises
    ------
    UserError
        If the model has no convolution or each one's output is a single cell.
    """
    shapes: dict[nn.Module, tuple[int, ...]] = {}
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d)]
    if not convolutions:
        raise UserError(
            "guided Grad-CAM needs a convolution but the model has none (nn.Conv1d, nn.Conv2d); use another method"
        )

    def remember(module: nn.Module, _: object, output: Tensor) -> None:
        shapes[module] = tuple(output.shape[2:])

    hooks = [module.register_forward_hook(remember) for module in convolutions]
    try:
        model(inputs[:1])
    finally:
        for hook in hooks:
            hook.remove()
    wide = [module for module, shape in shapes.items() if min(shape) > 1]
    if not wide:
        raise UserError(
            f"guided Grad-CAM needs a feature map but every convolution has shrunk inputs of {tuple(inputs.shape[2:])} "
            "to a single row or column; use a higher resolution or fewer pooling layers"
        )
    return wide[-1]


def _attribute(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    if require_rectifier_modules("guided Grad-CAM", model, inputs, targets) == 0:
        raise UserError("guided Grad-CAM needs a model with nn.ReLU modules but this one uses none; use another method")
    layer = last_convolution(model, inputs)
    with warnings.catch_warnings():
        # Captum announces that it hooks ReLU modules; `unchanged` sees to it that they are as before.
        warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU activations")
        attributions: Tensor = CaptumGuidedGradCam(model, layer).attribute(
            inputs, target=targets, interpolate_mode="linear" if inputs.ndim == 3 else "bilinear"
        )
    return attributions
