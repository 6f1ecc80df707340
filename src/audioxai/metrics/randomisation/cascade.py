"""Models whose layers are drawn anew, one after the other."""

import copy
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import nn

from audioxai.utils.errors import UserError
from audioxai.utils.seeding import derived_seed


def cascade(model: nn.Module, seed: int, *, bottom_up: bool = False) -> Iterator[nn.Module]:
    """Copy of the model with its last layer drawn anew, then its last two, and so on down to the first.

    Parameters
    ----------
    model : nn.Module
        Itself and the global random state stay as they are.
    seed : int
        Every layer has weights of its own from it, the same from whichever end and on whichever device.
    bottom_up : bool
        Start with the first layer instead.

    Yields
    ------
    nn.Module
        One and the same copy each time, randomised further.

    Raises
    ------
    UserError
        If no layer can be drawn anew.
    """
    layers = list(enumerate(reversed(resettable(model))))
    if not layers:
        raise UserError(
            "the model has no layer with reset_parameters, so its parameters cannot be randomised; give one whose "
            "layers have that method, as PyTorch's own do"
        )
    randomised = copy.deepcopy(model)
    modules = dict(randomised.named_modules())
    for depth, name in reversed(layers) if bottom_up else layers:
        _draw_anew(modules[name], derived_seed("model randomisation", seed, depth))
        yield randomised


def resettable(model: nn.Module) -> list[str]:
    """Names of the layers that hold parameters and know how to draw them anew, in the order of definition."""
    return [
        name
        for name, module in model.named_modules()
        if callable(getattr(module, "reset_parameters", None)) and any(True for _ in module.parameters(recurse=False))
    ]


def _draw_anew(layer: nn.Module, seed: int) -> None:
    """New parameters from this seed, drawn on the CPU so that every device sees the same."""
    device = next(layer.parameters(recurse=False)).device
    # What layers draw comes from the CPU's own generator; those of other devices are neither used nor touched.
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(seed)
        cast(Any, layer.cpu()).reset_parameters()
    layer.to(device)
