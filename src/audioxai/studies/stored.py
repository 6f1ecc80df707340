"""What a results folder holds: which studies were run, with which options, and what they left there."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pandas as pd

from audioxai.report.objective2_curves import Curves
from audioxai.studies.objective1 import config as objective1_config
from audioxai.studies.objective1 import plan as objective1_plan
from audioxai.studies.objective1 import scores as objective1_scores
from audioxai.studies.objective1.config import Objective1Config
from audioxai.studies.objective2 import config as objective2_config
from audioxai.studies.objective2 import plan as objective2_plan
from audioxai.studies.objective2 import scores as objective2_scores
from audioxai.studies.objective2.answer import curves_of
from audioxai.studies.objective2.config import Objective2Config
from audioxai.utils.configuration import parse
from audioxai.utils.errors import UserError
from audioxai.utils.store import Store

Config = TypeVar("Config", Objective1Config, Objective2Config)

LARGEST_FIRST = ("full", "standard", "quick")
ANY_PROFILE = "auto"
# Metric seeds beside a study's own that are looked for, to tell a metric's noise.
METRIC_SEEDS = range(10)


@dataclass(frozen=True)
class Folders:
    """Where results and checkpoints lie, and which profile's are meant; ``auto`` for the largest that was run."""

    results: Path
    checkpoints: Path
    profile: str = ANY_PROFILE


def objective1_config_in(folders: Folders) -> Objective1Config:
    """Options with which Objective 1 was last run in a profile.

    Raises
    ------
    UserError
        If it was not, or its options are not those of today.
    """
    path = _saved(folders, objective1_plan.STUDY, "python scripts/run_demo.py")
    return _read(Objective1Config, objective1_config.PROFILES, path, folders)


def objective2_config_in(folders: Folders) -> Objective2Config:
    """Options with which Objective 2 was last run in a profile; raises as :func:`objective1_config_in`."""
    path = _saved(folders, objective2_plan.STUDY, "python experiments/objective2/audio_adapted_ig.py")
    return _read(Objective2Config, objective2_config.PROFILES, path, folders)


def objective1_repeats(config: Objective1Config) -> pd.DataFrame:
    """Result rows under every metric seed whose scores are all there, ``seed`` naming it.

    Metrics that draw nothing have the same rows under every seed.
    """
    store = Store(Path(config.results), objective1_plan.STUDY)
    seeds = sorted({config.metric_seed, *METRIC_SEEDS})
    shards = {seed: _objective1_shards(replace(config, metric_seed=seed)) for seed in seeds}
    found = [seed for seed in seeds if all(path.exists() for path in shards[seed])]
    return pd.concat([store.load_rows(shards[seed]).assign(seed=seed) for seed in found], ignore_index=True)


def objective2_rows(config: Objective2Config) -> pd.DataFrame:
    """Every result row of this configuration.

    Raises
    ------
    UserError
        If clips have not been explained, or not been scored.
    """
    planned = objective2_scores.explained_cells(config)
    paths = [unit.path for cell in planned for unit in objective2_scores.units(config, cell)]
    if not all(path.exists() for path in paths):
        raise UserError(
            f"Objective 2 has not been scored in profile {config.profile}; run "
            "experiments/objective2/evaluate_adaptations.py with the same options first"
        )
    return Store(Path(config.results), objective2_plan.STUDY).load_rows(paths)


def objective2_curves(config: Objective2Config, gradients: int) -> dict[tuple[str, str], dict[str, Curves]]:
    """Insertion and deletion curves of recordings at a number of gradients, as :func:`curves_of` finds them."""
    return curves_of(
        [(cell, objective2_scores.units(config, cell)) for cell in objective2_plan.cells(config)], gradients
    )


def _objective1_shards(config: Objective1Config) -> list[Path]:
    planned = objective1_scores.all_cells(config)
    return [unit.path for cell in planned for unit in objective1_scores.units(config, cell)]


def _saved(folders: Folders, study: str, command: str) -> Path:
    profiles = LARGEST_FIRST if folders.profile == ANY_PROFILE else (folders.profile,)
    places = [folders.results / "configs" / f"{study}-{profile}.yaml" for profile in profiles]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        named = "" if folders.profile == ANY_PROFILE else f" --profile {folders.profile}"
        raise UserError(
            f"{folders.results} holds no {study.replace('objective', 'Objective ')}"
            f"{named and f' of profile {folders.profile}'}; run {command}{named}"
        )
    return found


def _read(kind: type[Config], profiles: dict[str, Config], path: Path, folders: Folders) -> Config:
    """The saved options, on this machine: its own folders, whatever device it has."""
    argv = [f"--config={path}", f"--results={folders.results}", f"--checkpoints={folders.checkpoints}", "--device=auto"]
    return parse(kind, profiles, "", (), argv)
