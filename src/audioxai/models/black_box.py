"""Functions from waveforms to scores as modules; no gradient passes through them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

NO_GRADIENT = "what computes the scores is no torch module, so no gradient passes through it"


class BlackBox(nn.Module):
    """A function as a module.

    Parameters
    ----------
    function : callable
        Takes waveforms and returns scores: arrays, tensors, or sequences or mappings of these.
    takes_arrays : bool
        Whether it takes NumPy arrays, float32; else tensors.

    Examples
    --------
    >>> loudness = BlackBox(lambda waveforms: np.abs(waveforms).mean(1, keepdims=True), takes_arrays=True)
    >>> loudness(torch.ones(2, 100)).shape
    torch.Size([2, 1])
    """

    def __init__(self, function: Callable[[Any], Any], *, takes_arrays: bool) -> None:
        super().__init__()
        self.function = Shared(function)
        self.takes_arrays = takes_arrays
        self.training = False

    def forward(self, waveforms: Tensor) -> Any:
        """What the function returns, arrays as tensors on the device of the waveforms."""
        detached = waveforms.detach()
        with torch.no_grad():
            given = detached.cpu().float().numpy().copy() if self.takes_arrays else detached.clone()
            return _as_tensors(self.function(given), waveforms.device)


class Shared:
    """A function that copies of a module share: sessions of inference libraries cannot be copied."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def __call__(self, given: Any) -> Any:
        """What the function returns."""
        return self.function(given)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Shared":
        return self


def _as_tensors(output: Any, device: torch.device) -> Any:
    """Arrays and lists of numbers as tensors, within mappings and tuples too."""
    if isinstance(output, Tensor):
        return output.detach().to(device)
    if isinstance(output, np.ndarray | np.generic):
        return torch.as_tensor(np.array(output), device=device)
    if isinstance(output, dict):
        return {key: _as_tensors(value, device) for key, value in output.items()}
    if isinstance(output, list) and _holds_numbers(output):
        return torch.tensor(output, device=device)
    if isinstance(output, list | tuple):
        return tuple(_as_tensors(value, device) for value in output)
    return torch.tensor(output, device=device) if isinstance(output, int | float) else output


def _holds_numbers(values: Any) -> bool:
    if isinstance(values, list):
        return len(values) > 0 and all(map(_holds_numbers, values))
    return isinstance(values, int | float | np.generic)
