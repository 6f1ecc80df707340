"""Standard errors of what is estimated by random draws, plain and improved, by the model passes that it takes.

    python benchmarks/precision.py --json out.json --figure docs/figures/precision.png
    python benchmarks/precision.py --audio fsdd --clips 4 --seeds 10 --only masks --json out.json

A small CNN is trained on each audio data set (found among the checkpoints the second time). Test clips are explained as
log-mel spectrograms, and in the masks of the recording, and every estimator scores every clip with many seeds.

``standard_error`` is the root mean square, over clips and methods, of the scores' spread over seeds; ``stated`` that of
the errors that the metric states. ``saved`` is how many times as many passes the plain estimator takes for the same
error: passes · error² of the plain one by passes · error². The truth is estimated by plain draws in large number, and
has an error of its own: ``bias`` is the mean difference from it; ``bias_z`` the root mean square, over clips and
methods, of differences by their own errors, which is about 1 where there is no bias; ``coverage`` the share of
intervals, score ± 1.96 errors (the truth's included), that hold it. Rows with a ``precision`` went on until each
sample's stated error was below it, and ``passes`` are what they took.

``tried`` is what did not become an option: ``explained`` is the share of the variance of drops that a linear function
of the removed squares explains, which bounds what it can save as a control variate (1 / (1 − explained) times as few
passes, its own left aside); ``partition`` is what is saved by dividing the input into disjoint subsets.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from torch import Tensor

from audioxai.baselines import Silence
from audioxai.core import Explainer
from audioxai.domains import Mask, MaskValues
from audioxai.experiment import DataSpec, ModelSpec
from audioxai.experiment.models import dataset_of, ensure_model
from audioxai.metrics import Batch, SignalNoise
from audioxai.metrics.batch import PassMetric, begin
from audioxai.metrics.engine import run
from audioxai.metrics.faithfulness import FaithfulnessCorrelation
from audioxai.metrics.robustness import AverageSensitivity
from audioxai.metrics.similarity import pearson
from audioxai.models import Classifier
from audioxai.report.canvas import DOUBLE_INCHES, METADATA, PNG_DPI, new_figure, settings
from audioxai.report.style import COLOURS
from audioxai.studies.options import training
from audioxai.utils.commands import run_command
from audioxai.utils.errors import UserError
from audioxai.utils.files import write_text
from audioxai.utils.hardware import keep_freed_memory, select_device, slices
from audioxai.utils.seeding import generator
from audioxai.xai_methods.audio_integrated_gradients import expected
from audioxai.xai_methods.controls import RandomAttribution
from audioxai.xai_methods.gradients import Saliency
from audioxai.xai_methods.integrated_gradients import IntegratedGradients
from audioxai.xai_methods.masks import MaskedModel, MaskedSounds
from audioxai.xai_methods.perturbation import Rise

AUDIO = ("audio_mnist_az", "fsdd")
SIDE = 64
IG_STEPS = 16
# Draws of the truth, and its seed, which no estimator has.
TRUE_RUNS, TRUE_DRAWS, TRUE_MASKS, TRUE_SEED = 20_000, 200, 6_000, 10**6
# Plain and improved: passes, explanations or masks of each.
RUNS = {"independent": (100, 400), "paired": (20, 40, 100, 200)}
DRAWS = {"independent": (4, 10, 20), "opposite noise": (4, 10, 20)}
MASKS = {"independent": (100, 400), "complements": (100, 400)}
GRADIENTS = {"independent": (16, 64), "staggered": (16, 64)}
PRECISIONS = (0.05, 0.02)
PANELS = ("log-mel", "masks", "sensitivity", "rise", "expected")
CLIPS_IN_MASKS, CLIPS_OF_MAPS = 3, 4
# Training clips that are baselines of expected gradients, and how often the truth goes through all of them.
REFERENCES, TRUE_ROUNDS = 512, 16
COVERED = 1.96


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained model with the clips it is asked about.

    Attributes
    ----------
    dataset : str
        What it was trained on.
    accuracy : float
        On its test part.
    model : Classifier
        Of waveforms.
    waveforms : Tensor
        ``(clips, 1, time)``, of the test part.
    training : Tensor
        Some of the training part, likewise.
    """

    dataset: str
    accuracy: float
    model: Classifier
    waveforms: Tensor
    training: Tensor

    @cached_property
    def silence(self) -> Silence:
        """Silence of the body's inputs."""
        return Silence(self.model.domain)

    @cached_property
    def levels(self) -> Tensor:
        """The clips as the model's body sees them."""
        with torch.no_grad():
            levels: Tensor = self.model.front_end(self.waveforms)
        return levels

    @cached_property
    def references(self) -> Tensor:
        """The training clips as the model's body sees them."""
        with torch.no_grad():
            levels: Tensor = self.model.front_end(self.training)
        return levels

    @cached_property
    def targets(self) -> Tensor:
        """Predicted classes ``(clips,)``, which are explained."""
        with torch.no_grad():
            logits: Tensor = self.model.body(self.levels)
        return logits.argmax(1)


