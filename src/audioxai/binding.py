"""A method bound to a model: in masks of the recording, in the model's own spectrogram, or in its samples.

Idea
----
Masks of time and frequency suit every model and are the default. The features of the model itself are another choice
where it is a front end and a body, and so are the samples of the waveform.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline, Silence
from audioxai.core import Explainer, activation_of, evaluating, logits_of
from audioxai.domains import Domain, Mask, MaskValues, Waveform, audible
from audioxai.models.front_end import Classifier
from audioxai.models.loading import Model
from audioxai.registry import MethodEntry
from audioxai.utils.errors import UserError
from audioxai.utils.progress import Progress
from audioxai.xai_methods import METHODS
from audioxai.xai_methods.explain_in import OfWaveforms
from audioxai.xai_methods.masks import MaskedModel, MaskedSounds, can_be_in_masks, in_masks
from audioxai.xai_methods.path_integral import Integrating

Where = Literal["auto", "mask", "model", "waveform"]
WHERE: tuple[Where, ...] = ("auto", "mask", "model", "waveform")
AUTO: Literal["auto"] = "auto"
GRADIENT_METHOD, BLACK_BOX_METHOD = "ordered", "ordered_passes"
DEFAULT_GRADIENTS, DEFAULT_PASSES = 32, 400
# Models of more parameters take seconds for one pass of a clip on a CPU.
LARGE_PARAMETERS = 20_000_000
LARGE_GRADIENTS, LARGE_PASSES = 16, 200


@dataclass(frozen=True, eq=False)
class BoundMethod:
    """A method with its settings, bound to a model and a domain.

    Attributes
    ----------
    entry : MethodEntry
        The method.
    explainer : Explainer
        The same with its settings.
    module : nn.Module
        What the explainer gets: the model, or its body.
    domain : Domain
        Where attributions live.
    inputs_of : callable
        Waveforms ``(batch, 1, time)`` → what the explainer gets.
    """

    entry: MethodEntry
    explainer: Explainer
    module: nn.Module
    domain: Domain
    inputs_of: Callable[[Tensor], Tensor]

    def attributions(self, waveforms: Tensor, targets: Tensor) -> Tensor:
        """Attributions ``(batch, 1, *domain.shape)``."""
        return self.explainer(self.module, self.inputs_of(waveforms), targets).detach()

    def with_change(self, waveforms: Tensor, targets: Tensor) -> tuple[Tensor, Tensor | None]:
        """The same, and what they should add up to where the method claims it, which takes a few passes more."""
        if not isinstance(self.explainer, Integrating):
            return self.attributions(waveforms, targets), None
        integral = self.explainer.attribute(self.module, self.inputs_of(waveforms), targets)
        return integral.attributions.detach(), integral.change

    def passes(self, waveforms: Tensor) -> int:
        """Model passes of one explanation of each; those at the ends of paths come on top."""
        return self.explainer.passes(self.inputs_of(waveforms))

    def features(self, waveforms: Tensor) -> Tensor:
        """The clips in the domain of the attributions, real: levels of cells, magnitudes of bins, or samples."""
        values = self.domain.analysis(waveforms)
        return values.abs() if values.is_complex() else values


def method_entry(name: str, model: Model) -> MethodEntry:
    """A registered method, or the default one for a model.

    Raises
    ------
    UserError
        If there is none of that name, or it takes gradients, which the model does not give.
    """
    if name == AUTO:
        return METHODS[GRADIENT_METHOD if model.gradient else BLACK_BOX_METHOD]
    entry = METHODS[name]
    if entry.gradients and not model.gradient:
        others = ", ".join(other.name for other in METHODS.values() if not other.gradients and can_be_in_masks(other))
        raise UserError(f"method {name} takes gradients but {model.gradient_refused}; choose among {others}")
    return entry


def place_of(where: Where, entry: MethodEntry, model: Model) -> Where:
    """The place that is asked for, or by default masks where the method can be used in them.

    Raises
    ------
    UserError
        If there is no such place, or the method or the model has none.
    """
    if where not in WHERE:
        raise UserError(f"domain is {where!r}; choose among {', '.join(WHERE)}")
    if where == "model" and not isinstance(model.module, Classifier):
        raise UserError("the model takes waveforms and shows no spectrogram of its own; choose domain mask or waveform")
    if where == "mask" and not can_be_in_masks(entry):
        raise UserError(f"method {entry.name} cannot explain masks; choose another method or domain")
    if where != AUTO:
        return where
    if can_be_in_masks(entry):
        return "mask"
    return "model" if isinstance(model.module, Classifier) and entry.takes(model.module.domain.name) else "waveform"


@dataclass(frozen=True, eq=False)
class Request:
    """What clips of a model are explained with.

    Attributes
    ----------
    model : Model
        The model.
    method : str
        Registered method, or ``auto``.
    domain : {"auto", "mask", "model", "waveform"}
        Where it explains; see :func:`place_of`.
    budget : int or None
        Gradients, or passes of a method without gradients; the default for the model's size if None.
    references : Tensor or None
        Waveforms ``(clips, 1, time)`` from which baselines are learnt; the clip itself if None.
    seed : int
        Seed of everything random.
    options : mapping
        Other parameters of the method.
    """

    model: Model
    method: str = AUTO
    domain: Where = AUTO
    budget: int | None = None
    references: Tensor | None = None
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.budget is not None and self.budget < 1:
            raise UserError(f"budget is {self.budget}; give at least 1")
        place_of(self.domain, self.entry, self.model)

    @property
    def entry(self) -> MethodEntry:
        """The method."""
        return method_entry(self.method, self.model)

    def for_clip(self, waveform: Tensor) -> "Request":
        """The same with a model that was checked on a clip ``(1, 1, time)``."""
        return replace(self, model=self.model.fitted(waveform))

    def bound(self, waveform: Tensor) -> tuple[nn.Module, BoundMethod]:
        """The model with the statistics of a clip ``(1, 1, time)`` as constants, and the method bound to it.

        Raises
        ------
        UserError
            If method, domain and model do not fit each other.
        """
        model, entry, rate_hz = self.model, self.entry, self.model.sample_rate_hz
        where = place_of(self.domain, entry, model)
        module = model.module if model.freeze is None else model.freeze(waveform)
        references = waveform if self.references is None else self.references
        duration_s = waveform.shape[-1] / rate_hz
        budget = default_budget(entry, module) if self.budget is None else self.budget
        if where == "mask":
            cells = Mask.of(rate_hz, duration_s)
            explainer = in_masks(
                entry.name, cells, gradients=budget, seed=self.seed, references=references, **self.options
            )
            return module, BoundMethod(entry, explainer, module, cells, _themselves)
        context = {"gradients": budget, "passes": budget, "seed": self.seed}
        if where == "model" and isinstance(module, Classifier):
            seen, body = module.domain, module.body
            learnt = {"domain": seen, "baseline": Silence(seen), "training_inputs": seen.analysis(references)}
            explainer = entry.bind(context | learnt, **self.options)
            return module, BoundMethod(entry, explainer, body, seen, _features_of(module))
        samples = Waveform(rate_hz, duration_s)
        if not entry.takes(samples.name):
            raise UserError(
                f"method {entry.name} takes inputs in {' or '.join(entry.domains)} but the model takes waveforms; "
                f"choose another method, such as {GRADIENT_METHOD}"
            )
        learnt = {"domain": samples, "baseline": Silence(samples), "training_inputs": references}
        explainer = entry.bind(context | learnt, **self.options)
        return module, BoundMethod(entry, explainer, module, getattr(explainer, "domain", None) or samples, _themselves)


def is_large(module: nn.Module) -> bool:
    """Whether a model has more than 20 million parameters."""
    return sum(parameter.numel() for parameter in module.parameters()) > LARGE_PARAMETERS


def default_budget(entry: MethodEntry, module: nn.Module) -> int:
    """Gradients, or passes of a method without gradients: half as many for large models."""
    whole, half = (DEFAULT_GRADIENTS, LARGE_GRADIENTS) if entry.gradients else (DEFAULT_PASSES, LARGE_PASSES)
    return half if is_large(module) else whole


def logits_without_gradient(module: nn.Module, waveforms: Tensor) -> Tensor:
    """Logits ``(batch, classes)`` in evaluation mode."""
    first = torch.zeros(len(waveforms), dtype=torch.int64)
    with torch.inference_mode(mode=False), torch.no_grad(), evaluating(module):
        return logits_of(module, waveforms, first)


@dataclass(frozen=True, eq=False)
class Judged:
    """What metrics get of one clip and a method.

    Attributes
    ----------
    module : nn.Module
        The model of the inputs.
    inputs : Tensor
        ``(1, 1, …)``.
    domain : Domain
        Of the inputs.
    explainer : Explainer
        Makes attributions of them.
    """

    module: nn.Module
    inputs: Tensor
    domain: Domain
    explainer: Explainer

    @property
    def baseline(self) -> Baseline:
        """Silence of the inputs."""
        return Silence(self.domain)


def judged_in_features(made: BoundMethod, waveform: Tensor) -> Judged:
    """One clip ``(1, 1, time)`` in the domain of the attributions, for metrics that change features.

    Raises
    ------
    UserError
        If the attributions are not in the domain of anything that the model gets.
    """
    if isinstance(made.domain, Mask):
        masked = MaskedModel(made.module, MaskedSounds.of(made.domain, waveform, torch.zeros_like(waveform)))
        return Judged(masked, masked.inputs, MaskValues(made.domain), made.explainer)
    inputs = made.inputs_of(waveform)
    if tuple(inputs.shape[2:]) != made.domain.shape:
        raise UserError(
            f"maps of method {made.entry.name} are not in the domain of its inputs; choose another method or domain"
        )
    return Judged(made.module, inputs, made.domain, made.explainer)


def judged_in_sounds(made: BoundMethod, waveform: Tensor) -> Judged:
    """One clip ``(1, 1, time)`` as the method gets it, for metrics that explain again."""
    inputs = made.inputs_of(waveform)
    own: Domain = Waveform(*_rate_and_length(made.domain)) if inputs is waveform else made.domain
    return Judged(made.module, inputs, own, made.explainer)


def judged_in_recordings(made: BoundMethod, model: nn.Module, waveform: Tensor) -> Judged:
    """One clip ``(1, 1, time)`` of the whole model, for metrics that remove or change sounds."""
    whole = made.inputs_of(waveform) is waveform
    return Judged(model, waveform, made.domain, made.explainer if whole else OfWaveforms(made.explainer, made.domain))


def _rate_and_length(domain: Domain) -> tuple[int, float]:
    sound = audible(domain)
    return sound.sample_rate_hz, sound.duration_s


class PassCounter:
    """Counts passes on a progress bar until it is full; those at the ends of paths come on top.

    Parameters
    ----------
    progress : Progress
        The bar.
    total : int
        Passes at which it is full.
    """

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._left = progress, total

    def __call__(self, passes: int) -> None:
        """Count some more passes."""
        counted = min(passes, self._left)
        self._left -= counted
        self._progress.update(counted)


class Counted(nn.Module):
    """A model whose inputs are counted.

    Parameters
    ----------
    model : nn.Module
        Shared, not copied.
    count : callable
        Is called with the number of inputs of each call.
    """

    def __init__(self, model: nn.Module, count: Callable[[int], None]) -> None:
        super().__init__()
        self.model = model
        self.activation = activation_of(model)
        self._count = count
        self.training = model.training

    def forward(self, inputs: Tensor) -> Any:
        """What the model returns."""
        self._count(len(inputs))
        return self.model(inputs)


def _themselves(waveforms: Tensor) -> Tensor:
    return waveforms


def _features_of(module: Classifier) -> Callable[[Tensor], Tensor]:
    def features(waveforms: Tensor) -> Tensor:
        with torch.inference_mode(mode=False), torch.no_grad():
            found: Tensor = module.front_end(waveforms)
        return found.clone()

    return features
