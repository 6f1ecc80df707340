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
# # Evaluate methods on your folder
#
# Which explanation method suits *your* model and *your* recordings? The answer differs from model to model, so it is
# measured: every method explains every clip, metrics score each map, and two controls that explain nothing, loudness
# (`energy`) and `random`, say what has to be beaten. Sounds and model are those of `audioxai example`; put your own
# folder and model in their place.

# %%
# %matplotlib inline
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import soundfile
import torch

import audioxai as ax
from audioxai.example import CLASSES, MODEL, RATE_HZ, SITES, clip, write_example
from audioxai.statistics import cluster_mean

torch.set_num_threads(1)
FOLDER = Path(tempfile.mkdtemp())
write_example(FOLDER / "example")
model = ax.load_model(FOLDER / "example" / MODEL)

# %% [markdown]
# Clips that the model has not heard, of sites that it does not know. Clips of `nothing` are left out: there is no
# sound that decides, so there is nothing to find.

# %%
clips = FOLDER / "clips"
clips.mkdir()
random = np.random.default_rng(7)
for number, label in enumerate([label for label in CLASSES if label != "nothing"] * 3):
    soundfile.write(clips / f"{label}_{number}.wav", clip(label, random, SITES + number), RATE_HZ)
print(f"{len(list(clips.iterdir()))} clips")

# %% [markdown]
# ## Scores
#
# `removal_worst`: how much more the model says the class when sound goes in by the map than when it goes out by it,
# under silence and under noise, the worse of both; higher is better. `sparseness` says how few bins a map rests on,
# and nothing of whether they are the right ones.

# %%
METHODS = ["ordered", "silence", "saliency", "occlusion", "energy", "random"]
scores = ax.evaluate(clips, model, methods=METHODS, metrics=["removal_worst", "sparseness"])
scores

# %% [markdown]
# ## Better than loudness?
#
# Means hide that all methods were scored on the same clips. What counts is the difference to loudness clip by clip,
# with its interval: 95 %, Student's t over clips. Here each clip is of a site of its own; where several are of one
# speaker, site or tape, give those as clusters.

# %%
table = scores.rows[scores.rows["metric"] == "removal_worst"].pivot(index="sample", columns="method", values="score")
names = [name for name in METHODS if name != "energy"]
leads = {name: (table[name] - table["energy"]).to_numpy() for name in names}
estimates = {name: cluster_mean(lead, np.arange(len(lead))).interval() for name, lead in leads.items()}
for name, found in estimates.items():
    print(f"{name:<10} {found.mean:+.2f} [{found.low:+.2f}, {found.high:+.2f}]")

# %%
figure, axes = plt.subplots(figsize=(5.5, 2.8), layout="constrained", dpi=100)
for place, name in enumerate(names):
    found = estimates[name]
    axes.plot(leads[name], np.full(len(leads[name]), place), "o", color="#999999", markersize=3)
    axes.plot([found.low, found.high], [place, place], color="black")
    axes.plot(found.mean, place, "s", color="black", markersize=5)
axes.axvline(0, color="black", linewidth=0.6, linestyle=":")
axes.set(yticks=range(len(names)), yticklabels=names, xlabel="insertion − deletion above loudness")
axes.invert_yaxis()
plt.close(figure)
figure

# %% [markdown]
# A square is the mean with its interval, a dot one clip. An interval that includes zero says that loudness is as
# good. Nine clips of one small model say nothing about other models: run this on yours.
#
# For more clips, several models or training seeds, declare a study in YAML (`audioxai run my.yaml`): it resumes where
# it was stopped and writes tables, figures and a report.
