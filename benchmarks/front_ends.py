"""How far differentiable front ends are from the Hugging Face extractors, in features and logits, on real recordings.

Usage::

    python benchmarks/front_ends.py --json out.json                    # 5 minutes on one core
    python benchmarks/front_ends.py --models tiny_ast/ --json out.json  # saved classifiers, beside the six below

Needs ``audioxai[hf]`` and, as ``scripts/prepare_datasets.py`` leaves them, some of the data sets below. Clips are cut
out of, or put together from, recordings of one data set after another, 0.1 to 35 s long in equal ratios. Models have
random weights in the shapes of their kind, with few and narrow layers; the last step is scaled so that logits spread
over the clips as those of a trained model may (standard deviation 3).
"""

import json
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
from torch import Tensor, nn

from audioxai.core import evaluating
from audioxai.datasets import find_root
from audioxai.datasets.audio_files import read_sound
from audioxai.models.front_ends import ClipFrontEnd, front_end_of
from audioxai.models.hugging_face import (
    LOGIT_TOLERANCE,
    Comparison,
    HuggingFaceModule,
    ThroughExtractor,
    ZeroShot,
    load_hugging_face,
)
from audioxai.utils.commands import OneLineParser, run_command
from audioxai.utils.errors import UserError
from audioxai.utils.seeding import derived_seed

DATA_SETS = ("fsdd", "audio_mnist_az", "speech_commands")
SOUNDS = (".wav", ".flac")
SHORTEST_S, LONGEST_S = 0.1, 35.0
# Spread of logits over clips, and the clips by which a last layer is scaled to it.
SPREAD, SCALED_BY = 3.0, 8
TEXTS = 10
NARROW: dict[str, Any] = {
    "hidden_size": 192,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 384,
    "num_labels": TEXTS,
}
# Row → extractor, its fields, kind of model and class, fields of its configuration.
ROWS: dict[str, tuple[str, dict[str, Any], str, str, dict[str, Any]]] = {
    "Wav2Vec2": (
        "Wav2Vec2FeatureExtractor",
        {},
        "wav2vec2",
        "Wav2Vec2ForSequenceClassification",
        {**NARROW, "conv_dim": (128,) * 7, "num_conv_pos_embedding_groups": 12},
    ),
    "AST": ("ASTFeatureExtractor", {}, "audio-spectrogram-transformer", "ASTForAudioClassification", NARROW),
    "Whisper": (
        "WhisperFeatureExtractor",
        {},
        "whisper",
        "WhisperForAudioClassification",
        {
            "d_model": 192,
            "encoder_layers": 2,
            "decoder_layers": 1,
            "encoder_attention_heads": 3,
            "encoder_ffn_dim": 384,
            "num_labels": TEXTS,
        },
    ),
    "CLAP, fused": (
        "ClapFeatureExtractor",
        {},
        "clap",
        "ClapModel",
        {"audio_config": {"depths": [1, 1, 1, 1], "enable_fusion": True, "fusion_type": "aff_2d"}},
    ),
    "CLAP, cut": (
        "ClapFeatureExtractor",
        {"truncation": "rand_trunc"},
        "clap",
        "ClapModel",
        {"audio_config": {"depths": [1, 1, 1, 1]}},
    ),
    "SeamlessM4T": (
        "SeamlessM4TFeatureExtractor",
        {},
        "wav2vec2-bert",
        "Wav2Vec2BertForSequenceClassification",
        {**NARROW, "output_hidden_size": 192},
    ),
}


@dataclass(frozen=True)
class Row:
    """What was found for one extractor.

    Attributes
    ----------
    extractor, model : str
        Name, and class of the model.
    clips : int
        Clips compared.
    feature_scale : float
        Largest absolute feature.
    features, logits : float
        Largest absolute differences over all clips.
    worst_clip_s : float
        Length of the clip with the largest difference of a logit.
    logit_spread : float
        Standard deviation of a logit over the clips, mean over classes.
    same_class : int
        Clips to which both give the same class.
    refused : int
        Clips for which the gradient would be refused.
    mean_padding : float
        Mean share of padding.
    """

    extractor: str
    model: str
    clips: int
    feature_scale: float
    features: float
    logits: float
    worst_clip_s: float
    logit_spread: float
    same_class: int
    refused: int
    mean_padding: float


