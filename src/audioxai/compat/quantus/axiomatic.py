"""Axioms as Quantus 0.6.0 checks them: yes or no, and counts, by absolute tolerances or none."""

import copy
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from audioxai.compat.quantus.reference import QuantusMetric, as_sent, check_baseline, prepared, reading, still_fills
from audioxai.core import Explainer
from audioxai.metrics.batch import Batch
from audioxai.metrics.engine import Scoring
from audioxai.utils.errors import UserError


@dataclass(frozen=True)
class Completeness(QuantusMetric):
    """1 where attributions add up to F(x) − F(baseline) to the last bit, else 0; quirks: that, and the normalisation.

    Attributes
    ----------
    perturb_baseline : str or float
        ``black``, ``white``, ``mean`` of that sample, ``uniform`` (one number in [0, 1) per sample) or a value.
    abs, normalise : bool
        Whether absolute values are taken, after division by the batch's largest magnitude.
    softmax : bool
        Whether F is the target's probability, not its logit.
    seed : int
        Of NumPy's generator, for ``uniform``.
    """

    perturb_baseline: str | float = "black"
    abs: bool = False
    normalise: bool = True
    softmax: bool = False
    seed: int = 0

    label: ClassVar[str] = "completeness (Quantus)"
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    source: ClassVar[str] = "Sundararajan et al. 2017, as Quantus 0.6.0 has it"

    def __post_init__(self) -> None:
        check_baseline(self.perturb_baseline)

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """0 or 1."""
        features = batch.inputs.flatten(1)
        fills = still_fills(features, self.perturb_baseline, draws(self.seed, 1, len(batch)))

        def replace(samples: Tensor, runs: Tensor) -> Tensor:
            filled = fills[samples, runs, None].expand(-1, features.shape[1])
            return as_sent(filled).reshape(-1, *batch.inputs.shape[1:])

        read = reading(self.softmax)
        before, after = batch.plain(read), batch.responses(replace, 1, read)
        yield [before.work, after.work]
        explained = prepared(attributions, normalise=self.normalise, absolute=self.abs).flatten(1)
        # NumPy's order of summation: the answer hangs on the last bit.
        total = torch.from_numpy(explained.cpu().numpy().sum(1)).to(before.values.device)
        return (total == (before.values - after.values)[:, 0]).double()

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """Two per sample: the input and the baseline."""
        return 2 * len(inputs)


@dataclass(frozen=True)
class NonSensitivity(QuantusMetric):
    """Number of features of which exactly one is below ``eps``: the attribution, or the change of output without it.

    Quirk: one absolute number is the tolerance of both, attributions and, by default, probabilities. The
    reference's ``features_in_step`` is left out: there it raises for anything but single features, or all at once.

    Attributes
    ----------
    eps : float
        The tolerance.
    perturb_baseline, abs, normalise, softmax, seed
        As in :class:`Completeness`.
    """

    eps: float = 1e-5
    perturb_baseline: str | float = "black"
    abs: bool = True
    normalise: bool = True
    softmax: bool = True
    seed: int = 0

    label: ClassVar[str] = "non-sensitivity (Quantus)"
    higher_is_better: ClassVar[bool] = False
    score_range: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    source: ClassVar[str] = "Nguyen & Rodríguez Martínez 2020, as Quantus 0.6.0 has it"

    def __post_init__(self) -> None:
        check_baseline(self.perturb_baseline)

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """Counts."""
        features = batch.inputs.flatten(1)
        count = features.shape[1]
        fills = still_fills(features, self.perturb_baseline, draws(self.seed, count, len(batch)))

        def remove(samples: Tensor, runs: Tensor) -> Tensor:
            filled = features[samples].scatter(1, runs[:, None], fills[samples, runs, None])
            return as_sent(filled).reshape(-1, *batch.inputs.shape[1:])

        read = reading(self.softmax)
        before, after = batch.plain(read), batch.responses(remove, count, read)
        yield [before.work, after.work]
        without_effect = (after.values - before.values).abs() < self.eps
        irrelevant = prepared(attributions, normalise=self.normalise, absolute=self.abs).flatten(1) < self.eps
        return (without_effect ^ irrelevant).double().sum(1)

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """Per sample one for each feature and one for the unperturbed input."""
        return len(inputs) * (inputs.shape[1:].numel() + 1)


@dataclass(frozen=True)
class InputInvariance(QuantusMetric):
    """1 where the explanation of the shifted input under the shifted model is the same within 1e-4, else 0.

    Quirks: the tolerance is absolute, the very first feature is not shifted, and the first layer's bias makes up for
    the least response to a constant input, which at the padded border is not the response elsewhere.

    Attributes
    ----------
    explainer : Explainer
        The method under test.
    input_shift : float
        What is added to the input.
    abs, normalise : bool
        As in :class:`Completeness`.
    """

    explainer: Explainer
    input_shift: float = -1.0
    abs: bool = False
    normalise: bool = False

    label: ClassVar[str] = "input invariance (Quantus)"
    higher_is_better: ClassVar[bool] = True
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    source: ClassVar[str] = "Kindermans et al. 2019, as Quantus 0.6.0 has it"

    def scoring(self, batch: Batch, attributions: Tensor) -> Scoring:
        """0 or 1."""
        again = torch.empty_like(attributions)

        def shifted(samples: Tensor, _: Tensor) -> Tensor:
            inputs = batch.inputs[samples].flatten(1)
            inputs[:, 1:] += self.input_shift
            return inputs.reshape(-1, *batch.inputs.shape[1:])

        def take(samples: Tensor, _: Tensor, explained: Tensor) -> None:
            again[samples] = explained.to(again.dtype)

        model = shifted_model(batch.model, self.input_shift, batch.inputs)
        yield [batch.explanations(self.explainer, shifted, 1, take, model=model)]
        first, second = (
            prepared(maps, normalise=self.normalise, absolute=self.abs).flatten(1) for maps in (attributions, again)
        )
        return torch.isclose(first, second, rtol=1e-5, atol=1e-4).all(1).double()

    def passes(self, model: nn.Module, inputs: Tensor) -> int:  # noqa: ARG002 (the interface)
        """One explanation per sample."""
        return self.explainer.passes(inputs)


def shifted_model(model: nn.Module, input_shift: float, inputs: Tensor) -> nn.Module:
    """Copy of the model whose first layer's bias is b − min(response to the shift − b), channel by channel.

    Raises
    ------
    UserError
        If the model's first submodule is no convolution with a bias.
    """
    copied = copy.deepcopy(model)
    layer = next(iter(copied.children()), copied)
    if not isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d) or layer.bias is None:
        raise UserError(
            f"the model's first layer is {type(layer).__name__}; "
            "Quantus's input invariance needs a convolution with bias there: use the default metric"
        )
    with torch.no_grad():
        response = layer.forward(torch.full_like(inputs[:1], input_shift))[0].flatten(1)
        layer.bias.copy_(2 * layer.bias - response.amin(1))
    return copied


def draws(seed: int, calls: int, batch: int) -> np.ndarray:
    """Numbers in [0, 1), ``(calls, batch)``, that the reference draws, whatever the baseline, call by call."""
    return np.random.RandomState(seed).uniform(size=(calls, batch))
