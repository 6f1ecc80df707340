"""The protocols of baselines."""

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Baseline(Protocol):
    """Values that replace absent features."""

    @property
    def name(self) -> str:
        """Its name in results."""
        ...

    def __call__(self, inputs: Tensor) -> Tensor:
        """Tensor shaped like ``inputs``, in the same unit, that shares no memory with them."""
        ...


@runtime_checkable
class RandomBaseline(Baseline, Protocol):
    """A baseline that is drawn at random; a call returns its first draw."""

    def drawn(self, inputs: Tensor, draw: int) -> Tensor:
        """Draw number ``draw``, shaped like ``inputs``, determined for each sample by its values and the seed."""
        ...
