"""Models as they are found, each next to a plain twin, and what methods and metrics make of them.

An outcome is *right* where attributions or scores are those of the twin, *refused* where there is a
:class:`UserError` of one sentence, and *wrong* otherwise.
"""

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from audioxai.baselines import Silence
from audioxai.domains import LogMel, Mask, Pixels, Waveform
from audioxai.metrics import METRICS
from audioxai.models.adapted import Adaptation, Adapted
from audioxai.models.black_box import BlackBox
from audioxai.utils.errors import UserError
from audioxai.xai_methods import METHODS
from audioxai.xai_methods.gradients import Saliency
from helpers.metric_cases import kinds_of, masks_of, registered
from helpers.tiny_models import draw, layers_of, seeded, tiny_cnn, tiny_waveform_cnn, with_hooks_and_marks

DOMAINS: dict[str, Any] = {
    "log_mel": LogMel(8_000, 0.25, bands=12, frames=10),
    "waveform": Waveform(4_000, 0.05),
    "pixels": Pixels(12, 10),
    "mask": Mask(4_000, 0.05, 6, 5, window_s=0.016),
}
RTOL, ATOL = 2e-4, 2e-5
# Scores below may be rounding alone, as the change of a map that does not change.
SMALL_SCORE = 1e-2
RANDOMISED = ("mprt", "smooth_mprt", "efficient_mprt")
_PROGRAMS: dict[torch.Size, Any] = {}
Make = Callable[[nn.Module, Tensor], nn.Module]


class Through(nn.Module):
    """A model whose inputs and outputs pass through other functions."""

    def __init__(
        self, inner: nn.Module, before: Callable[..., Any] = lambda x: x, after: Callable[..., Any] = lambda x: x
    ) -> None:
        super().__init__()
        self.inner, self.before, self.after = inner, before, after
        self.train(inner.training)

    def forward(self, inputs: Tensor) -> Any:
        return self.after(self.inner(self.before(inputs)))


class FunctionalReLUs(nn.Module):
    """The layers of a sequential model, its ReLUs called as functions."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layer for layer in layers_of(inner) if not isinstance(layer, nn.ReLU))
        self.eval()

    def forward(self, inputs: Tensor) -> Tensor:
        for place, layer in enumerate(self.layers):
            inputs = layer(inputs)
            if isinstance(layer, nn.BatchNorm2d | nn.Conv1d) or (isinstance(layer, nn.Conv2d) and place > 0):
                inputs = torch.relu(inputs)
        return inputs


class Keeps(nn.Module):
    """Keeps a window of its first call, and its last features."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.window: Tensor | None = None
        self.last: Tensor | None = None
        self.eval()

    def forward(self, inputs: Tensor) -> Tensor:
        if self.window is None:
            self.window = torch.ones_like(inputs[:1])
        features = inputs * self.window
        self.last = features
        return self.inner(features)


class Recurrent(nn.Module):
    """A recurrent layer along the last axis, as a module or written out."""

    def __init__(self, features: int, written_out: bool) -> None:
        super().__init__()
        self.layer, self.head, self.written_out = nn.RNN(features, 6, batch_first=True), nn.Linear(6, 3), written_out
        seeded(self, dtype=torch.float32)

    def forward(self, inputs: Tensor) -> Tensor:
        steps = inputs.flatten(1, -2).transpose(1, 2)
        steps = steps / 80.0 if float(steps.detach().abs().max()) > 20.0 else steps
        if not self.written_out:
            return self.head(self.layer(steps)[0][:, -1])
        layer, state = layers_of(self.layer), steps.new_zeros(len(steps), 6)
        for step in steps.unbind(1):
            own = step @ layer.weight_ih_l0.T + layer.bias_ih_l0
            state = torch.tanh(own + state @ layer.weight_hh_l0.T + layer.bias_hh_l0)
        return self.head(state)


def _normed(model: nn.Module, _: Tensor) -> nn.Module:
    for layer in layers_of(model):
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
            parametrizations.weight_norm(layer)
    return model


def _in_place(model: nn.Module, _: Tensor) -> nn.Module:
    for layer in layers_of(model):
        if isinstance(layer, nn.ReLU):
            layer.inplace = True
    return model


def _exported(model: nn.Module, inputs: Tensor) -> nn.Module:
    # All plain models of one shape are the same.
    if inputs.shape not in _PROGRAMS:
        batch = torch.export.Dim("batch", min=1, max=4096)
        _PROGRAMS[inputs.shape] = torch.export.export(model, (inputs,), dynamic_shapes=({0: batch},))
    return _PROGRAMS[inputs.shape].module()


def _scripted(model: nn.Module, frozen: bool) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted = torch.jit.script(model)
        return torch.jit.freeze(scripted) if frozen else scripted


