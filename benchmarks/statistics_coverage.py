"""How often the intervals cover what they should, and how often the tests see what is not there.

    python benchmarks/statistics_coverage.py --json out.json
    python benchmarks/statistics_coverage.py --simulations 200 --json out.json

Two methods are scored on clips of 6, 12 or 60 speakers, with 3 to 27 clips a speaker, under three training seeds that
explain every clip. A score is a sum of a level and of random parts for the speaker, the clip, the training seed, the
speaker under that seed and the rest, all bounded so that it lies in [−1, 1]; the second method's own parts are a third
as large, so the paired differences are as skewed as the parts are. Since everything is added, the true mean difference
is known exactly. Parts come in four shapes: *even* (bell-shaped), *skewed* (skewness 1.6), *heavy* (Student's t with 2
degrees of freedom, cut at 12) and *collapse* (one clip in ten falls far below the others).

``coverage``: 95 % intervals of the mean difference, for the models that were trained (``cluster_mean``, ``score_mean``,
``bca``) and for any trainings (``crossed_interval``), and of how it differs from that of 60 other speakers, as audio is
compared with images (``contrast``). ``effects``: 95 % intervals of the effect sizes, of smaller effects.
``false_positives``: tests at 5 % of methods that are exchangeable, and families of such tests after Holm or in
Nemenyi's diagram. ``met`` is whether a rate lies within the bounds asked for (coverage 93–97 %; errors at most 5 % and
what chance allows at 1 %); ``!`` in the table marks those that are not. BCa, and ``cluster_mean`` where it is asked
about trainings that were not made, are there to show why they are not the answer. A quarter of an hour on one core.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from audioxai.statistics import (
    Interval,
    cluster_mean,
    cohens_dz,
    contrast,
    critical_difference,
    crossed_interval,
    friedman_p,
    holm,
    mean_interval,
    rank_biserial,
    score_mean,
    signed_rank_p,
    superiority,
)
from audioxai.utils.commands import run_command
from audioxai.utils.errors import UserError
from audioxai.utils.seeding import derived_seed

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Floats]

CLUSTERS = (6, 12, 60)
OTHERS = 60
FEWEST_CLIPS, MOST_CLIPS = 3, 27
TRAINING_SEEDS = 3
METHODS = 5
LEVEL, SMALL_LEVEL = 0.1, 0.03
# Largest sizes of the parts of a score; with the level they add up to 1.
SHARED, SPEAKER, CLIP, SEED, SPEAKER_AND_SEED, REST = 0.15, 0.25, 0.2, 0.1, 0.1, 0.1
SECOND = 1 / 3
CONFIDENCE = 0.95
COVERAGE_BOUNDS = (0.93, 0.97)
ERROR_BOUND = 0.05


def even(random: np.random.Generator, size: tuple[int, ...]) -> Floats:
    """Bell-shaped in [−1, 1], mean 0."""
    return 2 * random.beta(4, 4, size=size) - 1


def skewed(random: np.random.Generator, size: tuple[int, ...]) -> Floats:
    """Long tail to the right within [−1, 1], mean 0, skewness 1.6."""
    mean = 0.7 / 6.7
    return (random.beta(0.7, 6, size=size) - mean) / (1 - mean)


def heavy(random: np.random.Generator, size: tuple[int, ...]) -> Floats:
    """Student's t with 2 degrees of freedom cut at ±12, scaled to [−1, 1], mean 0."""
    outside = stats.t.cdf(-12, 2)
    values: Floats = stats.t.ppf(random.uniform(outside, 1 - outside, size=size), 2) / 12
    return values


def collapse(random: np.random.Generator, size: tuple[int, ...]) -> Floats:
    """1/10 at nine times in ten, −9/10 otherwise: mean 0."""
    return np.where(random.uniform(size=size) < 0.1, -0.9, 0.1)


# Shape → parts of speakers and seeds, parts of clips.
SHAPES: dict[str, tuple[Draw, Draw]] = {
    "even": (even, even),
    "skewed": (skewed, skewed),
    "heavy": (heavy, heavy),
    "collapse": (even, collapse),
}


@dataclass(frozen=True, eq=False)
class Scores:
    """Simulated scores and what their mean difference is in truth.

    Attributes
    ----------
    methods : ndarray, shape (methods, pairs)
        Scores in [−1, 1].
    speakers, seeds : ndarray, shape (pairs,)
        Speaker and training seed of every pair.
    difference : float
        Mean of the first method minus the second's, over all trainings.
    difference_of_models : float
        The same for the models that were trained.
    """

    methods: Floats
    speakers: Labels
    seeds: Labels
    difference: float
    difference_of_models: float