def trained(dataset: str, clips: int, epochs: int, checkpoints: Path, device: torch.device) -> Trained:
    """The model, and clips drawn from its test part."""
    spec = ModelSpec(
        DataSpec(dataset, limit=2500), "small_cnn", (SIDE, SIDE), training("small_cnn", epochs, 0, "audio")
    )
    model, card = ensure_model(spec, checkpoints, device)
    test, training_part = (dataset_of(spec).part(name) for name in ("test", "train"))
    order = torch.randperm(len(test.labels), generator=generator("benchmark clips"))[:clips]
    references = torch.randperm(len(training_part.labels), generator=generator("benchmark references"))[:REFERENCES]
    model.eval().requires_grad_(False)
    waveforms, others = test.inputs[order].to(device), training_part.inputs[references].to(device)
    return Trained(dataset, card.accuracy["test"], model, waveforms, others)


@dataclass(frozen=True, eq=False)
class Asked:
    """What some methods say of clips of one model.

    Attributes
    ----------
    batch : Batch
        The clips.
    silence : Silence
        What removed features become.
    """

    batch: Batch
    silence: Silence

    @cached_property
    def explained(self) -> list[tuple[Explainer, Tensor]]:
        """Methods with their attributions."""
        batch = self.batch
        methods: list[Explainer] = [Saliency(), IntegratedGradients(self.silence, IG_STEPS), RandomAttribution()]
        return [(one, one(batch.model, batch.inputs, batch.targets)) for one in methods]

    def outcomes(self, metrics: "Metrics") -> tuple[Tensor, Tensor, float]:
        """Scores and stated errors ``(methods, clips)``, and passes a clip and method if the methods share none."""
        # A new batch: what an earlier one has shared would be found again.
        batch = self.batch.rows(torch.arange(len(self.batch)))
        metrics_of = [(metrics(self, explainer), maps) for explainer, maps in self.explained]
        found = run([begin(metric, batch, maps) for metric, maps in metrics_of if metric is not None])
        errors = [one.standard_errors for one in found if one.standard_errors is not None]
        return (
            torch.stack([one.scores for one in found]),
            torch.stack(errors),
            mean(one.passes / len(batch) for one in found),
        )


Metrics = Callable[[Asked, Explainer], PassMetric | None]
"""The metric of a method; None where it is not asked."""
OfSeed = Callable[[int], Metrics]
Estimators = dict[tuple[str, float], OfSeed]
"""Metrics of a seed, by design and number of draws, or precision if that is below 1."""


def in_log_mel(given: Trained) -> list[Asked]:
    """All clips as spectrograms."""
    return [Asked(Batch(given.model.body, given.levels, given.targets), given.silence)]


def in_masks(given: Trained) -> list[Asked]:
    """Some clips, each by the masks of its recording."""
    features: Any = given.model.domain
    domain = Mask.of(features.sample_rate_hz, features.duration_s)
    asked = []
    for clip, target in zip(given.waveforms[:CLIPS_IN_MASKS, None], given.targets[:, None], strict=False):
        model = MaskedModel(given.model, MaskedSounds.of(domain, clip, torch.zeros_like(clip)))
        asked.append(Asked(Batch(model, model.inputs, target), Silence(MaskValues(domain))))
    return asked


def faithfulness(**options: Any) -> Metrics:
    """Faithfulness correlation."""
    return lambda asked, _: FaithfulnessCorrelation(asked.silence, **options)


def sensitivity(**options: Any) -> Metrics:
    """Average sensitivity, of methods that take passes."""

    def metric(asked: Asked, explainer: Explainer) -> PassMetric | None:
        noise = SignalNoise(silence_value=asked.silence.domain.silence_value)
        return AverageSensitivity(explainer, noise, **options) if explainer.passes(asked.batch.inputs) else None

    return metric