def _used(model: nn.Module, inputs: Tensor) -> nn.Module:
    """After some calls TorchScript hides its operations from autograd."""
    for _ in range(3):
        model(inputs.clone().requires_grad_(True))
    return model


def _used_in_inference_mode(model: nn.Module, inputs: Tensor) -> nn.Module:
    kept = Keeps(model)
    with torch.inference_mode():
        kept(inputs.clone())
    return kept


def _hooked(model: nn.Module, _: Tensor) -> nn.Module:
    return with_hooks_and_marks(model)


@dataclass(frozen=True)
class Found:
    """A model as it is found.

    Attributes
    ----------
    make : callable
        The model from a copy of the plain one and its inputs.
    twin : callable
        What its outcomes have to equal, from the plain model.
    refusals : tuple of str or None
        Methods and metrics that may be refused; None for all.
    prepare : callable
        What is done to the inputs.
    program : bool
        Whether its layers do not know how to draw their parameters, so that random models differ from the twin's.
    other_draws : bool
        Whether what is random differs from the twin's, as it does for inputs of another precision.
    """

    make: Make
    twin: Make = lambda model, _: model
    refusals: tuple[str, ...] | None = ()
    prepare: Callable[[Tensor], Tensor] = lambda inputs: inputs
    program: bool = False
    other_draws: bool = False


