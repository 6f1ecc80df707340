"""Controls: attributions that explain nothing, which every method has to beat."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from audio_xai.utils.seeding import generator


@dataclass(frozen=True)
class RandomAttribution:
    """Standard normal noise that depends on the seed and the shape alone, the same for every sample and model."""

    seed: int = 0

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:  # noqa: ARG002 (the protocol's)
        """Attributions shaped like ``inputs``."""
        noise = torch.randn(inputs.shape[1:], generator=generator("random attribution", self.seed))
        return noise.to(inputs).expand_as(inputs).clone()

    def passes(self, inputs: Tensor) -> int:  # noqa: ARG002 (the protocol's)
        """None."""
        return 0
