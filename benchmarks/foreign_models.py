"""Train classifiers that are not the project's, from real recordings, in a few minutes each on one core.

Usage::

    python benchmarks/foreign_models.py --out FOLDER                       # all of them
    python benchmarks/foreign_models.py --out FOLDER --only ast_fsdd       # one of them

Five kinds: a CNN on spectrograms, a CNN on waveforms, a recurrent network (plain PyTorch, saved as safetensors with a
file whose function makes the model), an Audio Spectrogram Transformer and a wav2vec 2.0 (saved as Hugging Face
folders). They are trained on Speech Commands and on spoken digits whose parts share no speaker, and on FSDD, whose own
parts do. ``FOLDER/models.json`` says what each is and what it reached on test recordings. Models that are there are
kept.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioxai import datasets
from audioxai.datasets import AudioFormat, Dataset
from audioxai.models.tiny_transformers import library_ast, library_wav2vec2
from audioxai.utils.commands import OneLineParser, run_command
from audioxai.utils.files import write_json, write_text
from audioxai.utils.seeding import derived_seed

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import foreign_networks as networks

LIST = "models.json"
# Smallest power in the AST extractor's filter bank.
FBANK_FLOOR = 1.192092955078125e-07


@dataclass(frozen=True)
class Recipe:
    """What is trained on what, and how.

    Attributes
    ----------
    kind : str
        One of :data:`KINDS`.
    data, split : str
        Data set and its division.
    sample_rate_hz : int
        Rate of the waveforms that the model takes.
    epochs : int
        Length of the schedule: a linear rise over the first tenth, then a cosine to zero.
    learning_rate : float
        Peak rate of AdamW.
    batch_size : int
        Recordings of a step.
    augmentation : float
        How much training recordings are changed, in [0, 1]; see :func:`augmented`. Transformers learn late under more.
    """

    kind: str
    data: str
    split: str
    sample_rate_hz: int
    epochs: int
    learning_rate: float
    batch_size: int = 32
    augmentation: float = 0.5

    @property
    def name(self) -> str:
        """Name of its files."""
        return f"{self.kind}_{self.data}"

    @property
    def reading(self) -> AudioFormat:
        """How recordings are read; one-second clips of Speech Commands are taken as they are."""
        return AudioFormat(self.sample_rate_hz, 1.0, "centre", 35.0 if self.is_padded else None, True)

    @property
    def is_padded(self) -> bool:
        """Whether recordings are shorter than a second, with digital silence beside them."""
        return self.data != "speech_commands"


@dataclass(frozen=True)
class Trained:
    """What became of a recipe; ``seconds`` are of processor time."""

    recipe: Recipe
    seed: int
    class_names: tuple[str, ...]
    parameters: int
    test_accuracy: float
    test_clips: int
    test_speakers: int
    training_clips: int
    training_speakers: int
    seconds: float
    model: str
    weights: str | None

    def line(self) -> str:
        """One line of the printed table."""
        return (
            f"{self.recipe.name:26} {self.parameters:8,} weights  test {self.test_accuracy:6.1%} of "
            f"{self.test_clips} clips by {self.test_speakers} speakers  "
            f"trained on {self.training_clips} by {self.training_speakers}  "
            f"seed {self.seed}  {self.seconds:.0f} s"
        )


COMMANDS, DIGITS = ("speech_commands", "speaker_disjoint"), ("audio_mnist_az", "speaker_disjoint")
# Six speakers, too few to divide: its own parts share them.
FSDD = ("fsdd", "official")
RECIPES = (
    Recipe("waveform", *COMMANDS, 8_000, 16, 4e-3),
    Recipe("gru", *COMMANDS, 16_000, 20, 4e-3, augmentation=1.0),
    Recipe("cnn", *COMMANDS, 16_000, 14, 4e-3),
    Recipe("ast", *FSDD, 16_000, 8, 1e-3, 16, 0.3),
    Recipe("wav2vec2", *FSDD, 8_000, 10, 1e-3, 16, 0.3),
    Recipe("ast", *DIGITS, 16_000, 14, 1e-3, 16, 0.3),
)


class AstPasses(nn.Module):
    """What trains an AST: the extractor's features made in batches."""

    def __init__(self, class_names: tuple[str, ...], recipe: Recipe, waveforms: Tensor) -> None:
        from transformers import ASTFeatureExtractor

        super().__init__()
        self.extractor: Any = ASTFeatureExtractor(
            sampling_rate=recipe.sample_rate_hz, num_mel_bins=64, max_length=101, return_attention_mask=False
        )
        self.filters = torch.from_numpy(self.extractor.mel_filters).float()
        self.window = torch.from_numpy(self.extractor.window).float()
        features = self.filterbank(waveforms)
        self.extractor.mean, self.extractor.std = float(features.mean()), float(features.std())
        self.model = library_ast(self.extractor.num_mel_bins, self.extractor.max_length, **_labels(class_names))

    def filterbank(self, waveforms: Tensor) -> Tensor:
        """Kaldi's log filter bank as the extractor has it, ``(batch, frames, bands)``."""
        frames = waveforms.flatten(1).unfold(1, 400, 160)
        frames = frames - frames.mean(2, keepdim=True)
        emphasised = torch.cat([frames[..., :1] * 0.03, frames[..., 1:] - 0.97 * frames[..., :-1]], 2)
        power = torch.fft.rfft(emphasised * self.window, 512).abs().square()
        bands: Tensor = (power @ self.filters).clamp(min=FBANK_FLOOR).log()
        return bands

    def forward(self, waveforms: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` of waveforms ``(batch, 1, time)``."""
        features = self.filterbank(waveforms)
        missing = self.extractor.max_length - features.shape[1]
        features = functional.pad(features, (0, 0, 0, missing))
        features = (features - self.extractor.mean) / (2.0 * self.extractor.std)
        return cast(Tensor, self.model(features).logits)

    def save(self, folder: Path) -> None:
        """A Hugging Face folder."""
        self.model.save_pretrained(folder)
        self.extractor.save_pretrained(folder)


class Wav2Vec2Passes(nn.Module):
    """What trains a wav2vec 2.0: the extractor's zero mean and unit variance made in batches."""

    def __init__(self, class_names: tuple[str, ...], recipe: Recipe, waveforms: Tensor) -> None:  # noqa: ARG002
        from transformers import Wav2Vec2FeatureExtractor

        super().__init__()
        self.extractor: Any = Wav2Vec2FeatureExtractor(
            sampling_rate=recipe.sample_rate_hz, do_normalize=True, return_attention_mask=False
        )
        self.model = library_wav2vec2(**_labels(class_names))

    def forward(self, waveforms: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` of waveforms ``(batch, 1, time)``."""
        plain = waveforms.flatten(1)
        deviation = (plain.var(1, unbiased=False, keepdim=True) + 1e-7).sqrt()
        return cast(Tensor, self.model((plain - plain.mean(1, keepdim=True)) / deviation).logits)

    def save(self, folder: Path) -> None:
        """A Hugging Face folder."""
        self.model.save_pretrained(folder)
        self.extractor.save_pretrained(folder)


def _labels(class_names: tuple[str, ...]) -> dict[str, Any]:
    return {
        "id2label": dict(enumerate(class_names)),
        "label2id": {name: index for index, name in enumerate(class_names)},
    }


Build = Callable[[tuple[str, ...], Recipe, Tensor], nn.Module]
FACTORIES = {
    "cnn": "KeywordCnn({classes}, {rate})",
    "waveform": "WaveformCnn({classes})",
    "gru": "Recurrent({classes}, {rate})",
}
KINDS: Mapping[str, Build] = {
    "cnn": lambda names, recipe, _: networks.KeywordCnn(len(names), recipe.sample_rate_hz),
    "waveform": lambda names, _, __: networks.WaveformCnn(len(names)),
    "gru": lambda names, recipe, _: networks.Recurrent(len(names), recipe.sample_rate_hz),
    "ast": AstPasses,
    "wav2vec2": Wav2Vec2Passes,
}


def main(arguments: list[str]) -> None:
    """Train what is not there yet; print what every model reached."""
    parser = OneLineParser(description="Train classifiers that are not the project's own.")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--only", nargs="+", choices=[recipe.name for recipe in RECIPES], metavar="NAME")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    for recipe in RECIPES:
        if options.only and recipe.name not in options.only:
            continue
        known = listed(options.out)
        if recipe.name not in known:
            trained = train(recipe, options.out, options.seed)
            known = listed(options.out) | {recipe.name: trained}
            write_json(options.out / LIST, {name: asdict(one) for name, one in known.items()})
        print(known[recipe.name].line(), flush=True)


def listed(folder: Path) -> dict[str, Trained]:
    """The models of a folder by name."""
    if not (folder / LIST).exists():
        return {}
    entries = json.loads((folder / LIST).read_text(encoding="utf-8"))
    return {name: Trained(**(entry | {"recipe": Recipe(**entry["recipe"])})) for name, entry in entries.items()}


def train(recipe: Recipe, folder: Path, seed: int) -> Trained:
    """Train a model, save it into the folder and measure it on test recordings."""
    data = recordings(recipe)
    training, validation, test = (data.part(part) for part in ("train", "validation", "test"))
    torch.manual_seed(derived_seed("foreign model", recipe.name, seed))
    started = time.process_time()
    model = KINDS[recipe.kind](data.class_names, recipe, training.inputs)
    fit(model, training, validation, recipe)
    model.eval()
    place, weights = save(model, recipe, folder, len(data.class_names))
    return Trained(
        recipe=recipe,
        seed=seed,
        class_names=data.class_names,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        test_accuracy=accuracy(model, test),
        test_clips=len(test),
        test_speakers=len(set(test.groups)),
        training_clips=len(training),
        training_speakers=len(set(training.groups)),
        seconds=time.process_time() - started,
        model=place,
        weights=weights,
    )


def recordings(recipe: Recipe) -> Dataset:
    """All recordings of the recipe, of one second, in training, validation and test parts."""
    return datasets.load(recipe.data, split=recipe.split, audio_format=recipe.reading)


def fit(model: nn.Module, training: Dataset, validation: Dataset, recipe: Recipe) -> None:
    """AdamW with label smoothing on recordings that are shifted, stretched, scaled and mixed with noise."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=0.02)
    batches = len(training) // recipe.batch_size
    steps = recipe.epochs * batches
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=steps, pct_start=0.1, cycle_momentum=False
    )
    for epoch in range(recipe.epochs):
        model.train()
        total = 0.0
        order = torch.randperm(len(training))
        for rows in order.split(recipe.batch_size)[:batches]:  # type: ignore[no-untyped-call]
            logits = model(augmented(training.inputs[rows], recipe.augmentation, recipe.is_padded))
            loss = functional.cross_entropy(logits, training.labels[rows], label_smoothing=0.1 * recipe.augmentation)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) * len(rows)
        if epoch % 2:
            reached = accuracy(model, validation)
            print(
                f"  {recipe.name}: epoch {epoch + 1} of {recipe.epochs}, loss {total / len(order):.3f}, "
                f"validation {reached:.1%}",
                flush=True,
            )


