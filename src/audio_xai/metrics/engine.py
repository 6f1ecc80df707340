"""The pass engine: every model pass that a metric needs goes through here, stacked into calls of the best size."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from audio_xai.core import Explainer, target_scores, unchanged
from audio_xai.utils.errors import UserError
from audio_xai.utils.hardware import inputs_per_call, slices
from audio_xai.utils.seeding import content_key, generator

Perturbation = Callable[[Tensor, Tensor], Tensor]


def perturbed_scores(
    model: nn.Module, inputs: Tensor, targets: Tensor, perturbation: Perturbation, runs: int
) -> Tensor:
    """Target logits ``(batch, runs)`` of every sample under every run, without gradients.

    Sample × run pairs are stacked into model calls that suit the device, so memory does not grow with ``runs``.

    Parameters
    ----------
    model, inputs, targets
        As everywhere.
    perturbation : callable
        ``perturbation(samples, runs)``, two index tensors ``(pairs,)`` → perturbed inputs ``(pairs, 1, …)``.
    runs : int
        Number of perturbations of each sample.
    """
    scores = torch.empty(len(inputs) * runs, dtype=inputs.dtype, device=inputs.device)
    pairs = torch.arange(len(scores), device=inputs.device)
    with unchanged(model), torch.inference_mode():
        for rows in slices(len(scores), inputs_per_call(inputs[0].numel(), inputs.device)):
            samples, run = pairs[rows] // runs, pairs[rows] % runs
            scores[rows] = target_scores(model, perturbation(samples, run), targets[samples])
    return scores.reshape(len(inputs), runs)


def plain_scores(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Target logits ``(batch,)`` of the unperturbed inputs, without gradients."""
    return perturbed_scores(model, inputs, targets, lambda samples, _: inputs[samples], runs=1)[:, 0]


def explained_again(
    explainer: Explainer, model: nn.Module, inputs: Tensor, targets: Tensor, perturbation: Perturbation, runs: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Explanations of every sample under every run, as ``(samples, attributions)``, a stack of pairs at a time."""
    pairs = torch.arange(len(inputs) * runs, device=inputs.device)
    for rows in slices(len(pairs), inputs_per_call(inputs[0].numel(), inputs.device)):
        samples, run = pairs[rows] // runs, pairs[rows] % runs
        yield samples, explainer(model, perturbation(samples, run), targets[samples])


def own_offsets(inputs: Tensor, *purpose: object) -> list[tuple[int, ...]]:
    """Random cyclic shift ``(cells along each axis)`` of every sample, a function of its values and the purpose alone.

    Random patterns are drawn once and every sample meets them shifted by its own offset: cheap, the same in any batch,
    and yet the chance of one draw is not shared by all samples, which would make intervals over samples too narrow.
    """
    shape = inputs.shape[2:]
    offsets = []
    for sample in inputs:
        random = generator(*purpose, content_key(sample))
        offsets.append(tuple(int(torch.randint(size, (1,), generator=random)) for size in shape))
    return offsets


def shifted_patterns(patterns: Tensor, samples: Tensor, runs: Tensor, offsets: list[tuple[int, ...]]) -> Tensor:
    """Pattern ``(1, …)`` of every sample × run pair, ``(pairs, 1, …)``, shifted by its sample's offset.

    Parameters
    ----------
    patterns : Tensor
        ``(runs, 1, …)``.
    samples, runs : Tensor
        Index tensors ``(pairs,)``, samples ascending.
    offsets : list of tuple of int
        One a sample, as :func:`own_offsets` gives them.
    """
    axes = tuple(range(2, patterns.ndim))
    met, counts = torch.unique_consecutive(samples, return_counts=True)
    parts = torch.split(runs, counts.tolist())
    return torch.cat(
        [patterns[part].roll(offsets[sample], axes) for sample, part in zip(met.tolist(), parts, strict=True)]
    )


def check_attributions(inputs: Tensor, attributions: Tensor, metric: str) -> None:
    """Refuse attributions that do not belong to the inputs or are not numbers.

    Raises
    ------
    UserError
        Naming the metric, and the sample where one is at fault.
    """
    if attributions.shape != inputs.shape:
        raise UserError(
            f"{metric} got attributions of shape {tuple(attributions.shape)} for inputs of {tuple(inputs.shape)}; "
            "both have to be shaped alike"
        )
    for name, values in (("inputs", inputs), ("attributions", attributions)):
        finite = torch.isfinite(values).flatten(1).all(1)
        if not bool(finite.all()):
            sample = int(torch.nonzero(~finite)[0, 0])
            raise UserError(f"{metric}: {name} of sample {sample} contain NaN or infinity; leave that sample out")
