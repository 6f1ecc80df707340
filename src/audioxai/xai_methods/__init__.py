"""Explanation methods behind one protocol; standard ones through Captum."""

from collections.abc import Callable

from audioxai.baselines import Baseline
from audioxai.core import Explainer
from audioxai.utils.errors import UserError
from audioxai.xai_methods.cam import GuidedGradCam
from audioxai.xai_methods.controls import RandomAttribution
from audioxai.xai_methods.deep_lift import DeepLift
from audioxai.xai_methods.gradients import InputXGradient, Saliency
from audioxai.xai_methods.integrated_gradients import IntegratedGradients
from audioxai.xai_methods.occlusion import Occlusion

# Each entry makes an explainer from what stands for "absent"; methods that know no baseline ignore it.
EXPLAINERS: dict[str, Callable[[Baseline], Explainer]] = {
    "saliency": lambda _: Saliency(),
    "input_x_gradient": lambda _: InputXGradient(),
    "integrated_gradients": IntegratedGradients,
    "guided_grad_cam": lambda _: GuidedGradCam(),
    "deep_lift": DeepLift,
    "occlusion": Occlusion,
    "random": lambda _: RandomAttribution(),
}


def explainer(name: str, baseline: Baseline) -> Explainer:
    """Registered explainer.

    Raises
    ------
    UserError
        If there is none of that name.
    """
    if name not in EXPLAINERS:
        raise UserError(f"method is {name!r}; choose among {', '.join(EXPLAINERS)}")
    return EXPLAINERS[name](baseline)
