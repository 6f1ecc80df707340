"""Which explanation is best for a model that nobody here made: methods × models × removals × passes.

Usage::

    python benchmarks/foreign_models.py --out FOLDER
    python benchmarks/any_model_study.py --models FOLDER --profile quick --json out.json    # a few minutes
    python benchmarks/any_model_study.py --models FOLDER --profile full --speakers test --json out.json

Every map is judged by insertion − deletion of sounds under two removals (silence; noise with the spectrum of the
training recordings, 10 dB below the clip), the worse of the two for each clip, on clips that the model classifies
correctly. Means weigh every speaker alike; intervals are of 95 % over speakers. Loudness ("energy") and random maps
stand beside; differences to loudness are within clips. Settings are chosen with ``--speakers validation`` and judged
with ``--speakers test``. Methods get no training recordings: what they need of noise they learn from the explained
clip.

What has been measured is kept in ``out.json.rows``: the same command goes on where it stopped.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline, Silence, SpeechShapedNoise
from audioxai.core import Explainer
from audioxai.datasets import Dataset
from audioxai.datasets.speech_commands import SILENCE
from audioxai.domains import Audible, Mask, Waveform
from audioxai.metrics.batch import Batch
from audioxai.metrics.engine import run
from audioxai.metrics.faithfulness.resynthesis import ResynthesisFaithfulness
from audioxai.metrics.similarity import distance, norm
from audioxai.models.loading import Model, load_model
from audioxai.statistics import Interval, cluster_mean, paired_differences
from audioxai.trust import movement_of, with_inaudible_noise
from audioxai.utils.commands import OneLineParser, run_command
from audioxai.utils.errors import UserError
from audioxai.utils.files import write_json
from audioxai.utils.hardware import keep_freed_memory
from audioxai.utils.seeding import derived_seed
from audioxai.xai_methods import METHODS
from audioxai.xai_methods.masks import in_masks

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.foreign_models import Trained, listed, recordings

SNR_DB = 10.0
# The judge's noise is another draw than any method's.
JUDGE_SEED = 1_000
SCORES = {"removal_silence": "silence", "removal_noise": "noise", "removal_worst": "worse"}
LOUDNESS = "loudness (control)"

Route = Literal["control", "gradients", "passes"]
Speakers = Literal["validation", "test"]


# --- What is compared ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Given:
    """What a method is made for: cells, the clip itself and a seed."""

    cells: Mask
    clip: Tensor
    seed: int

    @property
    def noise(self) -> Baseline:
        """Noise with the clip's own spectrum."""
        return SpeechShapedNoise.of(self.clip, SNR_DB, self.seed)

    def masked(self, method: str, cost: int, removal: Baseline | None = None, **options: Any) -> Explainer:
        """A registered method in the mask."""
        return in_masks(
            method,
            self.cells,
            gradients=cost,
            seed=self.seed,
            references=self.clip,
            removal=removal,
            **options,
        )


Make = Callable[[Given, int], Explainer]


@dataclass(frozen=True)
class Entrant:
    """A method in the table.

    Attributes
    ----------
    label : str
        Its row.
    route : {"control", "gradients", "passes"}
        What it spends per clip: nothing, gradients, or passes of a model that may be a black box.
    make : callable
        ``make(given, passes)``.
    costs : tuple of int
        Budgets at which it is measured; those of its route if empty.
    """

    label: str
    route: Route
    make: Make
    costs: tuple[int, ...] = ()


def _random(given: Given, _: int) -> Explainer:
    return given.masked("random", 0)


def _loudness(given: Given, _: int) -> Explainer:
    return given.masked("energy", 0)


def _gradient(given: Given, _: int) -> Explainer:
    return given.masked("grad_x_level", 1)


def _pull_back(given: Given, gradients: int) -> Explainer:
    domain = Waveform(given.cells.sample_rate_hz, given.cells.duration_s)
    explainer: Explainer = METHODS["pullback"].bind({"domain": domain, "gradients": gradients})
    return explainer


def _occlusion(given: Given, passes: int, noise: bool = False) -> Explainer:
    side = int((passes - 1) ** 0.5)
    return given.masked("occlusion", passes, given.noise if noise else None, patches_per_side=side)