def augmented(waveforms: Tensor, strength: float, keep_silence: bool) -> Tensor:
    """Waveforms ``(batch, 1, time)`` changed with a strength in [0, 1].

    At most, they are 12 % faster or slower, 0.1 s earlier or later, 12 dB softer, with noise 30 dB below full scale;
    every second one without noise where digital silence, which is beside short recordings, is to be kept.
    """
    batch, _, time_samples = waveforms.shape
    speed = 1.0 + float(torch.empty(()).uniform_(-0.12, 0.12)) * strength
    stretched = functional.interpolate(waveforms, scale_factor=speed, mode="linear", align_corners=False)
    reach = round(strength * time_samples / 10)
    padded = functional.pad(stretched, (time_samples, time_samples))
    centre = (padded.shape[-1] - time_samples) // 2
    starts = centre + torch.randint(-reach, reach + 1, (batch,))
    moved = torch.stack(
        [row[:, start : start + time_samples] for row, start in zip(padded, starts.tolist(), strict=True)]
    )
    gains_db, noise_db = (torch.empty(batch, 1, 1).uniform_() * strength * range_db for range_db in (-12.0, 40.0))
    noise = 10.0 ** ((noise_db - 70.0) / 20.0) * torch.randn_like(moved)
    noise[::2] *= not keep_silence
    return 10.0 ** (gains_db / 20.0) * moved + noise


