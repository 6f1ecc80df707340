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
# # Results of audioxai
#
# Answers, scores with their intervals, attribution maps over spectrograms, and sounds, from a results folder alone:
# neither data nor models nor checkpoints are needed, and nothing is trained or explained here. Run it from top to
# bottom; then change the values under the headings that begin with **Choose** and run from there.

# %%
import os
from pathlib import Path

from IPython.display import Audio, Image, Markdown, display

import audioxai as ax
from audioxai.report.canvas import rendered
from audioxai.report.document import Document, Figure
from audioxai.report.gallery import heard
from audioxai.report.overlays import SCALED, attribution_overlay, overlay, titles_of
from audioxai.report.render.markdown import block_markdown, stand_in_notice
from audioxai.report.style import Style
from audioxai.studies.listening import completeness
from audioxai.studies.reports import document_of_results, remedy

# %% [markdown]
# ## Choose: folder and profile
#
# `PROFILE` is `quick`, `standard`, `full` or a name of your own; `auto` takes the largest one that was run of a study.

# %%
PROJECT = next((folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "pyproject.toml").exists()), Path())
FOLDER = Path(os.environ.get("AUDIO_XAI_RESULTS", PROJECT / "results"))
PROFILE = "auto"


# %%
studies = {}


def opened(study: str) -> Document | None:
    """Document of a study, its results kept in ``studies``; a sentence and None where it is not finished."""
    try:
        results = ax.Results.open(FOLDER)[study, PROFILE]
    except ax.UserError as error:
        display(Markdown(f"*Not here yet:* {error}. Run {remedy(study)}."))
        return None
    if results.missing or results.rows.empty:
        display(Markdown(f"*Not finished:* {results.missing} shards of {study} are missing. Run {remedy(study)}."))
        return None
    studies[study] = results
    return document_of_results(results)


def draw(figure: Figure) -> None:
    """Display a figure, as wide as two columns of a page or as one."""
    display(Image(rendered(figure)["png"], width=690 if figure.wide else 335))


def show(document: Document | None, *names: str, without: tuple[str, ...] = ()) -> None:
    """Display sections of a document by name, or all but ``without``."""
    for section in () if document is None else document.sections:
        if section.name in names if names else section.name not in without:
            display(Markdown(f"### {section.title}"))
            for block in section.blocks:
                display(Markdown("\n\n".join(block_markdown(block))))
                if isinstance(block, Figure):
                    draw(block)


def show_answer(document: Document | None) -> None:
    """Display question, stand-in notice and answer."""
    if document is not None:
        display(Markdown("\n\n".join([f"*{document.question}*", *stand_in_notice(document)])))
        show(document, "answer")


# %% [markdown]
# ## Objective 1: audio compared with images

# %%
document1 = opened("objective1")
show_answer(document1)

# %% [markdown]
# Means with 95 % intervals (Student's t over speakers; over images for images).

# %%
show(document1, "scores")

# %%
show(document1, without=("answer", "scores", "samples"))

# %% [markdown]
# ## Objective 2: Integrated Gradients adapted to sound

# %%
document2 = opened("objective2")
show_answer(document2)

# %%
show(document2, without=("answer", "maps"))

# %% [markdown]
# ## Other studies of the folder

# %%
others = dict.fromkeys(name for name, _ in ax.Results.open(FOLDER).studies) if FOLDER.is_dir() else {}
for name in others:
    if name not in ("objective1", "objective2"):
        document = opened(name)
        show_answer(document)
        show(document, without=("answer", "samples", "maps"))

# %% [markdown]
# ## Look and listen
#
# ### Choose: study and model
#
# `STUDY` is one of the studies above, `MODEL` a number from the list below.

# %%
STUDY = next(iter(studies), None)
MODEL = 0

# %%
if STUDY is not None:
    results = studies[STUDY]
    style = Style(results.methods, results.metrics)
    cells = sorted((one for one in results.cells if one.material == "clips"), key=lambda one: one.modality)
    for number, one in enumerate(cells):
        print(f"MODEL = {number:2}: {one.dataset}, {one.model}, resolution {one.resolution}, seed {one.training_seed}")

# %% [markdown]
# ### Choose: sample and methods
#
# `SAMPLE` is a number from the list below. `METHODS` are some of the methods; `None` stands for all.

# %%
SAMPLE = 0
METHODS = None

# %%
if STUDY is not None:
    cell = cells[MODEL]
    print("methods:", ", ".join(cell.budgets))
    for number, title in enumerate(titles_of(cell)[:20]):
        print(f"SAMPLE = {number:2}: {title}")

# %%
if STUDY is not None:
    maps = overlay(cell, SAMPLE, METHODS or list(cell.budgets))
    draw(Figure("sample", maps.title, SCALED, lambda width: attribution_overlay(maps, style, width)))
    display(Markdown(f"*{SCALED}*"))

# %% [markdown]
# ### Choose: method to listen to
#
# The recording, what the method keeps of it and what it removes, all as loud as the recording. `None` takes the first
# method that claims to be complete.

# %%
LISTEN_TO = None

# %%
if STUDY is not None and cell.modality == "audio":
    by_completeness = sorted(cell.budgets, key=lambda name: not results.methods[name].complete)
    method = LISTEN_TO or by_completeness[0]
    parts = heard(cell, SAMPLE, method)
    for part in ("original", "kept", "removed"):
        display(Markdown(f"**{part}**" + ("" if part == "original" else f", {style.method(method)}")))
        display(Audio(getattr(parts.sounds, part)[0, 0].numpy(), rate=parts.sample_rate_hz, normalize=False))

# %% [markdown]
# ## Completeness and cost
#
# Medians over models: the completeness gap |ΣA − ΔF| / |ΔF| (empty for methods that do not claim to be complete), and
# model passes and milliseconds per sample.

# %%
for one in studies.values():
    display(Markdown(f"### {one.title}"))
    table = completeness(one).groupby(["dataset", "method", "gradients"], sort=False)
    display(table[["gap_median", "gap_p95", "passes", "ms_per_clip"]].median().round(4))

# %% [markdown]
# ## Choose: two methods to compare
#
# Scores of two methods by one metric on the same samples. `None` takes the study's first and last method, and its first
# metric.

# %%
FIRST, SECOND, METRIC = None, None, None

# %%
if STUDY is not None:
    first, second = FIRST or next(iter(results.methods)), SECOND or list(results.methods)[-1]
    metric = METRIC or next(iter(results.metrics))
    both = results.rows[(results.rows["metric"] == metric) & results.rows["method"].isin([first, second])]
    keys = ["dataset", "model", "resolution", "training_seed", "sample"]
    paired = both.pivot_table(index=keys, columns="method", values="score", dropna=False).dropna(how="all")
    paired = paired.reindex(columns=[first, second]).rename(columns=style.method)
    display(
        Markdown(f"**{style.heading(metric)}**"),
        paired.assign(difference=paired.iloc[:, 0] - paired.iloc[:, 1]).describe().round(3),
    )
