"""Silero VAD: how likely somebody speaks. ``pip install silero-vad`` brings the weights (MIT licence).

``audioxai explain clip.wav --model examples/models/silero.py:build``
"""

import warnings
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

import audioxai as ax

RATE_HZ, WINDOW, CONTEXT = 16_000, 512, 64


class Silero(nn.Module):
    """Waveforms ``(batch, 1, time)`` at 16 kHz → logits of speech ``(batch, windows)``, a window lasting 32 ms."""

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 258, 256, 128, bias=False)
        self.conv1 = nn.Conv1d(129, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, 2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, 2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm_cell = nn.LSTMCell(128, 128)
        self.final_conv = nn.Conv1d(128, 1, 1)

    def forward(self, waveforms: Tensor) -> Tensor:
        """The state is handed on from window to window, and zero at the start of every clip."""
        padded = functional.pad(waveforms, (CONTEXT, -waveforms.shape[-1] % WINDOW))
        windows = padded.unfold(2, CONTEXT + WINDOW, WINDOW)[:, 0]
        reflected = functional.pad(windows.flatten(0, 1)[:, None], (0, CONTEXT), mode="reflect")
        real, imaginary = self.stft_conv(reflected).chunk(2, 1)
        # Above 0, where the root has no gradient: silence is where paths start.
        features = (real.square() + imaginary.square()).clamp_min(1e-12).sqrt()
        for convolution in (self.conv1, self.conv2, self.conv3, self.conv4):
            features = torch.relu(convolution(features))
        state, logits = None, []
        for step in features[..., 0].unflatten(0, windows.shape[:2]).unbind(1):
            state = self.lstm_cell(step, state)
            logits.append(self.final_conv(torch.relu(state[0])[..., None])[..., 0])
        return torch.cat(logits, 1)


def build() -> ax.Model:
    """The model with the published weights; the logit of a clip is the mean over its windows."""
    found = find_spec("silero_vad")
    if found is None or found.origin is None:
        raise ax.UserError("silero-vad is not installed; run pip install silero-vad")
    module = Silero()
    # Not by importing the package, which sets the number of PyTorch's threads. Its safetensors are of another release.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        published = torch.jit.load(str(Path(found.origin).with_name("data") / "silero_vad.jit"))
    tensors = [tensor for name, tensor in published.state_dict().items() if name.startswith("_model.")]
    module.load_state_dict(dict(zip(module.state_dict(), tensors, strict=True)))
    return ax.load_model(module.eval(), sample_rate=RATE_HZ, class_names=["speech"], pool="mean")
