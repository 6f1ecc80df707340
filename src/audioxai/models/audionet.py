"""AudioNet, the waveform classifier of the AudioMNIST paper."""

from torch import nn

from audioxai.domains import Domain
from audioxai.models.registry import ARCHITECTURES

CHANNELS = (100, 64, 128, 128, 128, 128)


@ARCHITECTURES.register(
    "audionet",
    label="AudioNet",
    family="convolutional",
    dimensions=1,
    smallest=64,
    learning_rate=5e-4,
    source="Becker et al. 2018",
    revision=2,
)
def audionet(domain: Domain, class_count: int) -> nn.Module:
    """Six blocks of 3-tap convolution, ReLU and pooling on waveforms ``(batch, 1, time)``, then 1024, 512, classes.

    Notes
    -----
    Becker et al. 2018, for 1 s at 8 kHz; other lengths change the first linear layer alone. Weights begin as in He et
    al. 2015: with PyTorch's own the signal fades over the nine layers, and training on few clips never gets going.
    """
    (samples,) = domain.shape
    layers: list[nn.Module] = []
    for channels_in, channels_out in zip((1, *CHANNELS[:-1]), CHANNELS, strict=True):
        layers += [nn.Conv1d(channels_in, channels_out, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool1d(2)]
    flat = CHANNELS[-1] * (samples // 2 ** len(CHANNELS))
    layers += [
        nn.Flatten(),
        nn.Linear(flat, 1024),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(1024, 512),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(512, class_count),
    ]
    for layer in layers:
        if isinstance(layer, nn.Conv1d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # every layer here has one
    return nn.Sequential(*layers)