# Methods that replace the gradients of modules.
OF_MODULES = ("deep_lift", "guided_grad_cam")
# Methods that have to know every operation.
OF_LAYERS = ("lrp", "lrp_epsilon", "lrp_alpha_beta")
ZOO: dict[str, Found] = {
    "sequential": Found(lambda model, _: model),
    "functional ReLU": Found(lambda model, _: FunctionalReLUs(model), refusals=OF_MODULES),
    "ReLU in place": Found(_in_place, refusals=OF_MODULES),
    "hooks, training mode": Found(_hooked),
    "input changed in place": Found(
        lambda model, _: Through(model, lambda x: x.sub_(0.25).add_(0.25)), refusals=OF_LAYERS
    ),
    "mapping": Found(lambda model, _: Through(model, after=lambda z: {"loss": None, "logits": z})),
    "object": Found(lambda model, _: Through(model, after=lambda z: SimpleNamespace(logits=z))),
    "tuple": Found(lambda model, _: Through(model, after=lambda z: (z, z)), refusals=None),
    "list": Found(lambda model, _: Through(model, after=lambda z: [z]), refusals=None),
    "other mapping": Found(lambda model, _: Through(model, after=lambda z: {"scores": z}), refusals=None),
    "training mode": Found(lambda model, _: model.train()),
    "used in inference mode": Found(_used_in_inference_mode, refusals=OF_LAYERS),
    "keeps features": Found(lambda model, _: Keeps(model), refusals=OF_LAYERS),
    "float64": Found(lambda model, _: model.double(), prepare=lambda inputs: inputs.double(), other_draws=True),
    "bfloat16": Found(lambda model, _: model.bfloat16(), refusals=None, prepare=lambda inputs: inputs.bfloat16()),
    "float16 weights": Found(lambda model, _: model.half(), refusals=None),
    "strided inputs": Found(lambda model, _: model, prepare=lambda x: x.transpose(-1, -2).contiguous().mT),
    "channels last": Found(lambda model, _: layers_of(model).to(memory_format=torch.channels_last)),
    "scripted": Found(lambda model, _: _scripted(model, frozen=False), refusals=None, program=True),
    "frozen": Found(lambda model, _: _scripted(model, frozen=True), refusals=None, program=True),
    "exported": Found(_exported, refusals=None, program=True),
    "compiled": Found(
        lambda model, _: cast(nn.Module, torch.compile(model, backend="eager")), refusals=OF_MODULES + OF_LAYERS
    ),
    "recurrent": Found(
        lambda _, inputs: Recurrent(inputs[0].numel() // inputs.shape[-1], False),
        lambda _, inputs: Recurrent(inputs[0].numel() // inputs.shape[-1], True),
        OF_MODULES + OF_LAYERS,
        program=True,
    ),
    "weight norm": Found(_normed),
    "one logit": Found(
        lambda model, _: Through(model, after=lambda z: z[:, :1]),
        lambda model, _: Through(model, after=lambda z: torch.cat([z[:, :1], torch.zeros_like(z[:, :1])], 1)),
        None,
    ),
    "adapted": Found(lambda model, _: Adapted(model, Adaptation(), "softmax")),
    "adapted, one by one": Found(
        lambda model, _: Adapted(model, Adaptation(one_by_one=True), "softmax"), refusals=OF_MODULES
    ),
    "black box": Found(lambda model, _: BlackBox(model, takes_arrays=False), refusals=None, program=True),
    "softmax": Found(lambda model, _: Through(model, after=lambda z: z.softmax(1)), refusals=None),
    "sigmoid, frozen": Found(
        lambda model, inputs: _used(_scripted(nn.Sequential(model, nn.Sigmoid()).eval(), frozen=True), inputs),
        refusals=None,
        program=True,
    ),
    "sigmoid": Found(lambda model, _: Through(model, after=torch.sigmoid), refusals=None),
}


def plain(kind: str) -> nn.Module:
    return (tiny_waveform_cnn if kind in ("waveform", "mask") else tiny_cnn)(dtype=torch.float32)


# Methods of the inputs of these models; FreqRISE is RISE in bins of the recording alone.
METHODS_TRIED = tuple(name for name, entry in METHODS.items() if any(entry.takes(kind) for kind in DOMAINS))


def kind_of(method: str) -> str:
    return next(kind for kind in DOMAINS if METHODS[method].takes(kind))


def inputs_of(kind: str, count: int, seed: int) -> Tensor:
    domain = DOMAINS["waveform" if kind == "mask" else kind]
    low, high = domain.value_range
    spread = draw(count, 1, *domain.shape, seed=seed, dtype=torch.float32)
    return (low + (high - low) * (0.5 + 0.15 * spread)).clamp(low, high)


@contextmanager
def _quiet_compiler() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="torch")
        yield


def of_method(name: str, found: Found) -> str:
    """Outcome of a method: ``right``, ``refused``, or what is wrong."""
    kind = kind_of(name)
    inputs, targets = inputs_of(kind, 2, 2), torch.tensor([0, 0])

    def attributed(make: Make, given: Tensor) -> Tensor:
        context = {
            "domain": DOMAINS[kind],
            "baseline": Silence(DOMAINS[kind]),
            "training_inputs": inputs_of(kind, 6, 3),
            "gradients": 8,
            "passes": 24,
            "seed": 0,
        }
        return METHODS.bind(name, context)(make(plain(kind), given[:2].clone()), given, targets)

    exact = not (found.other_draws and "seed" in METHODS[name].parameters)
    return _compared(
        lambda: attributed(found.twin, inputs), lambda: attributed(found.make, found.prepare(inputs)), exact
    )


def of_metric(name: str, found: Found) -> str:
    """Outcome of a metric of saliency maps: ``right``, ``refused``, or what is wrong."""
    kind = kinds_of(name)[0]
    shape = {"image": (1, 12, 10), "waveform": (1, 40)}[kind]
    inputs, targets = draw(3, *shape, seed=3, dtype=torch.float32), torch.tensor([0, 0, 0])
    own = plain("waveform" if kind == "waveform" else "image")
    attributions = Saliency()(found.twin(copy.deepcopy(own), inputs), inputs, targets)
    change = 2.0 + attributions.flatten(1).sum(1)

    def scored(make: Make, given: Tensor) -> Tensor:
        model = make(copy.deepcopy(own), given[:2].clone())
        metric = registered(name, Saliency(), runs=5, draws=2)
        maps = attributions.to(given.dtype)
        return metric(model, given, targets, maps, masks_of(inputs), change)

    exact = not ((found.program and name in RANDOMISED) or (found.other_draws and "seed" in METRICS[name].parameters))
    expect, call = (lambda: scored(found.twin, inputs)), (lambda: scored(found.make, found.prepare(inputs)))
    return _compared(expect, call, exact, smallest=SMALL_SCORE)


def _compared(expect: Callable[[], Any], call: Callable[[], Tensor], exact: bool, smallest: float = 0.0) -> str:
    try:
        with _quiet_compiler():
            result = call()
    except UserError as error:
        return "refused" if "\n" not in str(error) else f"refused in several lines: {error}"
    except Exception as error:  # noqa: BLE001 (whatever it is, it is wrong)
        return f"{type(error).__name__}: {str(error)[:150]}"
    if not exact:
        return "right" if bool(result.isfinite().all()) else "not finite"
    try:
        expected = expect()
    except UserError as error:
        return f"answered although the twin is refused: {error}"
    result = result.to(expected.dtype)
    scale = max(float(expected.nan_to_num().abs().max()), smallest) or 1.0
    if torch.allclose(result, expected, rtol=RTOL, atol=ATOL * scale, equal_nan=True):
        return "right"
    return f"off by {float((result - expected).nan_to_num(torch.inf).abs().max()) / scale:.3g} of the largest"


def survey() -> dict[tuple[str, str, str], str]:
    """Outcome by model, ``"method"`` or ``"metric"``, and name."""
    outcomes = {
        (model, "method", name): of_method(name, found) for model, found in ZOO.items() for name in METHODS_TRIED
    }
    return outcomes | {
        (model, "metric", name): of_metric(name, found) for model, found in ZOO.items() for name in METRICS
    }