def _by_name(method: str, given: Given, cost: int) -> Explainer:
    return given.masked(method, cost)


ENTRANTS = (
    Entrant("random (control)", "control", _random),
    Entrant(LOUDNESS, "control", _loudness),
    Entrant("one gradient in the mask", "gradients", _gradient, (1,)),
    Entrant("IG in the mask, from silence", "gradients", partial(_by_name, "silence")),
    Entrant("IG in the mask, from noise", "gradients", partial(_by_name, "mask_noise")),
    Entrant("IG in the mask, both", "gradients", partial(_by_name, "mask_silence_and_noise")),
    Entrant("pull-back to the STFT", "gradients", _pull_back),
    Entrant("ordered in the mask", "gradients", partial(_by_name, "ordered"), (8, 16, 32, 64)),
    Entrant("occlusion into silence", "passes", _occlusion, (65,)),
    Entrant("occlusion into noise", "passes", partial(_occlusion, noise=True), (65,)),
    Entrant("occlusion into silence", "passes", _occlusion),
    Entrant("RISE", "passes", partial(_by_name, "rise")),
    Entrant("KernelSHAP", "passes", partial(_by_name, "kernel_shap")),
    Entrant("ordered masks", "passes", partial(_by_name, "ordered_passes")),
)
# Those whose sensitivity and stability are measured, and their gradients.
STEADINESS = (LOUDNESS, "IG in the mask, from silence", "IG in the mask, both", "ordered in the mask")
STEADINESS_GRADIENTS = 32


@dataclass(frozen=True)
class Profile:
    """How much is measured.

    Attributes
    ----------
    clips : int
        Clips of a model for methods with gradients.
    black_box_clips : int
        The first of them, for methods without.
    gradients, passes : tuple of int
        Budgets per clip.
    steps : int
        Of insertion and deletion.
    steady_clips : int
        The first clips, for sensitivity and stability.
    """

    clips: int
    black_box_clips: int
    gradients: tuple[int, ...]
    passes: tuple[int, ...]
    steps: int
    steady_clips: int


PROFILES = {
    "quick": Profile(4, 2, (16,), (100,), 8, 2),
    "full": Profile(24, 10, (16, 32, 64), (200, 400, 1_000), 12, 8),
}


# --- Models and clips ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Subject:
    """A model with the clips that are explained, all classified correctly."""

    model: Model
    cells: Mask
    clips: Dataset
    judge_noise: Baseline

    @property
    def speakers(self) -> list[str]:
        """Speaker of every clip."""
        return [str(group) for group in self.clips.groups]

    def judge(self, domain: Audible, steps: int) -> ResynthesisFaithfulness:
        """Insertion − deletion of maps of that domain, of the same bins for all."""
        silence = Silence(Waveform(self.cells.sample_rate_hz, self.cells.duration_s))
        return ResynthesisFaithfulness(domain, self.cells.stft, (silence, self.judge_noise), steps)

    def maps(self, entrant: Entrant, cost: int, seed: int, clips: Tensor) -> tuple[Tensor, Audible, int]:
        """Maps of clips ``(n, 1, time)``, the first ones of the subject's; their domain; passes for each."""
        found: list[Tensor] = []
        for row in range(len(clips)):
            clip = clips[row : row + 1]
            explainer = entrant.make(Given(self.cells, clip, seed), cost)
            module = self.model.module if self.model.freeze is None else self.model.freeze(clip)
            found.append(explainer(module, clip, self.clips.labels[row : row + 1]).detach())
        domain: Audible = explainer.domain  # type: ignore[attr-defined]
        return torch.cat(found), domain, explainer.passes(clip)


def subject_of(one: Trained, folder: Path, speakers: Speakers, count: int) -> Subject:
    """A model and up to ``count`` clips of one part, by as many speakers as there are."""
    model, data, reading = loaded(one, folder), recordings(one.recipe), one.recipe.reading
    clips = chosen(model.module, data.part(speakers), count)
    noise = SpeechShapedNoise.of(data.part("train").inputs, SNR_DB, JUDGE_SEED)
    return Subject(model, Mask.of(reading.sample_rate_hz, reading.duration_s), clips, noise)


