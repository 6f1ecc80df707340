"""Which test samples are explained, and how a model sees them."""

import torch
from torch import Tensor

from audioxai.datasets import Dataset
from audioxai.models.front_end import Classifier
from audioxai.utils.errors import UserError
from audioxai.utils.hardware import inputs_per_call, slices
from audioxai.utils.seeding import generator


def chosen(test: Dataset, count: int, sample_seed: int, option: str = "samples_per_seed") -> Tensor:
    """Positions ``(count,)`` of the test samples that one training seed's models explain.

    Consecutive stretches of one seeded shuffle, so that different training seeds meet different samples as long as the
    test part suffices. ``option`` is what asks for that many, named where they are too many.

    Raises
    ------
    UserError
        If the test part holds fewer samples.
    """
    if count > len(test):
        raise UserError(
            f"{option} is {count} but the test part of {test.name} holds {len(test)} samples; ask for fewer"
        )
    order = torch.randperm(len(test), generator=generator("explained samples", test.name, test.split_name))
    return order[(sample_seed * count + torch.arange(count)) % len(test)]


def in_domain(model: Classifier, recorded: Tensor, device: torch.device) -> Tensor:
    """Recordings ``(samples, 1, …)`` in the model's domain, ``(samples, 1, *domain.shape)``, on the device."""
    size = inputs_per_call(recorded[0].numel(), device)
    return torch.cat([model.front_end(recorded[rows].to(device)) for rows in slices(len(recorded), size)])


def predicted(model: Classifier, inputs: Tensor) -> Tensor:
    """Predicted classes ``(samples,)`` of inputs in the model's domain."""
    return torch.cat([model.body(inputs[part]) for part in slices(len(inputs), 64)]).argmax(1)
