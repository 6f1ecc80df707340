# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Results of Audio XAI
#
# What the experiments left in `results/`: scores with their intervals, maps over spectrograms, and sounds. Nothing is
# trained or explained here. Run it from top to bottom; then change the choices marked **Choose** and run from there.
#
# `make demo` fills Objective 1. Objective 2 comes with `python experiments/objective2/audio_adapted_ig.py` and
# `python experiments/objective2/evaluate_adaptations.py`. The data have to be where the experiments found them, since
# results are named by them.

# %%
import os
from io import BytesIO
from pathlib import Path

import pandas as pd
from IPython.display import Audio, Image, Markdown, display

from audioxai.report.canvas import PNG_DPI, settings
from audioxai.report.figures import attribution_overlay, difference_forest, heat_map, resolution_curves
from audioxai.report.objective2_figures import figures_of
from audioxai.report.objective2_tables import ALL, CLIPS, LEADING
from audioxai.report.objective2_tables import gather as gather_adaptations
from audioxai.report.sources import dataset_name, present_modalities, stand_in_notice
from audioxai.report.style import arrow, estimate, method_style, metric_style
from audioxai.report.tables import gather
from audioxai.studies.galleries import objective1_galleries, objective2_galleries
from audioxai.studies.objective1.comparison import directions_of, load_rows
from audioxai.studies.stored import (
    Folders,
    objective1_config_in,
    objective2_config_in,
    objective2_curves,
    objective2_rows,
)
from audioxai.utils.errors import UserError

# %% [markdown]
# ## Choose: which results
#
# `PROFILE` is `quick`, `standard`, `full`, or `auto` for the largest that was run.

# %%
PROJECT = next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "pyproject.toml").exists())
RESULTS = Path(os.environ.get("AUDIO_XAI_RESULTS", PROJECT / "results"))
CHECKPOINTS = Path(os.environ.get("AUDIO_XAI_CHECKPOINTS", PROJECT / "checkpoints"))
PROFILE = "auto"

# %%
os.chdir(PROJECT)  # where the experiments look for data/
folders = Folders(RESULTS.resolve(), CHECKPOINTS.resolve(), PROFILE)


def show(figure) -> None:
    """Display a figure at its natural size."""
    content = BytesIO()
    with settings():
        figure.savefig(content, format="png", dpi=PNG_DPI)
    display(Image(content.getvalue(), width=round(100 * figure.get_size_inches()[0])))


def found(read):
    """What ``read`` returns; None, and a line that says which command makes it, where the store does not hold it."""
    try:
        return read()
    except UserError as error:
        display(Markdown(f"*Not here yet:* {error}"))
        return None


# %% [markdown]
# ## Objective 1: audio beside images

# %%
config1 = found(lambda: objective1_config_in(folders))
rows1 = None if config1 is None else found(lambda: load_rows(config1))
if rows1 is not None:
    directions1 = directions_of(config1)
    evidence1 = gather(rows1, [], directions1)
    names1 = {modality: dataset_name(rows1, modality) for modality in present_modalities(rows1)}
    for notice in stand_in_notice(rows1):
        display(Markdown(notice))
    print(f"{len(rows1):,} scores, profile {config1.profile}: {', '.join(names1.values())}")


# %% [markdown]
# Means with 95 % intervals (Student's t over speakers; over images for images).


# %%
def grid(table: pd.DataFrame, keys: list[str], directions) -> pd.DataFrame:
    """``mean [low, high]``, keys and methods down, metrics across."""
    written = table.assign(
        metric=[metric_style(name).short + arrow(name, directions) for name in table["metric"]],
        method=[method_style(name).name for name in table["method"]],
        entry=[estimate(*ends) for ends in table[["mean", "low", "high"]].to_numpy()],
    )
    order = {name: list(dict.fromkeys(written[name])) for name in ("method", "metric")}
    wide = written.pivot_table(index=[*keys, "method"], columns="metric", values="entry", aggfunc="first", sort=False)
    return wide[order["metric"]]


if rows1 is not None:
    display(grid(evidence1.cells, ["modality", "resolution"], directions1))

# %%
if rows1 is not None:
    for modality, name in names1.items():
        show(heat_map(evidence1.cells[evidence1.cells["modality"] == modality], directions1, name))

# %%
if rows1 is not None and len(evidence1.trends):
    show(resolution_curves(evidence1.cells, directions1, names1))
if rows1 is not None and len(evidence1.differences):
    show(difference_forest(evidence1.differences, directions1, names1))