def estimator_rows(
    asked: Sequence[Asked], truth: Metrics, estimators: Estimators, seeds: int
) -> Iterator[dict[str, Any]]:
    """Figures of estimators by design and number of draws, or precision if it is below 1."""
    true, true_errors, _ = _together([one.outcomes(truth) for one in asked])
    for (design, size), of_seed in estimators.items():
        found = [_together([one.outcomes(of_seed(seed)) for one in asked]) for seed in range(seeds)]
        scores, stated = torch.stack([one for one, _, _ in found]), torch.stack([one for _, one, _ in found])
        spread, off = scores.var(0), scores.mean(0) - true
        within = (scores - true).abs() <= COVERED * (stated.square() + true_errors.square()).sqrt()
        yield {
            "design": design,
            "precision" if size < 1 else "draws": size,
            "passes": round(mean(one[2] for one in found), 2),
            "standard_error": float(spread.mean().sqrt()),
            "stated": float(stated.square().mean().sqrt()),
            "bias": float(off.mean()),
            "bias_z": float((off.square() / (spread / seeds + true_errors.square())).mean().sqrt()),
            "coverage": float(within.double().mean()),
        }


def _together(parts: Sequence[tuple[Tensor, Tensor, float]]) -> tuple[Tensor, Tensor, float]:
    """Outcomes of several models, clip after clip."""
    scores, errors = (torch.cat(each, 1) for each in ([one for one, _, _ in parts], [one for _, one, _ in parts]))
    return scores, errors, mean(passes for _, _, passes in parts)


def correlation_rows(asked: Sequence[Asked], seeds: int) -> Iterator[dict[str, Any]]:
    """Faithfulness correlation of independent and of paired subsets."""

    def of(**options: Any) -> OfSeed:
        return lambda seed: faithfulness(seed=seed, **options)

    several: Estimators = {
        (design, size): of(runs=size, design=design) for design, sizes in RUNS.items() for size in sizes
    }
    several |= {("paired", precision): of(precision=precision) for precision in PRECISIONS}
    return estimator_rows(asked, faithfulness(runs=TRUE_RUNS, seed=TRUE_SEED), several, seeds)


def sensitivity_rows(asked: Sequence[Asked], seeds: int) -> Iterator[dict[str, Any]]:
    """Average sensitivity under independent and under opposite noise."""

    def of(**options: Any) -> OfSeed:
        return lambda seed: sensitivity(seed=seed, **options)

    several: Estimators = {
        (design, size): of(draws=size, antithetic=design == "opposite noise")
        for design, sizes in DRAWS.items()
        for size in sizes
    }
    several |= {("opposite noise", precision): of(precision=precision) for precision in PRECISIONS}
    return estimator_rows(asked, sensitivity(draws=TRUE_DRAWS, seed=TRUE_SEED), several, seeds)


Maps = Callable[[int, int], Tensor]
"""Maps ``(clips, 1, bands, frames)`` of so many masks or gradients and a seed."""


def map_rows(
    maps: Mapping[str, Maps], sizes: Mapping[str, Sequence[int]], true: Tensor, seeds: int
) -> Iterator[dict[str, Any]]:
    """Figures of maps by design and number of draws; errors are of features."""
    for design, make in maps.items():
        for size in sizes[design]:
            found = torch.stack([make(size, seed).double() for seed in range(seeds)])
            yield {
                "design": design,
                "draws": size,
                "passes": size,
                "standard_error": float(found.var(0).mean().sqrt()),
                "bias": float((found.mean(0) - true).mean()),
            }


def rise_rows(given: Trained, seeds: int) -> Iterator[dict[str, Any]]:
    """Maps of RISE by masks that are drawn for themselves, and by complements."""
    inputs, targets = given.levels[:CLIPS_OF_MAPS], given.targets[:CLIPS_OF_MAPS]

    def of(*, antithetic: bool) -> Maps:
        return lambda masks, seed: Rise(given.silence, masks, seed=seed, antithetic=antithetic)(
            given.model.body, inputs, targets
        )

    maps = {"independent": of(antithetic=False), "complements": of(antithetic=True)}
    return map_rows(maps, MASKS, maps["independent"](TRUE_MASKS, TRUE_SEED).double(), seeds)


