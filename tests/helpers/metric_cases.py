"""What every metric is tried on."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline, Constant, Silence, SpeechShapedNoise
from audioxai.core import Explainer, unchanged
from audioxai.domains import Stft, Waveform
from audioxai.metrics import METRICS, PassMetric, RangeNoise
from audioxai.metrics.batch import Batch
from audioxai.testing.metrics import MetricCase
from helpers.tiny_models import draw, tiny_cnn, tiny_waveform_cnn

BASELINE = Constant(0.25)
MODELS = {"image": (tiny_cnn, (1, 12, 10)), "waveform": (tiny_waveform_cnn, (1, 40))}
# Where attributions and sounds of the waveforms of 40 samples live.
WAVEFORM, STFT = Waveform(1000, 0.04), Stft(1000, 0.04, window_s=0.016, overlap=4)


@dataclass(frozen=True)
class Gradient:
    """The shortest explainer there is: the signed gradient of the target's logit, times an optional factor."""

    factor: float = 1.0

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        with unchanged(model), torch.enable_grad():
            leaf = inputs.detach().clone().requires_grad_(True)
            total = model(leaf).gather(1, targets[:, None]).sum()
            return self.factor * torch.autograd.grad(total, leaf)[0]

    def passes(self, inputs: Tensor) -> int:
        return len(inputs)


@dataclass(frozen=True)
class InputTimesGradient(Gradient):
    """Changes with a shift of the input, which the gradient does not."""

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        return inputs * super().__call__(model, inputs, targets)


@dataclass(frozen=True, eq=False)
class Recorded:
    """Explains every input by the same map, whatever the model and the class."""

    map: Tensor

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:  # noqa: ARG002 (the protocol's)
        return self.map.expand_as(inputs).clone()

    def passes(self, inputs: Tensor) -> int:  # noqa: ARG002 (the protocol's)
        return 0


def batch_of(inputs: Tensor) -> Batch:
    """Inputs alone, where neither a model nor targets are asked for."""
    return Batch(nn.Identity(), inputs, torch.zeros(len(inputs), dtype=torch.int64))


def case(kind: str, dtype: torch.dtype = torch.float64, batch: int = 5) -> tuple[nn.Sequential, Tensor, Tensor, Tensor]:
    """Model in evaluation mode, inputs, targets and the gradient as attributions."""
    build, shape = MODELS[kind]
    model, inputs = build(dtype=dtype), draw(batch, *shape, seed=3, dtype=dtype)
    targets = torch.arange(batch) % 3
    return model, inputs, targets, Gradient()(model, inputs, targets)


def metric_case(kind: str, dtype: torch.dtype = torch.float64, batch: int = 5) -> MetricCase:
    """The same with masks and a change, for :func:`audioxai.testing.metrics.check_metric`."""
    model, inputs, targets, attributions = case(kind, dtype, batch)
    return MetricCase(model, inputs, targets, attributions, masks_of(inputs), 2.0 + attributions.flatten(1).sum(1))


def kinds_of(name: str) -> tuple[str, ...]:
    """Kinds of inputs that the registered metric takes."""
    return ("waveform",) if "stft" in METRICS[name].needs else tuple(MODELS)


def masks_of(inputs: Tensor) -> Tensor:
    """Some features of every sample, wherever in the batch it stands."""
    return inputs > 0.1


def registered(
    name: str, explainer: Explainer | None = None, baseline: Baseline = BASELINE, **options: Any
) -> PassMetric:
    """The registered metric for a study of three classes with few repetitions; options that it lacks are ignored."""
    context = {
        "explainer": explainer or (InputTimesGradient() if name == "input_invariance" else Gradient()),
        "baseline": baseline,
        "noise": RangeNoise(0.05),
        "class_count": 3,
        "domain": WAVEFORM,
        "stft": STFT,
        "removals": (Silence(WAVEFORM), SpeechShapedNoise.of(draw(6, 1, 40, seed=9), snr_db=0.0)),
        "runs": 20,
        "draws": 3,
        "alternatives": 1,
    }
    if name == "faithfulness_correlation_16":
        context["patch"] = 4  # a patch of 16 is larger than these inputs
    return METRICS.bind(name, context | options)
