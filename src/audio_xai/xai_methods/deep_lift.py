"""DeepLift."""

import warnings
from dataclasses import dataclass

from captum.attr import DeepLift as CaptumDeepLift
from torch import Tensor, nn

from audio_xai.baselines import Baseline
from audio_xai.xai_methods.calls import explained
from audio_xai.xai_methods.rectifiers import require_rectifier_modules


@dataclass(frozen=True)
class DeepLift:
    """DeepLift with the rescale rule (Shrikumar et al. 2017) against a stated baseline, through Captum.

    Attributes
    ----------
    baseline : Baseline
        The reference input.
    """

    baseline: Baseline

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Attributions shaped like ``inputs``, in logits; they sum to about F(x) − F(baseline).

        Raises
        ------
        UserError
            If a ReLU of the model is no module of its own or is used twice.
        """
        return explained(model, inputs, targets, self._attribute, passes_at_once=2)

    def passes(self, inputs: Tensor) -> int:
        """Two a sample, input and baseline."""
        return 2 * len(inputs)

    def _attribute(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        require_rectifier_modules("DeepLift", model, inputs, targets, once=True)
        with warnings.catch_warnings():
            # Captum announces its hooks; `unchanged` sees to it that the model is as before.
            warnings.filterwarnings("ignore", message="Setting forward, backward hooks and attributes on non-linear")
            attributions: Tensor = CaptumDeepLift(model).attribute(
                inputs, baselines=self.baseline(inputs), target=targets
            )
        return attributions
