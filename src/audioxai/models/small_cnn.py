"""A small convolutional network, the default of every comparison."""

from torch import nn

from audioxai.domains import Domain
from audioxai.models.front_end import Standardise
from audioxai.models.registry import ARCHITECTURES

CHANNELS = (16, 32, 64, 64)


def _block(channels_in: int, channels_out: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
        nn.MaxPool2d(2),
    ]


@ARCHITECTURES.register(
    "small_cnn",
    label="Small CNN",
    family="convolutional",
    dimensions=2,
    smallest=16,
    learning_rate=4e-3,  # batch norm bears a higher peak rate than architectures without it
    source="This project",
)
def small_cnn(domain: Domain, class_count: int) -> nn.Module:
    """Four blocks of 3 × 3 convolution, batch norm, ReLU and pooling, then global average and one linear layer.

    Takes ``(batch, 1, rows, columns)`` of at least 16 × 16 features; 61,000 parameters.
    """
    layers: list[nn.Module] = [Standardise(*domain.value_range)]
    for channels_in, channels_out in zip((1, *CHANNELS[:-1]), CHANNELS, strict=True):
        layers += _block(channels_in, channels_out)
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(CHANNELS[-1], class_count)]
    return nn.Sequential(*layers)
