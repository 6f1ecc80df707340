"""Puts data sets where the experiments look for them; what is there already is left alone.

Usage::

    python scripts/prepare_datasets.py                                     # MNIST and AudioMNIST into data/
    python scripts/prepare_datasets.py --datasets fsdd --root /big/disk    # then set AUDIO_XAI_DATA=/big/disk
    python scripts/prepare_datasets.py --datasets audio_mnist --source ~/AudioMNIST-master.zip
    python scripts/prepare_datasets.py --datasets speech_commands          # the test set of Speech Commands
    python scripts/prepare_datasets.py --for-demo                          # whatever can be had, stand-ins if need be

An interrupted download goes on where it stopped when the same command is run again.
"""

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audioxai.datasets.archives import require_vacant, staging
from audioxai.datasets.preparation import install_made
from audioxai.datasets.supply import option_parser, prepare_as_asked
from audioxai.utils.commands import run_command
from audioxai.utils.errors import UserError
from audioxai.utils.seeding import derived_seed

PROJECT = Path(__file__).resolve().parents[1]


def main(arguments: list[str]) -> None:
    """Prepare what the arguments ask for."""
    options = option_parser(__doc__ or "").parse_args(arguments)
    makers = {"spoken_digits": make_spoken_digits, "digits_8x8": make_digits_8x8}
    prepare_as_asked(options, PROJECT / "data", makers)


def make_spoken_digits(root: Path) -> None:
    """Have the stand-in for AudioMNIST spoken, in processes of their own, into ``root/spoken_digits``."""
    target = (root / "spoken_digits").resolve()
    require_vacant(target)
    script = PROJECT / "scripts" / "synthesise_digits.py"
    with staging(target) as work:
        command = [sys.executable, str(script), "--output", str(work / "complete")]
        # Its progress bar and its one line of error go to the same terminal.
        if subprocess.run(command, check=False).returncode:
            raise UserError("the spoken digits could not be synthesised for the reason above; mend it and try again")
        install_made("spoken_digits", work / "complete", target, {"source": "espeak-ng"})


def make_digits_8x8(root: Path) -> None:
    """Write scikit-learn's digits, resized, in MNIST's files: the stand-in for it, into ``root/digits_8x8``."""
    from sklearn.datasets import load_digits

    target = (root / "digits_8x8").resolve()
    require_vacant(target)
    small, labels = load_digits(return_X_y=True)
    images = resized(np.asarray(small).reshape(-1, 8, 8) * (255 / 16), 28)
    order = balanced_order(np.asarray(labels))
    tests = len(order) // 5
    with staging(target) as work:
        complete = work / "complete"
        complete.mkdir()
        for prefix, rows in (("t10k", order[:tests]), ("train", order[tests:])):
            write_idx(complete / f"{prefix}-images-idx3-ubyte.gz", images[rows])
            write_idx(complete / f"{prefix}-labels-idx1-ubyte.gz", np.asarray(labels)[rows].astype(np.uint8))
        install_made("digits_8x8", complete, target, {"source": "sklearn.datasets.load_digits"})


def balanced_order(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices ``(samples,)``, seeded, in which every stretch holds the labels in nearly the same shares."""
    random = np.random.default_rng(derived_seed("digits_8x8"))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        own = random.permutation(np.flatnonzero(labels == label))
        place[own] = (np.arange(len(own)) + random.random()) / len(own)
    return np.argsort(place, kind="stable")


def resized(images: NDArray[np.float64], side: int) -> NDArray[np.uint8]:
    """Square images ``(samples, rows, columns)`` in 0…255 enlarged to ``(samples, side, side)`` bilinearly."""
    small = images.shape[-1]
    centres = np.clip((np.arange(side) + 0.5) * small / side - 0.5, 0, small - 1)
    weights = np.clip(1 - np.abs(centres[:, None] - np.arange(small)), 0, None)
    enlarged: NDArray[np.float64] = weights @ images @ weights.T
    # Rounding first to 6 digits keeps halves from falling differently on different machines.
    rounded: NDArray[np.uint8] = np.rint(np.round(enlarged, 6)).astype(np.uint8)
    return rounded


def write_idx(file: Path, values: NDArray[np.uint8]) -> None:
    """Write an IDX file, gzipped without a date so that the same values give the same bytes."""
    header = bytes((0, 0, 8, values.ndim)) + np.asarray(values.shape, ">u4").tobytes()
    file.write_bytes(gzip.compress(header + values.tobytes(), mtime=0))


if __name__ == "__main__":
    raise SystemExit(run_command(main))