# %% [markdown]
# ## Objective 2: Integrated Gradients adapted to sound

# %%
config2 = found(lambda: objective2_config_in(folders))
rows2 = None if config2 is None else found(lambda: objective2_rows(config2))
if rows2 is not None:
    evidence2 = gather_adaptations(rows2)
    overall = evidence2.overall()
    print(f"{len(rows2):,} scores, profile {config2.profile}: {', '.join(evidence2.scopes())}")
    best = "none" if evidence2.best is None else method_style(evidence2.best).name
    print(f"best adaptation under the worse removal at {evidence2.main_budget} gradients: {best}")

# %% [markdown]
# Paired differences from silence IG under the worse removal, with 95 % intervals over speakers and Holm's correction.

# %%
if rows2 is not None and len(evidence2.gains):
    gains = evidence2.gains[
        (evidence2.gains["scope"] == overall) & (evidence2.gains["gradients"] == evidence2.main_budget)
    ]
    display(
        pd.DataFrame(
            {
                "method": [method_style(name).name for name in gains["first"]],
                "difference": [estimate(*ends) for ends in gains[["mean", "low", "high"]].to_numpy()],
                "p (Holm)": gains["p_holm"].round(4).to_numpy(),
                "pairs": gains["n"].to_numpy(),
                "speakers": gains["clusters"].to_numpy(),
            }
        ).set_index("method")
    )

# %%
if rows2 is not None:
    curves2 = objective2_curves(config2, evidence2.main_budget)
    for draw in figures_of(rows2, evidence2, curves2).values():
        show(draw())

# %% [markdown]
# ## Look and listen
#
# Every model that explained something has a gallery.

# %%
galleries = {}
if config1 is not None:
    galleries |= objective1_galleries(config1)
if config2 is not None:
    galleries |= objective2_galleries(config2)
for number, name in enumerate(galleries):
    print(f"GALLERY = {number:2}: {name}")

# %% [markdown]
# ## Choose: gallery, clip and methods
#
# `CLIP` is a number below; `METHODS` may name any of the gallery's methods, `None` stands for all of them. The sounds
# are those of `LISTEN_TO`, `None` for the first complete method.

# %%
GALLERY = 0
CLIP = 0
METHODS = None
LISTEN_TO = None

# %%
if galleries:
    gallery = list(galleries.values())[GALLERY]()
    print(gallery.name)
    print("methods:", ", ".join(gallery.maps))
    for number, title in enumerate(gallery.titles[:20]):
        print(f"CLIP = {number:2}: {title}")

# %%
if galleries:
    show(attribution_overlay(gallery.overlay(CLIP, METHODS)))

# %% [markdown]
# The recording, what the method keeps of it and what it removes, all as loud as the recording.

# %%
if galleries and gallery.waveforms is not None:
    method = LISTEN_TO or next(iter([*gallery.changes, *gallery.maps]))
    heard = gallery.heard(CLIP, method)
    for part in ("original", "kept", "removed"):
        sound = getattr(heard.sounds, part)[0, 0].numpy()
        display(Markdown(f"**{part}**" + ("" if part == "original" else f", {method_style(method).name}")))
        display(Audio(sound, rate=heard.sample_rate_hz, normalize=False))

# %% [markdown]
# ## Compare two methods
#
# Every score of one method beside another's on the same clips.

# %%
FIRST, SECOND = "integrated_gradients", "random"
METRIC = "faithfulness_correlation"

# %%
if rows1 is not None:
    both = rows1[(rows1["metric"] == METRIC) & rows1["method"].isin([FIRST, SECOND])]
    keys = ["dataset", "resolution", "training_seed", "sample", "speaker"]
    beside = both.pivot_table(index=keys, columns="method", values="score", dropna=False).dropna(how="all")
    beside = beside.reindex(columns=[FIRST, SECOND]).rename(columns=lambda name: method_style(name).name)
    display(beside.describe().round(3))

# %%
if rows2 is not None:
    judged = evidence2.means[(evidence2.means["material"] == CLIPS) & (evidence2.means["metric"] == LEADING)]
    scopes = [scope for scope in judged["scope"].unique() if scope != ALL]
    display(
        judged[judged["scope"].isin(scopes)]
        .assign(method=lambda table: [method_style(name).name for name in table["method"]])
        .pivot_table(index="method", columns=["scope", "gradients"], values="mean", sort=False)
        .round(3)
    )
