"""AlexNet as the AudioMNIST paper used it, with a stem that also serves small inputs."""

from torch import nn

from audioxai.domains import Domain
from audioxai.models.front_end import Standardise
from audioxai.models.registry import ARCHITECTURES


def stem_stride(rows: int) -> int:
    """Stride of the first convolution: 4 as published from 128 rows on, less below, so that five stages remain."""
    return 4 if rows >= 128 else 2 if rows >= 64 else 1


@ARCHITECTURES.register(
    "alexnet",
    label="AlexNet",
    family="convolutional",
    dimensions=2,
    smallest=28,
    learning_rate=5e-4,
    source="Krizhevsky et al. 2012, as in Becker et al. 2018",
)
def alexnet(domain: Domain, class_count: int) -> nn.Module:
    """Five convolutions and three linear layers of 1024, 1024 and ``class_count``, without local normalisation.

    Takes ``(batch, 1, rows, columns)`` of at least 28 × 28 features.

    Notes
    -----
    Krizhevsky et al. 2012 in the variant of Becker et al. 2018 (narrower linear layers, no normalisation). At 227 × 227
    the convolutions are the published ones; below 128 rows only the stem's stride is smaller.
    """
    rows = domain.shape[0]
    return nn.Sequential(
        Standardise(*domain.value_range),
        nn.Conv2d(1, 96, kernel_size=11, stride=stem_stride(rows), padding=2),
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=3, stride=2),
        nn.Conv2d(96, 256, kernel_size=5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=3, stride=2),
        nn.Conv2d(256, 384, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 384, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=3, stride=2),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(256 * 4, 1024),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(1024, 1024),
        nn.ReLU(),
        nn.Linear(1024, class_count),
    )
