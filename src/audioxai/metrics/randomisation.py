"""Randomisation: an attribution map of this class and this model has to change when either does.

Idea
----
A map that stays the same for another class, or for a model with random weights, shows the input and not what the model
makes of it.

Conventions
-----------
Layers are randomised by their own ``reset_parameters``, in a copy of the model, each with a seed of its own. Maps are
compared by structural similarity or, in absolute value, by rank correlation.

Metrics
-------
* :class:`RandomLogit`: maps of other classes.
* :class:`ModelParameterRandomisation` (MPRT): layers randomised one after the other, from the top.
* :class:`SmoothMprt`: the same from the bottom, each map a mean over noisy inputs.
* :class:`EfficientMprt`: all layers randomised at once, which should make the map more complex.
"""

import copy
import inspect
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from audioxai.core import Explainer, evaluating
from audioxai.metrics.batch import Batch, PassMetric
from audioxai.metrics.engine import Scoring, Work
from audioxai.metrics.noise import NoisyInputs, RangeNoise, SignalNoise
from audioxai.metrics.registry import metric
from audioxai.metrics.similarity import RankCorrelation, ssim
from audioxai.metrics.stacked import Stacked, StackedRoute, stacked
from audioxai.utils.counter_random import Streams
from audioxai.utils.errors import UserError
from audioxai.utils.seeding import derived_seed


class RandomisationMetric(PassMetric):
    """What the metrics of this family have in common."""

    family: ClassVar[str] = "randomisation"
    draws_at_random: ClassVar[bool] = True


@metric("random_logit")
@dataclass(frozen=True)
class RandomLogit(RandomisationMetric):
    """Structural similarity of the maps of the target and of other classes; low is class-discriminative.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    class_count : int
        Classes of the model.
    alternatives : int
        Other classes explained per sample, over which the mean is taken.
    seed : int
        Of the choice of classes, a function of the sample's values and the seed.

    Notes
    -----
    Sixt et al. 2020. Each map is divided by its own largest magnitude; maps of images and spectrograms are compared in
    two dimensions, windows of 7 × 7. NaN where a map is all zero.
    """

    explainer: Explainer
    class_count: int
    alternatives: int = 3
    seed: int = 0

    label: ClassVar[str] = "Random logit (SSIM)"
    short: ClassVar[str] = "Random logit"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    source: ClassVar[str] = "Sixt et al. 2020"
    revision: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if not 1 <= self.alternatives < self.class_count:
            raise UserError(
                f"alternatives is {self.alternatives} but the model has {self.class_count} classes; "
                "choose at least 1 and fewer than there are classes"
            )

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [−1, 1]."""
        # What is added to the target, modulo the number of classes, to get the other classes.
        orders = Streams(("random logit", self.seed), batch.keys, batch.targets.device).orders(self.class_count - 1)
        steps = 1 + orders[:, : self.alternatives]
        own = _scaled(attributions)
        total = torch.zeros(len(batch), dtype=torch.float64, device=own.device)

        def others(samples: Tensor, runs: Tensor) -> Tensor:
            return (batch.targets[samples] + steps[samples, runs]) % self.class_count

        def take(samples: Tensor, _: Tensor, other: Tensor) -> None:
            total.index_add_(0, samples, ssim(own[samples], _scaled(other)))

        yield [
            batch.explanations(
                self.explainer, lambda samples, _: batch.inputs[samples], self.alternatives, take, targets=others
            )
        ]
        return total / self.alternatives

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """``alternatives`` explanations per sample."""
        return self.alternatives * self.explainer.passes(inputs)


@metric("mprt")
@dataclass(frozen=True)
class ModelParameterRandomisation(RandomisationMetric):
    """Rank correlation of |attributions| before and after randomising the model's layers from the top; low is good.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    seed : int
        Of the random weights.

    Notes
    -----
    Adebayo et al. 2018, cascading randomisation, Spearman, mean over the randomised models only. NaN where the
    attributions, or those of a randomised model, are constant.
    """

    explainer: Explainer
    seed: int = 0

    label: ClassVar[str] = "Parameter randomisation (MPRT)"
    short: ClassVar[str] = "MPRT"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    source: ClassVar[str] = "Adebayo et al. 2018"

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [−1, 1]."""
        original = RankCorrelation(attributions.abs().flatten(1))
        total = torch.zeros(len(batch), dtype=torch.float64, device=attributions.device)
        models = cascade(batch.model, self.seed)
        together = stacked(models, batch.model, self.explainer, batch.inputs, batch.targets)
        if together is not None:
            yield [self._explained_together(batch, together, original, total)]
            return total / together.count

        def take(samples: Tensor, _: Tensor, randomised: Tensor) -> None:
            total.index_add_(0, samples, original(samples, randomised.abs().flatten(1)))

        layers = 0
        for layers, model in enumerate(cascade(batch.model, self.seed), start=1):  # noqa: B007 (counted)
            yield [batch.explanations(self.explainer, lambda samples, _: batch.inputs[samples], 1, take, model=model)]
        return total / layers

    def passes(self, model: nn.Module, inputs: Tensor) -> int:
        """One explanation per layer and sample."""
        return len(layers_of(model)) * self.explainer.passes(inputs)

    def _explained_together(self, batch: Batch, models: Stacked, original: RankCorrelation, total: Tensor) -> Work:
        """Work that adds every sample's correlations with the maps of all models to ``total`` ``(batch,)``."""

        def make(samples: Tensor) -> tuple[Tensor, Tensor]:
            return models.copies(batch.inputs[samples]), batch.targets[samples]

        def take(samples: Tensor, maps: Tensor) -> None:
            randomised = models.by_model(maps.abs()).flatten(2)
            again = original(samples.repeat_interleave(models.count), randomised.flatten(0, 1))
            total.index_add_(0, samples, again.reshape(-1, models.count).sum(1))

        shape = (models.count * batch.inputs.shape[1], *batch.inputs.shape[2:])
        return Work(StackedRoute(self.explainer, models), shape, len(batch), batch.inputs.device, make, take)