def loaded(one: Trained, folder: Path) -> Model:
    """A trained model."""
    if one.weights is None:
        return load_model(folder / one.model)
    return load_model(
        f"{folder / one.model}",
        weights=folder / one.weights,
        sample_rate=one.recipe.reading.sample_rate_hz,
        duration_s=one.recipe.reading.duration_s,
        class_names=one.class_names,
    )


def chosen(module: nn.Module, data: Dataset, count: int) -> Dataset:
    """Clips that are classified correctly, speakers in turn, drawn by their names.

    Background noise as a class is left out: into silence nothing can be inserted that speaks for silence.
    """
    module.eval()
    with torch.no_grad():
        predicted = torch.cat([module(inputs).argmax(1) for inputs in data.inputs.split(32)])  # type: ignore[no-untyped-call]
    wanted = predicted == data.labels
    if SILENCE in data.class_names:
        wanted &= data.labels != data.class_names.index(SILENCE)
    by_speaker: dict[str | None, list[int]] = {}
    for row in sorted(torch.nonzero(wanted)[:, 0].tolist(), key=lambda row: derived_seed("study clips", data.ids[row])):
        by_speaker.setdefault(data.groups[row], []).append(row)
    turns = [(turn, number) for number, rows in enumerate(by_speaker.values()) for turn in range(len(rows))]
    rows = [list(by_speaker.values())[number][turn] for turn, number in sorted(turns)]
    if not rows:
        raise UserError(f"no clip of {data.name} is classified correctly; train the model first")
    return data.rows(torch.tensor(rows[:count]))


# --- Measurements ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """One method at one budget on one model; ``what`` is measured."""

    what: Literal["faithfulness", "steadiness"]
    model: str
    entrant: Entrant
    cost: int

    @property
    def key(self) -> str:
        """Name under which it is kept."""
        return f"{self.what}|{self.model}|{self.entrant.label}|{self.cost}"


def jobs_of(models: Sequence[str], profile: Profile) -> Iterator[Job]:
    """All jobs, those that matter most first: controls and gradients, steadiness, then the black boxes by cost."""
    budgets = {"control": (0,), "gradients": profile.gradients, "passes": profile.passes}
    every = [(entrant, cost) for entrant in ENTRANTS for cost in entrant.costs or budgets[entrant.route]]
    for model in models:
        yield from (Job("faithfulness", model, *one) for one in every if one[0].route != "passes")
    for model in models:
        for entrant in ENTRANTS:
            if entrant.label in STEADINESS:
                yield Job("steadiness", model, entrant, STEADINESS_GRADIENTS)
    for cost in sorted({cost for entrant, cost in every if entrant.route == "passes"}):
        for model in models:
            yield from (
                Job("faithfulness", model, *one) for one in every if one[0].route == "passes" and one[1] == cost
            )


