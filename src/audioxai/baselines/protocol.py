"""What every baseline offers."""

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Baseline(Protocol):
    """Turns inputs into what they would be with nothing in them."""

    @property
    def name(self) -> str:
        """Its name in results."""
        ...

    def __call__(self, inputs: Tensor) -> Tensor:
        """Tensor shaped like ``inputs``, in the same unit, that shares no memory with them."""
        ...


@runtime_checkable
class RandomBaseline(Baseline, Protocol):
    """A baseline that can be drawn again and again; called, it is its first draw."""

    def drawn(self, inputs: Tensor, draw: int) -> Tensor:
        """Draw number ``draw``, shaped like ``inputs``, each sample's own by its values and the seed."""
        ...