def expected_rows(given: Trained, seeds: int) -> Iterator[dict[str, Any]]:
    """Expected gradients: baselines and places drawn for themselves, and baselines in turn at staggered places."""
    inputs, targets = given.levels[:CLIPS_OF_MAPS], given.targets[:CLIPS_OF_MAPS]

    def independent(gradients: int, seed: int) -> Tensor:
        # Erion et al. 2021, Eq. 3.
        drawn, total = generator("independent expected gradients", seed), torch.zeros_like(inputs)
        for _ in range(gradients):
            baselines = given.references[torch.randint(len(given.references), (len(inputs),), generator=drawn)]
            places = torch.rand(len(inputs), 1, 1, 1, generator=drawn).to(inputs)
            points = (baselines + places * (inputs - baselines)).requires_grad_(True)
            scores = given.model.body(points).gather(1, targets[:, None])
            total += torch.autograd.grad(scores.sum(), points)[0] * (inputs - baselines)
        return total / gradients

    def staggered(gradients: int, seed: int) -> Tensor:
        return expected(given.references, gradients, seed)(given.model.body, inputs, targets)

    rounds = [staggered(REFERENCES, TRUE_SEED + one).double() for one in range(TRUE_ROUNDS)]
    maps = {"independent": independent, "staggered": staggered}
    return map_rows(maps, GRADIENTS, torch.stack(rounds).mean(0), seeds)