@torch.no_grad()
def accuracy(model: nn.Module, data: Dataset) -> float:
    """Share of recordings that are classified correctly; the model is left in evaluation mode."""
    model.eval()
    right = [
        model(inputs).argmax(1) == labels
        for inputs, labels in zip(*(part.split(100) for part in (data.inputs, data.labels)), strict=True)  # type: ignore[no-untyped-call]
    ]
    return float(torch.cat(right).double().mean())


def save(model: nn.Module, recipe: Recipe, folder: Path, class_count: int) -> tuple[str, str | None]:
    """What to give to ``load_model``, relative to the folder: model and weights."""
    if isinstance(model, AstPasses | Wav2Vec2Passes):
        model.save(folder / recipe.name)
        return recipe.name, None
    from safetensors.torch import save_model

    shutil.copy(Path(networks.__file__), folder / "foreign_networks.py")
    save_model(model, str(folder / f"{recipe.name}.safetensors"))
    made = FACTORIES[recipe.kind].format(classes=class_count, rate=recipe.sample_rate_hz)
    network = made.partition("(")[0]
    write_text(
        folder / f"{recipe.name}.py",
        f"from foreign_networks import {network}\n\n\ndef factory():\n    return {made}\n",
    )
    return f"{recipe.name}.py:factory", f"{recipe.name}.safetensors"


if __name__ == "__main__":
    raise SystemExit(run_command(main))
