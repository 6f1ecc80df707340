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
# # Explain one clip
#
# Why does a model give this sound this class? The clip and the model are the ones that `audioxai example` makes, so
# that the right answer is known: the call that rises decides, and the rumble, which is louder, says nothing. Put your
# own recording and model in their place.

# %%
# %matplotlib inline
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import torch

import audioxai as ax
from audioxai.example import CLIP, MODEL, write_example

torch.set_num_threads(1)
FOLDER = Path(tempfile.mkdtemp()) / "example"
card = write_example(FOLDER)
print(f"classes: {', '.join(card.class_names)}; accuracy on recordings of unseen sites: {card.accuracy['test']:.0%}")

# %% [markdown]
# ## One call
#
# Any model of sounds will do: a Hugging Face id, a module, TorchScript, ONNX, a function; see *Explain your model*.

# %%
model = ax.load_model(FOLDER / MODEL)
explanation = ax.explain(FOLDER / CLIP, model, compare=1)
pd.Series(dict(zip(model.class_names, explanation.probabilities.tolist(), strict=True)), name="probability").round(
    3
).to_frame()

# %%
explanation.plot()

# %% [markdown]
# Red speaks for the class, blue against it. The map points at the call with its overtone, not at the rumble below 500
# Hz.
#
# ## How far to believe it
#
# Sound goes in and out in the order of the map, and the model is asked each time. Loudness and a random order are the
# controls: a map that is no better than loudness explains nothing.

# %%
trust = explanation.trust
print(f"{trust.verdict}: {trust.sentence}")
trust.scores.round(3)

# %%
figure, axes = plt.subplots(figsize=(4.5, 2.6), layout="constrained", dpi=100)
for name, line, label in (
    ("kept", "-", "inserted by the map"),
    ("removed", "--", "deleted by the map"),
    ("kept_by_loudness", ":", "inserted by loudness"),
):
    axes.plot(trust.curves.index, trust.curves[name], line, color="black", label=label)
axes.set(xlabel="share of the time–frequency bins", ylabel=f"probability of {explanation.label}", ylim=(0, 1.03))
axes.legend(loc="center right")
plt.close(figure)
figure

# %% [markdown]
# ## Listen
#
# The tenth of the sound that is most relevant, and what is left without it. What the model says of both is the test.

# %%
for name, waveform in (("most relevant tenth", explanation.kept(0.1)), ("the rest", explanation.removed(0.1))):
    with torch.no_grad():
        probability = model.module(waveform).softmax(1)[0, explanation.target]
    print(f"{name}: probability of {explanation.label} {float(probability):.2f}")

# %%
explanation.listen("kept")

# %% [markdown]
# ## Why not another class?

# %%
other = explanation.alternatives[0]
print(f"{other.label} has a probability of {other.score:.3f}")
other.plot()

# %% [markdown]
# ## Keep it
#
# A folder with the page, the picture, the sounds and all numbers. In a notebook of your own, `explanation` as the
# last line of a cell shows the page itself.

# %%
for path in explanation.save(FOLDER / "page"):
    print(path.name)
