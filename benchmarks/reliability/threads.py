"""One and two threads: both finish, and give the same scores but for rounding, from training to the last metric.

PyTorch's convolutions add in another order on other numbers of threads, so weights that were trained anew differ in
their last digits, and scores with them; scores of the same weights are compared more closely.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from benchmarks.reliability.tally import Outcome, Tally, Verdict, how_many, in_children, of_command

LIMIT_S = 600.0
# Largest differences of scores: of the same weights, and of weights that were trained anew.
SAME_WEIGHTS, TRAINED_ANEW = 1e-5, 1e-2
STUDY = """\
name: threaded
data: {{folder: ../sounds}}
model: {{architecture: {architecture}, bands: 32, frames: 24, epochs: 1}}
samples: 2
methods: [integrated_gradients, guided_grad_cam, random]
metrics: [faithfulness_correlation, average_sensitivity, sparseness, random_logit, mprt]
gradients: [8]
settings: {{runs: 6, draws: 1, alternatives: 1}}
references: 16
device: cpu
threads: {threads}
"""
ARCHITECTURES = ("small_cnn", "audionet")
RUN = """
import sys
from pathlib import Path
from audioxai.studies import command
from audioxai.utils.commands import run_command
raise SystemExit(run_command(lambda _: command.run_file(Path(sys.argv[1]), [], [command.everything])))
"""


def run(scale: float, seed: int, folder: Path) -> Tally:  # noqa: ARG001 (as the other parts)
    """The same study with other numbers of threads."""
    from helpers.tiny_data import write_class_folders

    write_class_folders(folder / "sounds")
    return Tally.of("threads", _outcomes(folder, how_many(len(ARCHITECTURES), scale)))


def _outcomes(folder: Path, count: int) -> Iterator[tuple[str, Outcome]]:
    for architecture in ARCHITECTURES[:count]:
        one, anew = (folder / f"{architecture}_{name}" for name in ("one", "two"))
        for place, threads in ((one, 1), (anew, 2)):
            yield f"{architecture}, {threads} threads", _finished(place, architecture, threads)
        same = folder / f"{architecture}_two_with_weights_of_one"
        shutil.copytree(one / "checkpoints", same / "checkpoints")
        yield f"{architecture}, 2 threads with the same weights", _finished(same, architecture, 2)
        cases = [(str(one), str(same), SAME_WEIGHTS), (str(one), str(anew), TRAINED_ANEW)]
        names = [f"{architecture}, scores of {what}" for what in ("the same weights", "weights trained anew")]
        yield from zip(names, in_children(_compared, cases, LIMIT_S), strict=True)


def _finished(place: Path, architecture: str, threads: int) -> Outcome:
    place.mkdir(exist_ok=True)
    study = place / "study.yaml"
    study.write_text(STUDY.format(architecture=architecture, threads=threads), encoding="utf-8")
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    return of_command([sys.executable, "-c", RUN, study], LIMIT_S, environment=environment)


def _compared(case: tuple[str, str, float]) -> Outcome:
    from helpers.tiny_studies import sorted_rows

    from audioxai.results import ResultSet

    one, two = (sorted_rows(ResultSet.open(Path(place) / "results", "threaded").rows) for place in case[:2])
    keys = [name for name in one.columns if name not in ("score", "standard_error", "checkpoint")]
    gaps = (one["score"] - two["score"]).abs()
    if not one[keys].equals(two[keys]) or (one["score"].isna() != two["score"].isna()).any():
        return Outcome(Verdict.WRONG, "other rows")
    said = f"scores differ by up to {gaps.max():.3g}: {sorted(set(one['metric'][gaps > case[2]]))}"
    return Outcome(Verdict.WRONG if gaps.max() > case[2] else Verdict.USED, said)