@dataclass(frozen=True)
class Rate:
    """One line of the table.

    Attributes
    ----------
    what, shape : str
        Interval or test, and the shape of the scores.
    clusters : int
        Speakers.
    rate : float
        Share of simulations where the interval covers, or where the test (any of a family) errs.
    width : float or None
        Median width of the intervals.
    met : bool
        Whether the rate lies within the bounds.
    """

    what: str
    shape: str
    clusters: int
    rate: float
    width: float | None
    met: bool


def simulated(
    shape: str, clusters: int, sizes: Sequence[float], levels: Sequence[float], seed: int, training: float = SEED
) -> Scores:
    """Scores of methods at ``levels`` whose own parts are ``sizes`` times the full ones.

    ``training`` is the size of a training seed's own part, the same for all its clips.
    """
    random = np.random.default_rng(seed)
    clips_of = np.round(np.geomspace(FEWEST_CLIPS, MOST_CLIPS, clusters)).astype(int)
    owner = np.repeat(np.arange(clusters), clips_of)
    by_speaker, by_clip = SHAPES[shape]
    shared = SHARED * by_clip(random, (owner.size, 1))
    methods, of_models = [], []
    for size, level in zip(sizes, levels, strict=True):
        trainings = training * by_speaker(random, (TRAINING_SEEDS,))
        speaker = SPEAKER * by_speaker(random, (clusters, 1))
        speaker_and_seed = SPEAKER_AND_SEED * by_speaker(random, (clusters, TRAINING_SEEDS))
        clip = CLIP * by_clip(random, (owner.size, 1))
        rest = REST * by_clip(random, (owner.size, TRAINING_SEEDS))
        own = trainings + (speaker + speaker_and_seed)[owner] + clip + rest
        methods.append((level + shared + size * own).ravel())
        of_models.append(level + size * trainings.mean())
    return Scores(
        methods=np.stack(methods),
        speakers=np.repeat(owner, TRAINING_SEEDS),
        seeds=np.tile(np.arange(TRAINING_SEEDS), owner.size),
        difference=levels[0] - levels[1],
        difference_of_models=float(of_models[0] - of_models[1]),
    )


def mean_coverage(shape: str, clusters: int, simulations: int) -> Iterator[Rate]:
    """Coverage of the mean difference by every kind of interval."""
    ends: dict[str, list[tuple[float, float, float]]] = {}
    for index in range(simulations):
        given = simulated(shape, clusters, (1, SECOND), (LEVEL, 0), derived_seed("coverage", shape, clusters, index))
        other = simulated(shape, OTHERS, (1, SECOND), (LEVEL, 0), derived_seed("other group", shape, clusters, index))
        differences = given.methods[0] - given.methods[1]
        groups = [score_mean(one.methods[0] - one.methods[1], one.speakers) for one in (given, other)]
        found = {
            "cluster_mean": (cluster_mean(differences, given.speakers).interval(), given.difference_of_models),
            "score_mean": (groups[0].interval(), given.difference_of_models),
            "contrast": (
                contrast(groups, [1, -1]).interval(),
                given.difference_of_models - other.difference_of_models,
            ),
            "bca": (mean_interval(differences, given.speakers, seed=0), given.difference_of_models),
            "crossed_interval": (crossed_interval(differences, given.speakers, given.seeds), given.difference),
            "cluster_mean for any trainings": (cluster_mean(differences, given.speakers).interval(), given.difference),
        }
        for name, (interval, truth) in found.items():
            ends.setdefault(name, []).append((interval.low, interval.high, truth))
    for name, rows in ends.items():
        yield _coverage(name, shape, clusters, np.array(rows))


def effect_coverage(shape: str, clusters: int, simulations: int) -> Iterator[Rate]:
    """Coverage of the effect sizes; their truth is the mean over the simulations of what they estimate without bias.

    Trainings have no part of their own here, so that all simulations have the same truth.
    """
    effects = {"superiority": superiority, "rank_biserial": rank_biserial, "cohens_dz": cohens_dz}
    intervals: dict[str, list[Interval]] = {name: [] for name in effects}
    variances = []
    for index in range(simulations):
        seed = derived_seed("effects", shape, clusters, index)
        given = simulated(shape, clusters, (1, SECOND), (SMALL_LEVEL, 0), seed, training=0)
        differences = given.methods[0] - given.methods[1]
        variances.append(cluster_mean(differences, given.speakers).variance * clusters)
        for name, effect in effects.items():
            intervals[name].append(effect(differences, given.speakers))
    truths = {name: float(np.mean([interval.mean for interval in found])) for name, found in intervals.items()}
    truths["cohens_dz"] = SMALL_LEVEL / float(np.mean(variances)) ** 0.5
    for name, found in intervals.items():
        rows = np.array([(interval.low, interval.high, truths[name]) for interval in found])
        yield _coverage(name, shape, clusters, rows)


