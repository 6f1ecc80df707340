"""How far maps move when nothing but the seed of the method changes: what an attack's movement has to be compared with.

    python benchmarks/movement_by_seed.py --checkpoints checkpoints

Methods with noise draw it anew for a changed recording, so their maps move with any change. The clips and the model are
the first ones of ``audioxai run attack``; the movement is one minus the rank correlation of the maps of seeds 0 and 1.
"""

import argparse
from pathlib import Path

import torch

from audioxai.experiment.materials import chosen
from audioxai.experiment.models import ensure_model, recordings_of
from audioxai.experiment.plan import cells_of
from audioxai.metrics.similarity import spearman
from audioxai.statistics.means import score_mean
from audioxai.studies import attack
from audioxai.utils.commands import run_command
from audioxai.xai_methods.masks import in_masks

METHODS = ("ordered", "contrastive_loudness")


def main(arguments: list[str]) -> None:
    """Print one line per method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"))
    options = parser.parse_args(arguments)
    config = attack.PROFILES["quick"]
    (cell,) = attack.declare(config).cells
    model, _ = ensure_model(cell.model, options.checkpoints, torch.device("cpu"))
    recordings = recordings_of(cell.model)
    test, references = recordings.part("test"), recordings.part("train").inputs[: config.references]
    clips = test.rows(chosen(test, options.clips, 0))
    with torch.inference_mode():
        targets = model(clips.inputs).argmax(1)
    for name in METHODS:
        first, second = (
            in_masks(name, cells_of(cell), gradients=config.gradients, seed=seed, references=references)(
                model, clips.inputs, targets
            ).flatten(1)
            for seed in (0, 1)
        )
        found = score_mean((1.0 - spearman(first, second)).numpy(), list(map(str, clips.groups))).interval()
        print(f"{name:22} {found.mean:.3f} [{found.low:.3f}, {found.high:.3f}] of {found.n} clips")


if __name__ == "__main__":
    raise SystemExit(run_command(main))