def main(arguments: list[str]) -> None:
    """Compare and print a table."""
    parser = OneLineParser(description="Differentiable front ends beside the Hugging Face extractors.")
    parser.add_argument("--clips", type=int, default=50, metavar="N")
    parser.add_argument("--models", nargs="*", default=[], metavar="FOLDER", help="saved classifiers to add")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args(arguments)
    if options.clips < 2:
        raise UserError(f"--clips is {options.clips}; give at least 2")
    torch.set_num_threads(1)
    recordings = found_recordings()
    lengths_s = np.geomspace(SHORTEST_S, LONGEST_S, options.clips).tolist()
    modules = {**{name: random_module(name) for name in ROWS}, **{name: saved(name) for name in options.models}}
    rows = []
    for name, module in modules.items():
        front_end = module.front_end
        assert isinstance(front_end, ClipFrontEnd)
        clips = list(real_clips(recordings, lengths_s, front_end.sample_rate_hz))
        if name in ROWS:
            scale_last_step(module, clips[:: max(1, len(clips) // SCALED_BY)])
        rows.append(compared(name, module, front_end, clips))
        print(line(rows[-1]) if len(rows) > 1 else f"{HEADER}\n{line(rows[-1])}", flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


def found_recordings() -> dict[str, list[Path]]:
    """Sound files of every data set that is there, in the order of their names."""
    roots = {name: root for name in DATA_SETS if (root := find_root(name)) is not None}
    if not roots:
        raise UserError(f"none of {', '.join(DATA_SETS)} was found; prepare one with scripts/prepare_datasets.py")
    return {
        name: sorted(path for path in root.rglob("*") if path.suffix in SOUNDS) for name, root in sorted(roots.items())
    }


def real_clips(recordings: dict[str, list[Path]], lengths_s: Sequence[float], rate_hz: int) -> Iterator[Tensor]:
    """One clip ``(1, 1, time)`` for each length, of recordings of one data set after another."""
    names = list(recordings)
    for number, length_s in enumerate(lengths_s):
        paths = recordings[names[number % len(names)]]
        draw = np.random.default_rng(derived_seed("front ends", number))
        samples = round(length_s * rate_hz)
        parts: list[Any] = []
        while sum(map(len, parts)) < samples:
            sound, recorded_hz = read_sound(paths[int(draw.integers(len(paths)))])
            parts.append(sound if recorded_hz == rate_hz else soxr.resample(sound, recorded_hz, rate_hz, quality="HQ"))
        whole = np.concatenate(parts)
        start = int(draw.integers(len(whole) - samples + 1))
        yield torch.from_numpy(whole[start : start + samples].astype(np.float32))[None, None]


def random_module(name: str) -> HuggingFaceModule:
    """A model of random weights behind the front end of its extractor."""
    import transformers

    extractor_name, fields, kind, class_name, stated = ROWS[name]
    with warnings.catch_warnings():
        # Of mel bands that hold no bin of the spectrum.
        warnings.simplefilter("ignore")
        extractor = getattr(transformers, extractor_name)(**fields)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed("front ends", name))
        model = getattr(transformers, class_name)(transformers.AutoConfig.for_model(kind, **stated)).eval()
        if kind == "clap":
            texts = torch.randn(TEXTS, model.config.projection_dim)
            model = ZeroShot(model, nn.functional.normalize(texts, dim=-1))
    return HuggingFaceModule(front_end_of(extractor), model, ThroughExtractor(extractor), "softmax")


def saved(folder: str) -> HuggingFaceModule:
    """A classifier as it was saved."""
    model = load_hugging_face(folder)
    if not model.gradient:
        raise UserError(f"model {folder!r} cannot be compared: {model.gradient_refused}")
    assert isinstance(model.module, HuggingFaceModule)
    return model.module


def scale_last_step(module: HuggingFaceModule, clips: Sequence[Tensor]) -> None:
    """Scale the last linear layer, or the similarities to texts, so that logits spread over the clips."""
    spread = float(torch.cat([logits_of(module, clip) for clip in clips]).std(0).mean())
    model = module.model
    last = [layer.weight for layer in model.modules() if isinstance(layer, nn.Linear)][-1]
    with torch.no_grad():
        (model.get_buffer("scale") if isinstance(model, ZeroShot) else last).mul_(SPREAD / spread)


def logits_of(module: nn.Module, clip: Tensor) -> Tensor:
    """Logits ``(1, classes)`` without a gradient."""
    with torch.no_grad(), evaluating(module):
        logits: Tensor = module(clip)
        return logits


def compared(name: str, module: HuggingFaceModule, front_end: ClipFrontEnd, clips: Sequence[Tensor]) -> Row:
    """The row of one extractor."""
    comparison, through = Comparison(module), module.with_front_end(None)
    found = [comparison.agreement(clip) for clip in clips]
    logits = torch.cat([logits_of(module, clip) for clip in clips])
    due = torch.cat([logits_of(through, clip) for clip in clips])
    with torch.no_grad():
        scale = max(float(next(iter(front_end(clip).values())).abs().max()) for clip in clips)
    worst = max(range(len(clips)), key=lambda index: found[index].logits)
    model = type(getattr(module.model, "tower", module.model)).__name__
    return Row(
        extractor=name,
        model="ClapModel" if isinstance(module.model, ZeroShot) else model,
        clips=len(clips),
        feature_scale=scale,
        features=max(one.features for one in found),
        logits=max(one.logits for one in found),
        worst_clip_s=clips[worst].shape[-1] / front_end.sample_rate_hz,
        logit_spread=float(logits.std(0).mean()),
        same_class=int((logits.argmax(1) == due.argmax(1)).sum()),
        refused=sum(one.logits > LOGIT_TOLERANCE for one in found),
        mean_padding=math.fsum(front_end.padding_share(clip.shape[-1]) for clip in clips) / len(clips),
    )


HEADER = (
    f"{'extractor':<14} {'clips':>5} {'|feature|':>9} {'Δ feature':>9} {'Δ logit':>9} {'at s':>6} {'spread':>7} "
    f"{'same class':>10} {'refused':>7} {'padding':>7}"
)


def line(row: Row) -> str:
    """One row of the table."""
    return (
        f"{Path(row.extractor).name:<14} {row.clips:>5} {row.feature_scale:>9.3g} {row.features:>9.1e} "
        f"{row.logits:>9.1e} {row.worst_clip_s:>6.2f} {row.logit_spread:>7.2f} {row.same_class:>10} {row.refused:>7} "
        f"{row.mean_padding:>7.2f}"
    )


if __name__ == "__main__":
    raise SystemExit(run_command(main))