def false_positives(shape: str, clusters: int, simulations: int) -> Iterator[Rate]:
    """Errors of single tests and of families, where no method differs from another."""
    errors: dict[str, int] = {}
    for index in range(simulations):
        seed = derived_seed("null", shape, clusters, index)
        given = simulated(shape, clusters, [1] * METHODS, [LEVEL] * METHODS, seed, training=0)
        for name, p in null_p_values(given).items():
            errors[name] = errors.get(name, 0) + (p < 1 - CONFIDENCE)
    for name, count in errors.items():
        # Met unless the errors are more than an error rate of exactly 5 % gives once in a hundred times.
        met = bool(stats.binom.sf(count - 1, simulations, ERROR_BOUND) > 0.01)
        yield Rate(name, shape, clusters, count / simulations, None, met)


def null_p_values(given: Scores) -> dict[str, float]:
    """P of every test, and the smallest of every family."""
    table = pd.DataFrame(given.methods.T)
    pairs = [given.methods[i] - given.methods[j] for i, j in combinations(range(METHODS), 2)]
    t = np.array([cluster_mean(pair, given.speakers).p_value for pair in pairs])
    signed_rank = np.array([signed_rank_p(pair, given.speakers) for pair in pairs])
    diagram = critical_difference(table, given.speakers, higher_is_better=True)
    return {
        "t": float(t[0]),
        "signed rank": float(signed_rank[0]),
        "friedman": friedman_p(table, given.speakers),
        "t, Holm, any of 10": float(holm(t).min()),
        "signed rank, Holm, any of 10": float(holm(signed_rank).min()),
        "nemenyi, any of 10": float(diagram.p_values.to_numpy().min()),
    }


def _coverage(name: str, shape: str, clusters: int, rows: Floats) -> Rate:
    low, high, truth = rows.T
    rate = float(np.mean((low <= truth) & (truth <= high)))
    width = float(np.median(high - low))
    return Rate(name, shape, clusters, rate, width, COVERAGE_BOUNDS[0] <= rate <= COVERAGE_BOUNDS[1])


def rates(simulations: int) -> dict[str, list[Rate]]:
    """All lines of the benchmark, by question."""
    questions = {"coverage": mean_coverage, "effects": effect_coverage, "false_positives": false_positives}
    return {
        question: [rate for shape in SHAPES for clusters in CLUSTERS for rate in answered(shape, clusters, simulations)]
        for question, answered in questions.items()
    }


def table(lines: Sequence[Rate]) -> str:
    """Rates with intervals and tests down, shapes and numbers of clusters across; ``!`` marks what is out of bounds."""
    entries = {(line.what, line.shape, line.clusters): f"{line.rate:.3f}{' ' if line.met else '!'}" for line in lines}
    columns = list(dict.fromkeys((line.shape, line.clusters) for line in lines))
    names = list(dict.fromkeys(line.what for line in lines))
    width = max(map(len, names))
    head = [" " * width + "".join(f"{text!s:>10}" for text in part) for part in zip(*columns, strict=True)]
    body = [f"{name:<{width}}" + "".join(f"{entries[name, *column]:>10}" for column in columns) for name in names]
    return "\n".join([*head, *body])


def main(arguments: list[str]) -> None:
    """Run the simulations, print the table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the rates")
    parser.add_argument("--simulations", type=int, default=2000, help="simulated studies a line and column")
    options = parser.parse_args(arguments)
    if options.simulations < 1:
        raise UserError(f"--simulations is {options.simulations}; give at least 1")
    found = rates(options.simulations)
    for question, lines in found.items():
        print(f"\n{question.replace('_', ' ')}\n{table(lines)}")
    if options.json:
        report = {question: [asdict(line) for line in lines] for question, lines in found.items()}
        text = json.dumps({"simulations": options.simulations, **report}, indent=1)
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(run_command(main))