@metric("smooth_mprt")
@dataclass(frozen=True)
class SmoothMprt(RandomisationMetric):
    """Rank correlation of |smoothed attributions| before and after randomising layers from the bottom; low is good.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    noise : SignalNoise or RangeNoise
        Noise added to the inputs.
    draws : int
        Explanations of each sample and model over which the mean is taken. One is that of the unperturbed input; for
        the model itself this is the given map.
    seed : int
        Of the noise, which is the same for every model, and of the random weights.

    Notes
    -----
    Hedström et al. 2023, Eq. 3: cascading randomisation from the bottom, Spearman, here the mean over the randomised
    models only. Without smoothing a method can look sensitive to the model only because its maps are noisy. NaN where
    the attributions, or any of the smoothed ones, are constant.
    """

    explainer: Explainer
    noise: SignalNoise | RangeNoise
    draws: int = 10
    seed: int = 0

    label: ClassVar[str] = "Smooth parameter randomisation (MPRT)"
    short: ClassVar[str] = "Smooth MPRT"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    source: ClassVar[str] = "Hedström et al. 2023"
    revision: ClassVar[int] = 2
    complex_inputs: ClassVar[bool] = False
    scale_matters: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise UserError(f"draws is {self.draws}; {self.label} needs at least 1")

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores in [−1, 1]."""
        noisy = NoisyInputs(batch, self.noise, ("smoothing noise", self.seed), self.draws)
        smooth = attributions.clone()
        yield [self._added(smooth, batch, batch.model, noisy, range(1, self.draws))]
        original, everyone = RankCorrelation(smooth.abs().flatten(1)), torch.arange(len(batch), device=smooth.device)
        total = torch.zeros(len(batch), dtype=torch.float64, device=smooth.device)
        layers = 0
        for layers, model in enumerate(cascade(batch.model, self.seed, bottom_up=True), start=1):  # noqa: B007 (counted)
            smooth.zero_()
            yield [self._added(smooth, batch, model, noisy, range(self.draws))]
            total += original(everyone, smooth.abs().flatten(1))
        flat = attributions.flatten(1)
        return torch.where(flat.amax(1) > flat.amin(1), total / layers, torch.nan)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:
        """Per sample ``draws`` explanations for each layer, and ``draws`` − 1 for the model itself."""
        return (self.draws * (len(layers_of(model)) + 1) - 1) * self.explainer.passes(inputs)

    def _added(self, sums: Tensor, batch: Batch, model: nn.Module, noisy: NoisyInputs, draws: range) -> Work:
        """Work that adds the maps of these draws to ``sums``, shaped like the inputs; draw 0 has no noise."""

        def perturbed(samples: Tensor, runs: Tensor) -> Tensor:
            plain = (runs + draws.start == 0).reshape(-1, *[1] * (batch.inputs.ndim - 1))
            return torch.where(plain, batch.inputs[samples], noisy(samples, runs + draws.start))

        def take(samples: Tensor, _: Tensor, maps: Tensor) -> None:
            sums.index_add_(0, samples, maps.to(sums))

        return batch.explanations(self.explainer, perturbed, len(draws), take, model=model)


@metric("efficient_mprt")
@dataclass(frozen=True)
class EfficientMprt(RandomisationMetric):
    """Relative rise (H' − H) / H of the map's entropy when all layers are randomised; high is good.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    bins : int
        Of the histogram over each map's own range.
    seed : int
        Of the random weights.

    Notes
    -----
    Hedström et al. 2023, Eq. 4, H the entropy of the map's histogram. H is that of the given attributions, which are
    not computed again. NaN where either map is constant and so has no histogram over its range.
    """

    explainer: Explainer
    bins: int = 100
    seed: int = 0

    label: ClassVar[str] = "Efficient parameter randomisation (MPRT)"
    short: ClassVar[str] = "Efficient MPRT"
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (-1.0, float("inf"))
    source: ClassVar[str] = "Hedström et al. 2023"

    def __post_init__(self) -> None:
        if self.bins < 2:
            raise UserError(f"bins is {self.bins}; {self.label} needs at least 2")

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Scores ≥ −1."""
        before = histogram_entropy(attributions, self.bins)
        after = torch.full_like(before, torch.nan)

        def take(samples: Tensor, _: Tensor, randomised: Tensor) -> None:
            after[samples] = histogram_entropy(randomised, self.bins)

        *_, model = cascade(batch.model, self.seed)
        yield [batch.explanations(self.explainer, lambda samples, _: batch.inputs[samples], 1, take, model=model)]
        return after / before - 1.0

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """One explanation per sample."""
        return self.explainer.passes(inputs)


def histogram_entropy(maps: Tensor, bins: int) -> Tensor:
    """Entropy in nats ``(batch,)`` of the histogram of each map over its own range; NaN where the map is constant."""
    flat = maps.flatten(1).double()
    low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
    places = ((flat - low) * (bins / torch.where(high > low, high - low, 1.0))).long().clamp_(max=bins - 1)
    counts = flat.new_zeros(len(flat), bins).scatter_add_(1, places, torch.ones_like(flat))
    shares = counts / flat.shape[1]
    return torch.where((high > low)[:, 0], -torch.xlogy(shares, shares).sum(1), torch.nan)


def cascade(model: nn.Module, seed: int, *, bottom_up: bool = False) -> Iterator[nn.Module]:
    """Copy of the model with its last layer randomised, then its last two, and so on down to the first.

    Parameters
    ----------
    model : nn.Module
        Left as it is, as is the global random state.
    seed : int
        Decides the weights of every layer, the same from either end and on any device.
    bottom_up : bool
        Start with the first layer instead.

    Yields
    ------
    nn.Module
        The same copy each time, randomised further.

    Raises
    ------
    UserError
        If the model has no parameters, some that cannot be reached, or cannot be copied.

    Notes
    -----
    A layer is drawn by its ``reset_parameters``, which also resets statistics such as those of batch norm. Parameters
    that this leaves as trained (positional embeddings, class tokens, attention's projections) are drawn from the normal
    distribution of their own mean and standard deviation, a single number from one of its own size; those of one value
    throughout stay. Weights that are computed (weight and spectral norm, pruning, parametrisations) become plain ones
    first. Buffers of layers without ``reset_parameters``, such as windows and filter banks, stay.
    """
    layers = list(enumerate(reversed(layers_of(model))))
    if not layers or not any(True for _ in model.parameters()):
        raise UserError(
            "the model has no parameters, so they cannot be randomised; give it as an nn.Module with its parameters, "
            "neither frozen nor quantised"
        )
    randomised = _plain_copy(model)
    modules = dict(randomised.named_modules())
    for depth, name in reversed(layers) if bottom_up else layers:
        _randomise(modules[name], derived_seed("model randomisation", seed, depth))
        yield randomised


def layers_of(model: nn.Module) -> list[str]:
    """Names of the layers that hold what is learnt, in the order of definition.

    Raises
    ------
    UserError
        If a layer keeps its weights packed, as quantised ones do, so that they would stay as trained.
    """
    names = []
    for name, module in model.named_modules():
        if hasattr(module, "_packed_params") or type(module).__module__.startswith("torch.ao.nn.quantized"):
            raise UserError(
                f"layer {name!r} is quantised ({type(module).__name__}), so its weights would stay as trained; give "
                "the model before quantisation"
            )
        if "parametrizations" in name.split("."):
            continue
        statistics = _resets(module) and any(value.is_floating_point() for value in module.buffers(recurse=False))
        if statistics or parametrize.is_parametrized(module) or any(True for _ in module.parameters(recurse=False)):
            names.append(name)
    return names


def _resets(layer: nn.Module) -> bool:
    """Whether it has a ``reset_parameters`` without arguments."""
    reset = getattr(layer, "reset_parameters", None)
    return callable(reset) and all(
        parameter.default is not parameter.empty or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        for parameter in inspect.signature(reset).parameters.values()
    )


def _plain_copy(model: nn.Module) -> nn.Module:
    """Copy of the model whose computed weights are plain parameters with the values that they have in evaluation."""
    # Tensors that are results of operations cannot be copied otherwise.
    results = {
        id(value): value.detach().clone()
        for module in model.modules()
        for value in vars(module).values()
        if isinstance(value, Tensor) and value.grad_fn is not None
    }
    try:
        # Outside of inference mode, so that gradients can be taken of the copy.
        with torch.inference_mode(mode=False), torch.no_grad(), warnings.catch_warnings():
            # PyTorch warns of its own copies of exported programs.
            warnings.simplefilter("ignore", FutureWarning)
            own = copy.deepcopy(model, results)
    except (RuntimeError, TypeError, NotImplementedError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"the model cannot be copied ({reason}), so its parameters cannot be randomised; give one that "
            "copy.deepcopy copies"
        ) from error
    with torch.no_grad(), evaluating(own):
        for module in own.modules():
            if parametrize.is_parametrized(module):
                _remove_parametrisations(cast(Any, module))
            for hook in list(module._forward_pre_hooks.values()):
                if isinstance(hook, WeightNorm):
                    remove_weight_norm(module, hook.name)
                elif isinstance(hook, SpectralNorm):
                    remove_spectral_norm(module, hook.name)
                elif isinstance(hook, prune.BasePruningMethod):
                    cast(Any, prune).remove(module, hook._tensor_name)
    return own


def _remove_parametrisations(module: Any) -> None:
    # PyTorch's own removal takes the properties from the class, which the copied module shares with the original.
    learnt = {name for name, each in module.parametrizations.items() if any(True for _ in each.parameters())}
    values = {name: getattr(module, name).detach().clone() for name in module.parametrizations}
    module.__class__ = parametrize.type_before_parametrizations(module)
    del module.parametrizations
    for name, value in values.items():
        if name in learnt:
            module.register_parameter(name, nn.Parameter(value))
        else:
            module.register_buffer(name, value)


def _randomise(layer: nn.Module, seed: int) -> None:
    """New parameters from this seed, drawn on the CPU so that they are the same for every device."""
    own = list(layer.parameters(recurse=False))
    device = next(value.device for value in (*own, *layer.buffers(recurse=False)))
    trained = [parameter.detach().clone() for parameter in own]
    # Everything is drawn from the CPU's default generator, so no other device's state has to be kept.
    with torch.random.fork_rng(devices=()), torch.no_grad():
        torch.default_generator.manual_seed(seed)
        if _resets(layer):
            cast(Any, layer.cpu()).reset_parameters()
            layer.to(device)
        for parameter, before in zip(layer.parameters(recurse=False), trained, strict=True):
            if torch.equal(parameter, before):
                parameter.copy_(_like(before.cpu()))


def _like(values: Tensor) -> Tensor:
    """Normal numbers of the mean and the standard deviation of these; a single one of its own size."""
    if not (values.is_floating_point() or values.is_complex()) or (
        values.numel() != 1 and bool((values == values.flatten()[:1]).all())
    ):
        return values
    normal = torch.randn(values.shape, dtype=values.dtype)
    return values.abs() * normal if values.numel() == 1 else values.mean() + values.std(correction=0) * normal


def _scaled(attributions: Tensor) -> Tensor:
    """Each sample's map divided by its largest magnitude; NaN where it is all zero."""
    largest = attributions.abs().flatten(1).amax(1).reshape(-1, *[1] * (attributions.ndim - 1))
    return attributions / torch.where(largest > 0, largest, torch.nan)