@dataclass(frozen=True)
class Study:
    """The study's settings; what is measured goes to ``kept`` line by line."""

    folder: Path
    profile: Profile
    speakers: Speakers
    seed: int
    kept: Path

    @property
    def settings(self) -> dict[str, Any]:
        """What results depend on, beside the models and the code."""
        return {"profile": asdict(self.profile), "speakers": self.speakers, "seed": self.seed}

    def known(self) -> dict[str, dict[str, Any]]:
        """Rows that are kept, by job.

        Raises
        ------
        UserError
            If they were measured with other settings.
        """
        if not self.kept.exists():
            return {}
        settings, *rows = map(json.loads, self.kept.read_text(encoding="utf-8").splitlines())
        if settings != json.loads(json.dumps(self.settings)):
            raise UserError(f"{self.kept} was measured with other settings; delete it or give another --json")
        return {row["key"]: row for row in rows}

    def measure(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Do what is not kept yet; progress on stderr."""
        known = self.known()
        if not known:
            self.kept.write_text(json.dumps(self.settings) + "\n", encoding="utf-8")
        due = [job for job in jobs_of(names, self.profile) if job.key not in known]
        pace, subjects = Pace(due, self.profile), {}
        for job in due:
            if job.model not in subjects:
                subjects = {job.model: self._subject(job.model)}  # one at a time is in memory
            row = {"key": job.key, "model": job.model, "method": job.entrant.label, "cost": job.cost}
            row |= pace.timed(job, partial(self._measured, job, subjects[job.model]))
            with self.kept.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            known[job.key] = row
        return known

    def _subject(self, name: str) -> Subject:
        return subject_of(listed(self.folder)[name], self.folder, self.speakers, self.profile.clips)

    def _measured(self, job: Job, subject: Subject) -> dict[str, Any]:
        return (faithfulness if job.what == "faithfulness" else steadiness)(job, subject, self.profile, self.seed)


def faithfulness(job: Job, subject: Subject, profile: Profile, seed: int) -> dict[str, Any]:
    """Scores of every clip under both removals, with speakers and the passes that the method took for each."""
    count = clips_of(job, profile)
    clips, labels = subject.clips.inputs[:count], subject.clips.labels[:count]
    maps, domain, passes = subject.maps(job.entrant, job.cost, seed, clips)
    metric = subject.judge(domain, profile.steps)
    (outcome,) = run([metric.tracing(Batch(subject.model.module, clips, labels), maps)])
    scores = metric.rows(outcome.scores, maps)
    return {
        "passes": passes,
        "clips": list(subject.clips.ids[:count]),
        "speakers": subject.speakers[:count],
        "scores": {short: scores[name].tolist() for name, short in SCORES.items()},
    }


def steadiness(job: Job, subject: Subject, profile: Profile, seed: int) -> dict[str, Any]:
    """How far maps move under inaudible noise, and from one seed to another: 1 − rank correlation, relative change."""
    clips = subject.clips.inputs[: clips_of(job, profile)]
    maps, _, passes = subject.maps(job.entrant, job.cost, seed, clips)
    noisy = torch.cat([with_inaudible_noise(clip[None], subject.cells.stft, seed) for clip in clips])
    moved, _, _ = subject.maps(job.entrant, job.cost, seed, noisy)
    reseeded, _, _ = subject.maps(job.entrant, job.cost, seed + 1, clips)
    return {
        "passes": passes,
        "clips": list(subject.clips.ids[: len(clips)]),
        "speakers": subject.speakers[: len(clips)],
        "scores": {
            "movement under inaudible noise": [movement_of(*pair) for pair in zip(maps, moved, strict=True)],
            "relative change under inaudible noise": (distance(maps, moved) / norm(maps)).tolist(),
            "movement from seed to seed": [movement_of(*pair) for pair in zip(maps, reseeded, strict=True)],
        },
    }


def clips_of(job: Job, profile: Profile) -> int:
    """Clips on which a job is measured."""
    if job.what == "steadiness":
        return profile.steady_clips
    return profile.black_box_clips if job.entrant.route == "passes" else profile.clips


class Pace:
    """Says what was measured and how long the rest will take, by the passes that are left on each model."""

    def __init__(self, due: Iterable[Job], profile: Profile) -> None:
        self.left = list(due)
        self.total, self.profile = len(self.left), profile
        self.work, self.seconds = 0.0, 0.0

    def timed(self, job: Job, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What is measured, said on stderr."""
        started = time.monotonic()
        row = measure()
        self.seconds += time.monotonic() - started
        self.work += self._work(job)
        self.left.remove(job)
        left_s = sum(map(self._work, self.left)) * self.seconds / self.work
        means = "  ".join(
            f"{name} {cluster_mean(values, row['speakers']).mean:.2f}" for name, values in row["scores"].items()
        )
        print(
            f"[{self.total - len(self.left)}/{self.total}] {job.model}, {job.entrant.label}, {job.cost}: {means}; "
            f"{left_s / 60.0:.0f} min left",
            file=sys.stderr,
            flush=True,
        )
        return row

    def _work(self, job: Job) -> float:
        """In passes; a gradient counts as three."""
        each = job.cost * (1 if job.entrant.route == "passes" else 3)
        own = 3 * each if job.what == "steadiness" else each + 4 * self.profile.steps
        return clips_of(job, self.profile) * own


# --- Tables ----------------------------------------------------------------------------------------------------------


def summary(rows: Iterable[Mapping[str, Any]], what: str) -> list[dict[str, Any]]:
    """One record per model, method and budget: means with intervals over speakers, and differences to loudness."""
    of_kind = [row for row in rows if row["key"].startswith(what)]
    loudness = {row["model"]: row for row in of_kind if row["method"] == LOUDNESS}
    records = []
    for row in of_kind:
        record = {name: row[name] for name in ("model", "method", "cost", "passes")}
        for name, values in row["scores"].items():
            record[name] = plain(cluster_mean(values, row["speakers"]).interval())
        beside = loudness.get(row["model"])
        if what == "faithfulness" and beside is not None and row["method"] != LOUDNESS:
            differences = paired_differences(
                row["scores"]["worse"], beside["scores"]["worse"][: len(row["scores"]["worse"])]
            )
            record["over loudness"] = plain(cluster_mean(differences, row["speakers"]).interval())
        records.append(record)
    return records


def plain(interval: Interval) -> dict[str, Any]:
    """An interval as plain data."""
    return {
        "mean": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "clips": interval.n,
        "speakers": interval.clusters,
    }


def table(records: Sequence[Mapping[str, Any]], models: Sequence[str], score: str) -> str:
    """Markdown: methods and their passes down, models across, mean ± half the interval of 95 %."""
    found = {(record["method"], record["cost"], record["model"]): record for record in records}
    order = [entrant.label for entrant in ENTRANTS]
    rows = sorted({place[:2] for place in found}, key=lambda row: (order.index(row[0]), row[1]))
    compared = score in ("worse", "over loudness")
    heads = ["method", "passes", *models, *["beats loudness on"] * compared]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for method, cost in rows:
        own = [found.get((method, cost, model)) for model in models]
        there = [one for one in own if one is not None]
        passes = max(one["passes"] for one in there)
        cells = [method, f"{passes:,}" if passes else "", *("" if one is None else written(one[score]) for one in own)]
        if compared:
            leads = [one["over loudness"]["low"] > 0.0 for one in there if "over loudness" in one]
            cells.append(f"{sum(leads)} of {len(leads)}" if leads else "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def written(interval: Mapping[str, float]) -> str:
    """``.83 ± .05``."""
    half = (interval["high"] - interval["low"]) / 2.0
    return f"{interval['mean']:.2f}" + ("" if np.isnan(half) else f" ± {half:.2f}")


def main(arguments: list[str]) -> None:
    """Measure, print the tables, write the figures."""
    parser = OneLineParser(description="Compare explanation methods on models that are not the project's own.")
    parser.add_argument("--models", type=Path, required=True, metavar="FOLDER", help="made by foreign_models.py")
    parser.add_argument("--profile", choices=tuple(PROFILES), default="quick")
    parser.add_argument("--speakers", choices=("validation", "test"), default="test")
    parser.add_argument("--only", nargs="+", metavar="MODEL")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--json", type=Path, required=True, metavar="FILE", help="figures; FILE.rows keeps every clip's"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    kept = options.json.with_name(options.json.name + ".rows")
    study = Study(options.models, PROFILES[options.profile], options.speakers, options.seed, kept)
    names = options.only or list(listed(options.models))
    rows = list(study.measure(names).values())
    write_json(options.json, study.settings | {what: summary(rows, what) for what in ("faithfulness", "steadiness")})
    report(rows, names)


def report(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    """Print all tables."""
    records = summary(rows, "faithfulness")
    for model in names:
        own = [record["worse"] for record in records if record["model"] == model]
        sizes = sorted({(one["clips"], one["speakers"]) for one in own}, reverse=True)
        print(f"{model}: " + "; ".join(f"{clips} clips by {speakers} speakers" for clips, speakers in sizes))
    for score in SCORES.values():
        print(f"\nInsertion − deletion of sounds, {score}:\n\n{table(records, names, score)}")
    beside = [record for record in records if "over loudness" in record]
    print(f"\nDifference to loudness within clips, worse removal:\n\n{table(beside, names, 'over loudness')}")
    steady = summary(rows, "steadiness")
    for score in [name for name in (steady[0] if steady else {}) if name not in ("model", "method", "cost", "passes")]:
        print(f"\nChange of the map, 0 for none: {score}:\n\n{table(steady, names, score)}")


if __name__ == "__main__":
    raise SystemExit(run_command(main))
