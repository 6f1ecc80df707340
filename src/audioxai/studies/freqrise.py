"""FreqRISE's protocol: bins of a clip's spectrum deleted by relevance, AudioNet on waveforms at 8 kHz.

Brüsch et al. 2024 judge explanations of AudioNet in the frequency domain by deletion, on AudioMNIST. Here the same is
measured on any data set of recordings, with what they lack: a control that knows nothing of the model but the amplitude
of each bin, intervals, and one grid for all methods where bins are of a short-time transform.
"""

from dataclasses import dataclass, replace

from audioxai import datasets
from audioxai.datasets.by_attribute import ByAttribute
from audioxai.experiment import Cell, DataSpec, MetricSpec, ModelSpec, Study
from audioxai.experiment.models import ATTRIBUTES
from audioxai.experiment.study import VIEWS
from audioxai.report.freqrise import freqrise_document
from audioxai.studies.options import (
    RunConfig,
    context_of,
    require_distinct,
    require_positive,
    run_options,
    training,
)
from audioxai.utils.configuration import option, require_known
from audioxai.xai_methods import METHODS

NAME = "freqrise"
QUESTION = "Which explanation of a waveform model finds the frequencies that it needs, and does any beat the amplitude?"
DOCUMENT = freqrise_document
COMPARED = ("input_x_gradient", "integrated_gradients", "lrp", "freqrise", "energy", "random")
ARCHITECTURE = "audionet"
# AudioNet sees no grid of bands and frames.
NO_GRID = (1, 1)
OWN_LABEL = "digit"


@dataclass(frozen=True)
class FreqRiseConfig(RunConfig):
    """Everything that decides the numbers of the study; each field is an option."""

    profile: str = option("quick", "profile that sets all other options: quick or standard")
    datasets: tuple[str, ...] = option(("fsdd", "audio_mnist_az"), "audio data sets; audio_mnist is the published one")
    split: str | None = option(
        None,
        "split of the data sets; their default split if not given, fold1 of AudioMNIST, which is the published one",
    )
    label: str = option("digit", "what AudioNet tells apart: digit, or an attribute of the speakers such as gender")
    limit: int | None = option(600, "most clips of each part of the split that are used; null for all")
    epochs: int = option(6, "training epochs")
    batch_size: int = option(16, "clips per training step")
    training_seeds: tuple[int, ...] = option((0,), "one model is trained for each")
    clips_per_seed: int = option(12, "test clips explained for each model")
    features: tuple[str, ...] = option(
        ("rfft", "stft"), "bins of the whole clip's transform, of a short-time one, or both"
    )
    methods: tuple[str, ...] = option(COMPARED, "explanation methods")
    gradients: int = option(32, "gradients of Integrated Gradients per clip")
    masks: int = option(200, "masks of FreqRISE per clip; 10,000 are published")

    def __post_init__(self) -> None:
        require_known("data set", self.datasets, datasets.names_of("audio"))
        require_known("kind of features", self.features, VIEWS)
        suited = [name for name, entry in METHODS.items() if all(entry.takes(features) for features in VIEWS)]
        require_known("method", self.methods, suited)
        require_known("label", (self.label,), (OWN_LABEL, *ATTRIBUTES))
        require_distinct(self, "training_seeds", "datasets", "features")
        require_positive(self, "epochs", "batch_size", "clips_per_seed", "gradients", "masks")
        run_options(self)


PROFILES: dict[str, FreqRiseConfig] = {
    "quick": FreqRiseConfig(),
    "standard": FreqRiseConfig(
        profile="standard",
        limit=None,
        epochs=40,
        batch_size=32,
        training_seeds=(0, 1, 2),
        clips_per_seed=100,
        masks=3_000,
    ),
}


def declare(config: FreqRiseConfig) -> Study:
    """The study that a configuration describes."""
    return Study(
        name=NAME,
        title="FreqRISE's protocol: frequencies deleted by relevance",
        question=QUESTION,
        cells=tuple(
            Cell(
                _model(config, dataset, seed),
                position,
                config.clips_per_seed,
                material="labelled",
                gradients=(config.gradients,),
                passes=(config.masks,),
                features=features,
            )
            for dataset in config.datasets
            for position, seed in enumerate(config.training_seeds)
            for features in VIEWS
            if features in config.features
        ),
        methods=config.methods,
        metrics=(MetricSpec("positive_deletion", materials=("labelled",)),),
        profile=config.profile,
        context=context_of(config, PROFILES, f"-m audioxai.cli run {NAME}"),
        document=DOCUMENT,
    )


def _model(config: FreqRiseConfig, dataset: str, seed: int) -> ModelSpec:
    recipe = replace(training(ARCHITECTURE, config.epochs, seed, "audio"), batch_size=config.batch_size)
    source = dataset if config.label == OWN_LABEL else ByAttribute(dataset, config.label)
    return ModelSpec(DataSpec(source, config.split, config.limit), ARCHITECTURE, NO_GRID, recipe)