def with_saved(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with what they save, compared with the plain estimator: the mean over its numbers of draws."""
    cost = mean(row["passes"] * row["standard_error"] ** 2 for row in rows if row["design"] == "independent")
    return [{**row, "saved": cost / (row["passes"] * row["standard_error"] ** 2)} for row in rows]


# --- What did not become an option -----------------------------------------------------------------------------------

PATCHES = (1, 4, 8)
SURROGATE_RUNS, TEST_RUNS, RIDGES = (100, 500), 1_000, (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
REMOVALS = (1, 16, 64)


@dataclass(frozen=True, eq=False)
class Drops:
    """Drops of one clip's logit when random squares are removed.

    Attributes
    ----------
    given : Trained
        The model.
    clip, patch : int
        Which clip, and the side of a square.
    """

    given: Trained
    clip: int
    patch: int

    @property
    def count(self) -> int:
        """Squares of the input."""
        return (SIDE // self.patch) ** 2

    @property
    def chosen(self) -> int:
        """Squares of a subset."""
        return max(1, round(0.1 * self.count))

    def subsets(self, runs: int, purpose: str) -> Tensor:
        """Random subsets ``(runs, squares)``, 1 where removed."""
        keys = torch.rand(runs, self.count, generator=generator(purpose, self.clip, self.patch))
        return torch.zeros(runs, self.count).scatter_(1, keys.argsort(1)[:, : self.chosen], 1.0)

    def partitions(self, runs: int) -> Tensor:
        """Subsets of which consecutive ones are disjoint until no more fit in."""
        blocks = self.count // self.chosen
        keys = torch.rand(-(-runs // blocks), self.count, generator=generator("partitions", self.clip, self.patch))
        order = keys.argsort(1)[:, : blocks * self.chosen].reshape(-1, self.chosen)[:runs]
        return torch.zeros(runs, self.count).scatter_(1, order, 1.0)

    def logits(self, subsets: Tensor, share: Tensor | float = 1.0) -> tuple[Tensor, Tensor]:
        """Inputs with a share of the subsets removed, which have a gradient, and their logits ``(runs,)``."""
        whole = self.given.levels[[self.clip]]
        squares = subsets.reshape(-1, 1, SIDE // self.patch, SIDE // self.patch)
        gone = squares.repeat_interleave(self.patch, 2).repeat_interleave(self.patch, 3)
        leaf = torch.lerp(whole.expand_as(gone), self.given.silence(whole).expand_as(gone), share * gone)
        leaf.requires_grad_(torch.is_grad_enabled())
        return leaf, self.given.model.body(leaf)[:, self.given.targets[self.clip]]

    def drops(self, subsets: Tensor) -> Tensor:
        """Drops ``(runs,)``."""
        with torch.no_grad():
            whole = self.logits(torch.zeros(1, self.count))[1]
            return torch.cat([whole - self.logits(subsets[rows])[1] for rows in slices(len(subsets), 64)])

    def gradients(self, subsets: Tensor, share: Tensor | float = 1.0) -> Tensor:
        """Derivative of the drop by the removal of each square, ``(runs, squares)``, a share of subsets removed."""
        leaf, logits = self.logits(subsets, share)
        (slope,) = torch.autograd.grad(logits.sum(), leaf)
        whole = self.given.levels[[self.clip]]
        by_feature = (whole - self.given.silence(whole)) * slope
        by_square: Tensor = torch.nn.functional.avg_pool2d(by_feature, self.patch)
        return by_square.flatten(1) * self.patch**2

    def explained(self) -> dict[str, float]:
        """Share of the drops' variance by linear surrogates: gradients, integrals of them, and fits to other drops."""
        tested = self.subsets(TEST_RUNS, "tested")
        due = self.drops(tested)[None]
        found = {"gradient at the input": self.gradients(torch.zeros(1, self.count))[0]}
        removals = self.subsets(max(REMOVALS), "removals")
        at_removals = torch.cat([self.gradients(removals[rows]) for rows in slices(len(removals), 32)])
        share = torch.rand(len(removals), 1, 1, 1, generator=generator("shares", self.clip))
        on_the_way = torch.cat([self.gradients(removals[rows], share[rows]) for rows in slices(len(removals), 32)])
        for count in REMOVALS:
            found[f"mean gradient at {count} removals"] = at_removals[:count].mean(0)
            inside = (on_the_way * removals)[:count].sum(0) / removals[:count].sum(0).clamp_min(1.0)
            found[f"integrated gradient of {count} removals"] = inside
        scores = {name: float(pearson((tested @ weights)[None], due)[0] ** 2) for name, weights in found.items()}
        fitted = self.subsets(max(SURROGATE_RUNS), "fitted")
        drops = self.drops(fitted)
        for runs in SURROGATE_RUNS:
            scores[f"ridge on {runs} runs"] = max(
                float(pearson((tested @ ridge(fitted[:runs], drops[:runs], size))[None], due)[0] ** 2)
                for size in RIDGES
            )
        return scores

    def partition_saves(self, relevance: Tensor, runs: int, repeats: int) -> float:
        """Variance of the correlation over repeats, independent subsets by partitions."""
        spreads = []
        for subsets in (self.subsets(runs * repeats, "independent"), self.partitions(runs * repeats)):
            sums, drops = (each.reshape(repeats, runs) for each in (subsets @ relevance, self.drops(subsets)))
            spreads.append(float(pearson(sums, drops).var()))
        return spreads[0] / spreads[1]


def ridge(subsets: Tensor, drops: Tensor, size: float) -> Tensor:
    """Weights ``(squares,)`` of the linear fit, of a penalty in units of the subsets' variance."""
    centred, due = (each.double() - each.double().mean(0) for each in (subsets, drops))
    inner = centred @ centred.T
    penalty = size * inner.diagonal().mean() * torch.eye(len(inner), dtype=torch.float64)
    weights: Tensor = centred.T @ torch.linalg.solve(inner + penalty, due)
    return weights.to(subsets)


def tried_rows(given: Trained, clips: int) -> Iterator[dict[str, Any]]:
    """Medians over clips."""
    saliency = Saliency()(given.model.body, given.levels, given.targets)
    for patch in PATCHES:
        several = [Drops(given, clip, patch) for clip in range(clips)]
        explained = [one.explained() for one in several]
        sums = torch.nn.functional.avg_pool2d(saliency, patch).flatten(1)
        saves = [one.partition_saves(sums[one.clip], 100, 40) for one in several]
        yield {
            "patch": patch,
            "explained": {name: median(one[name] for one in explained) for name in explained[0]},
            "partition": median(saves),
        }


# --- Output ----------------------------------------------------------------------------------------------------------

TITLES = {
    "log-mel": "Faithfulness correlation, log-mel",
    "masks": "Faithfulness correlation, masks",
    "sensitivity": "Average sensitivity",
    "rise": "RISE (features of maps)",
    "expected": "Expected gradients (features of maps)",
}
ERROR_TICKS = (0.005, 0.007, 0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1)
UNITS = {"sensitivity": "explanations", "rise": "masks", "expected": "gradients"}


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """One panel an estimator: error by passes, both designs, a line a data set."""
    panels = [name for name in PANELS if any(row["estimator"] == name for row in rows)]
    with settings():
        figure = new_figure(2.5 * len(panels) / 2 + 0.4, DOUBLE_INCHES)
        axes = figure.subplots(-(-len(panels) // 2), min(2, len(panels)), squeeze=False).flatten()
        for unused in axes[len(panels) :]:
            unused.set_axis_off()
        for one, panel in zip(axes, panels, strict=False):
            own = [row for row in rows if row["estimator"] == panel and "draws" in row]
            designs = list(dict.fromkeys(row["design"] for row in own))
            for colour, design in zip((COLOURS[4], COLOURS[0]), designs, strict=True):
                for line, dataset in zip(("-o", "--s"), dict.fromkeys(row["dataset"] for row in own), strict=False):
                    points = [row for row in own if row["design"] == design and row["dataset"] == dataset]
                    across = [row["draws" if panel in UNITS else "passes"] for row in points]
                    errors = [row["standard_error"] for row in points]
                    one.loglog(across, errors, line, color=colour, markersize=3, lw=1, label=f"{design}, {dataset}")
            one.set(title=TITLES[panel], xlabel=UNITS.get(panel, "model passes"), ylabel="standard error")
            one.legend(fontsize=6, loc="upper center", bbox_to_anchor=(0.5, -0.28), ncols=2, frameon=False)
            _plain_ticks(one.xaxis, sorted({row["draws" if panel in UNITS else "passes"] for row in own}))
            errors = [row["standard_error"] for row in own]
            _plain_ticks(one.yaxis, [tick for tick in ERROR_TICKS if min(errors) / 1.3 < tick < max(errors) * 1.3])
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=PNG_DPI, metadata=METADATA["png"])


def _plain_ticks(axis: Axis, ticks: Sequence[float]) -> None:
    """Ticks at these numbers of a logarithmic axis and nowhere else."""
    axis.set_major_locator(FixedLocator(list(ticks)))
    axis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
    axis.set_minor_locator(NullLocator())


def line(row: dict[str, Any]) -> str:
    """One row of figures, for people."""
    size = f"to {row['precision']}" if "precision" in row else str(row["draws"])
    keys = ("passes", "standard_error", "stated", "bias", "bias_z", "coverage", "saved")
    numbers = "  ".join(f"{key} {row[key]:.3g}" for key in keys if key in row)
    return f"{row['dataset']:<15}{row['estimator']:<12}{row['design']:<15}{size:<9}{numbers}"


def measure(given: Trained, only: Sequence[str], seeds: int, tried: int) -> Iterator[dict[str, Any]]:
    """Rows of one model."""
    found: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
        "log-mel": lambda: correlation_rows(in_log_mel(given), seeds),
        "masks": lambda: correlation_rows(in_masks(given), seeds),
        "sensitivity": lambda: sensitivity_rows(in_log_mel(given), seeds),
        "rise": lambda: rise_rows(given, seeds),
        "expected": lambda: expected_rows(given, seeds),
    }
    for name in only:
        if name == "tried":
            yield from ({"dataset": given.dataset, "tried": row} for row in tried_rows(given, tried))
        else:
            yield from ({"dataset": given.dataset, "estimator": name, **row} for row in with_saved(list(found[name]())))


def main(argv: list[str]) -> None:
    """Measure, print, store and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="file to write the figures to; rows of other parts there are kept")
    parser.add_argument("--figure", type=Path, help="picture to draw, of all rows in the file")
    parser.add_argument("--audio", nargs="+", default=list(AUDIO), help="data sets (default both)")
    parser.add_argument("--only", nargs="+", default=[*PANELS, "tried"], choices=[*PANELS, "tried"], help="parts")
    parser.add_argument("--clips", type=int, default=8, help="clips of a data set (default 8)")
    parser.add_argument("--seeds", type=int, default=30, help="seeds of an estimator (default 30)")
    parser.add_argument("--epochs", type=int, default=12, help="epochs of training (default 12)")
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"), help="where models are kept")
    options = parser.parse_args(argv)
    if options.clips < CLIPS_OF_MAPS or options.seeds < 2:
        raise UserError(f"clips is {options.clips} and seeds is {options.seeds}; give at least {CLIPS_OF_MAPS} and 2")
    device = select_device("cpu")
    keep_freed_memory()
    rows: list[dict[str, Any]] = []
    if options.json is not None and options.json.exists():
        rows = json.loads(options.json.read_text(encoding="utf-8"))["rows"]
    for dataset in options.audio:
        given = trained(dataset, options.clips, options.epochs, options.checkpoints, device)
        for part in options.only:
            rows = [row for row in rows if (row["dataset"], row.get("estimator", "tried")) != (dataset, part)]
            for row in measure(given, [part], options.seeds, CLIPS_OF_MAPS):
                rows.append(row)
                print(json.dumps(row) if "tried" in row else line(row), flush=True)
            if options.json is not None:
                facts = {name: version(name) for name in ("torch", "numpy")}
                content = {"rows": rows, "clips": options.clips, "seeds": options.seeds, "versions": facts}
                write_text(options.json, json.dumps(content, indent=1) + "\n")
    if options.figure is not None:
        draw([row for row in rows if "estimator" in row], options.figure)


if __name__ == "__main__":
    sys.exit(run_command(main))
