"""Networks as users bring them: plain PyTorch, each with a front end of its own, unlike the project's architectures.

:mod:`foreign_models` trains them and copies this file beside their weights, so it needs nothing but PyTorch and NumPy.
All take waveforms ``(batch, 1, time)`` and return logits ``(batch, classes)``.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class LogMelFrontEnd(nn.Module):
    """Log-mel spectrograms ``(batch, bands, frames)``: HTK mel, windows of 25 ms every 10 ms, natural logarithm."""

    window: Tensor
    filters: Tensor

    def __init__(self, sample_rate_hz: int, bands: int) -> None:
        super().__init__()
        self.window_length, self.hop = round(0.025 * sample_rate_hz), round(0.01 * sample_rate_hz)
        self.transform_length = 2 ** math.ceil(math.log2(self.window_length))
        self.register_buffer("window", torch.hann_window(self.window_length), persistent=False)
        self.register_buffer("filters", mel_filters(sample_rate_hz, bands, self.transform_length), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Spectrograms of waveforms ``(batch, 1, time)``."""
        spectrum = torch.stft(
            waveforms.flatten(1),
            self.transform_length,
            self.hop,
            self.window_length,
            self.window,
            pad_mode="constant",
            return_complex=True,
        )
        power = spectrum.real.square() + spectrum.imag.square()
        return (self.filters @ power + 1e-5).log()


def mel_filters(sample_rate_hz: int, bands: int, transform_length: int, lowest_hz: float = 40.0) -> Tensor:
    """Triangles ``(bands, bins)`` with their corners equally spaced on the mel scale."""

    def mel(hz: Tensor) -> Tensor:
        return 2595.0 * torch.log10(1.0 + hz / 700.0)

    ends = mel(torch.tensor([lowest_hz, sample_rate_hz / 2.0]))
    corners = torch.linspace(float(ends[0]), float(ends[1]), bands + 2)[:, None]
    bins = mel(torch.linspace(0.0, sample_rate_hz / 2.0, transform_length // 2 + 1))
    rising = (bins - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - bins) / (corners[2:] - corners[1:-1])
    return torch.minimum(rising, falling).clamp(min=0.0)


class BroadcastedResidual(nn.Module):
    """A block of BC-ResNet (Kim et al. 2021): 2-D along frequency, 1-D along time, the latter broadcast back."""

    def __init__(self, channels_in: int, channels: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.same = channels_in == channels and stride == 1
        widened = [] if self.same else [nn.Conv2d(channels_in, channels, 1, bias=False), nn.BatchNorm2d(channels)]
        self.along_frequency = nn.Sequential(
            *widened,
            *([] if self.same else [nn.ReLU()]),
            nn.Conv2d(channels, channels, (3, 1), (stride, 1), (1, 0), groups=channels, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.along_time = nn.Sequential(
            nn.Conv2d(
                channels, channels, (1, 3), padding=(0, dilation), dilation=(1, dilation), groups=channels, bias=False
            ),
            nn.BatchNorm2d(channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.Dropout2d(0.1),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps ``(batch, channels, bands, frames)``."""
        both = self.along_frequency(maps)
        averaged = self.along_time(both.mean(2, keepdim=True))
        return functional.relu(both + averaged + maps if self.same else both + averaged)


class KeywordCnn(nn.Module):
    """Broadcasted residuals on 40 mel bands."""

    def __init__(self, class_count: int, sample_rate_hz: int, width: int = 12) -> None:
        super().__init__()
        self.front_end = LogMelFrontEnd(sample_rate_hz, 40)
        self.scale = nn.BatchNorm2d(1)
        self.stem = nn.Sequential(nn.Conv2d(1, 2 * width, 5, 2, 2, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU())
        self.blocks = nn.Sequential(
            BroadcastedResidual(2 * width, width, 1, 1),
            BroadcastedResidual(width, width, 1, 1),
            BroadcastedResidual(width, 3 * width // 2, 2, 2),
            BroadcastedResidual(3 * width // 2, 3 * width // 2, 1, 2),
            BroadcastedResidual(3 * width // 2, 2 * width, 2, 4),
            BroadcastedResidual(2 * width, 2 * width, 1, 4),
            BroadcastedResidual(2 * width, 5 * width // 2, 1, 8),
            BroadcastedResidual(5 * width // 2, 5 * width // 2, 1, 8),
        )
        self.head = nn.Sequential(
            nn.Conv2d(5 * width // 2, 4 * width, (5, 1), bias=False), nn.BatchNorm2d(4 * width), nn.ReLU()
        )
        self.classes = nn.Linear(4 * width, class_count)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Logits of waveforms."""
        maps = self.blocks(self.stem(self.scale(self.front_end(waveforms)[:, None])))
        logits: Tensor = self.classes(self.head(maps).mean((2, 3)))
        return logits


class WaveformCnn(nn.Module):
    """M5 (Dai et al. 2017): a long first kernel on the samples, then pooled convolutions of length 3."""

    def __init__(self, class_count: int, width: int = 48) -> None:
        super().__init__()
        widths = (width, width, 2 * width, 2 * width)
        layers: list[nn.Module] = []
        channels_in = 1
        for number, channels in enumerate(widths):
            kernel, stride = (80, 8) if number == 0 else (3, 1)
            layers += [
                nn.Conv1d(channels_in, channels, kernel, stride, kernel // 2, bias=False),
                nn.BatchNorm1d(channels),
                nn.ReLU(),
                nn.MaxPool1d(4 if number else 2),
            ]
            channels_in = channels
        self.layers = nn.Sequential(*layers, nn.Dropout(0.2))
        self.classes = nn.Linear(channels_in, class_count)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Logits of waveforms."""
        logits: Tensor = self.classes(self.layers(waveforms).mean(2))
        return logits


class Recurrent(nn.Module):
    """A bidirectional GRU over log-mel frames, averaged over time."""

    def __init__(self, class_count: int, sample_rate_hz: int, width: int = 64) -> None:
        super().__init__()
        self.front_end = LogMelFrontEnd(sample_rate_hz, 40)
        self.scale = nn.BatchNorm1d(40)
        self.fewer = nn.Conv1d(40, width, 5, 2, 2)
        self.recurrent = nn.GRU(width, width, num_layers=2, batch_first=True, bidirectional=True, dropout=0.2)
        self.classes = nn.Sequential(nn.Dropout(0.2), nn.Linear(2 * width, class_count))

    def forward(self, waveforms: Tensor) -> Tensor:
        """Logits of waveforms."""
        frames = functional.relu(self.fewer(self.scale(self.front_end(waveforms))))
        states, _ = self.recurrent(frames.transpose(1, 2))
        logits: Tensor = self.classes(states.mean(1))
        return logits
