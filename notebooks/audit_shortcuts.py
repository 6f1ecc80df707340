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
# # Audit a model for shortcuts
#
# A model can be right for a wrong reason. Here every recording of one class was made with a recorder that hums, and
# the model hears the hum instead of the call. Accuracy on a test part with the same fault is perfect. A map shows
# where to look, and erasing what it shows *proves* that it decides: the class changes, while it stays when as much is
# erased elsewhere.
#
# All sounds are made here. Replace the first part by your own recordings and model to audit these.

# %%
# %matplotlib inline
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

import audioxai as ax
from audioxai.domains import LogMel, matching_stft
from audioxai.example import RATE_HZ, parts
from audioxai.models import build
from audioxai.models.training import Labelled, TrainingConfig, accuracy, train

CLASSES = ("falling", "rising")
CPU = torch.device("cpu")
torch.set_num_threads(1)
plt.rcParams["figure.dpi"] = 100

# %% [markdown]
# ## The recordings
#
# A call in noise; where the recorder hums, a tone of 200 Hz is added. `hums` says for each class which share of its
# recordings hum.

# %%
TIME_S = np.arange(RATE_HZ) / RATE_HZ
HUM = 0.1 * np.sin(2 * np.pi * 200 * TIME_S)


def recordings(count, hums, seed):
    """Waveforms ``(count, 1, time)`` with their classes."""
    random = np.random.default_rng(seed)
    labels, waveforms = np.arange(count) % 2, []
    for label in labels:
        sounds = parts(CLASSES[label], random)
        hum = HUM if random.random() < hums[label] else 0.0
        waveforms.append(0.7 * sounds["call"] + 3.0 * sounds["noise"] + hum)
    return Labelled(torch.tensor(np.array(waveforms), dtype=torch.float32)[:, None], torch.tensor(labels))


# Falling always hums and rising never does; a test part of the same recorders has the same fault.
training, test = recordings(120, (1, 0), seed=0), recordings(40, (1, 0), seed=1)

# %% [markdown]
# ## A model that seems perfect

# %%
DOMAIN = LogMel(RATE_HZ, 1.0, bands=32, frames=32)


def trained(on, epochs):
    """A small CNN; the best of its epochs on the test part's recorders."""
    model = build("small_cnn", DOMAIN, class_count=2, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        train(model, on, test, TrainingConfig(epochs=epochs), CPU, Path(folder) / "state")
    return model


suspect = trained(training, epochs=10)
print(f"accuracy on the test part: {accuracy(suspect, test, CPU):.0%}")

# %% [markdown]
# ## What the maps show
#
# One clip first, then which bands of 400 Hz the positive relevance lies in, over six clips of `falling`. Loudness is
# the control: a hum is loud, so a map that merely follows the sound would point there too. The map names two
# candidates, the hum and the call.

# %%
falling = test.inputs[test.labels == 0]


def explained(model, waveform, method="auto"):
    """Why the model says falling."""
    known = ax.load_model(model, sample_rate=RATE_HZ, class_names=CLASSES)
    return ax.explain(waveform[0], known, sample_rate=RATE_HZ, target="falling", method=method, trust=False)


explained(suspect, falling[0]).plot()

# %%
WIDTH_HZ = 400
BANDS = list(range(0, RATE_HZ // 2, WIDTH_HZ))


def relevance_by_band(model, method="auto"):
    """Share of the positive relevance in every band, mean over six clips."""
    shares = []
    for waveform in falling[:6]:
        made = explained(model, waveform, method)
        rows_hz = torch.tensor(made.domain.axes()[0].coordinates)
        positive = made.attributions[0, 0].clamp_min(0).sum(1)
        shares.append([float(positive[(rows_hz >= low) & (rows_hz < low + WIDTH_HZ)].sum()) for low in BANDS])
    shares = np.array(shares)
    return (shares / shares.sum(1, keepdims=True)).mean(0)


relevance = {"suspect": relevance_by_band(suspect), "loudness": relevance_by_band(suspect, "energy")}
SUSPECTED = BANDS[int(relevance["suspect"].argmax())]
HERE = f"{SUSPECTED} to {SUSPECTED + WIDTH_HZ} Hz"
for name, shares in relevance.items():
    print(f"{name}: {shares[BANDS.index(SUSPECTED)]:.0%} of the relevance lies in {HERE}")

# %% [markdown]
# ## The proof: erase it
#
# A map is a hint. Erasing a region of the spectrogram and asking the model again is an experiment: every band is
# erased in turn, all equally large, and it is counted how many of the twenty clips of `falling` become `rising`.

# %%
STFT = matching_stft(DOMAIN)
bins_hz = torch.tensor(STFT.axes()[0].coordinates)


def erased(waveforms, low_hz):
    """The clips without the bins of one band."""
    keep = ((bins_hz < low_hz) | (bins_hz >= low_hz + WIDTH_HZ)).float()[:, None]
    return STFT.synthesis(STFT.analysis(waveforms) * keep)


def flips_by_band(model):
    """Share of the falling clips that the model calls rising once a band is erased."""
    with torch.no_grad():
        return np.array([float((model(erased(falling, low)).argmax(1) == 1).float().mean()) for low in BANDS])


flips = {"suspect": flips_by_band(suspect)}
elsewhere = np.delete(flips["suspect"], BANDS.index(SUSPECTED))
print(f"erasing {HERE} changes the class of {flips['suspect'].max():.0%} of the clips")
print(f"erasing any other band changes that of at most {elsewhere.max():.0%}")

# %% [markdown]
# The same the other way round: added to calls that rise, the hum makes the model call many of them `falling`.

# %%
rising = recordings(40, (0, 0), seed=2)
rising = rising.inputs[rising.labels == 1]
hum = torch.tensor(HUM, dtype=torch.float32)
with torch.no_grad():
    for name, waveforms in (("rising calls", rising), ("rising calls with the hum", rising + hum)):
        print(f"{name}: {float((suspect(waveforms).argmax(1) == 0).float().mean()):.0%} are called falling")

# %% [markdown]
# ## The cure, and the control
#
# A model that hears the hum in half of the recordings of both classes has nothing to learn from it. On the same
# clips, with the same hum, its maps point elsewhere and erasing the hum changes nothing. So what was found is the
# model's fault and not the method's.

# %%
mixed = recordings(240, (0.5, 0.5), seed=3)
mended = trained(mixed, epochs=12)
relevance["mended"], flips["mended"] = relevance_by_band(mended), flips_by_band(mended)
swapped = recordings(40, (0, 1), seed=4)
pd.DataFrame(
    {
        name: {
            "falling hums (the test part)": accuracy(model, test, CPU),
            "no recording hums": accuracy(model, recordings(40, (0, 0), seed=4), CPU),
            "rising hums": accuracy(model, swapped, CPU),
            "clips changed by erasing the hum": flips[name][BANDS.index(SUSPECTED)],
        }
        for name, model in (("suspect", suspect), ("mended", mended))
    }
).style.format("{:.0%}")

# %%
figure, axes = plt.subplots(1, 2, figsize=(7.5, 2.8), layout="constrained")
middle, bar = np.array(BANDS) + WIDTH_HZ / 2, WIDTH_HZ / 4
styles = {"suspect": ("#D55E00", ""), "mended": ("#0072B2", "//"), "loudness": ("#bbbbbb", "")}
for place, (name, shares) in enumerate(relevance.items()):
    colour, hatch = styles[name]
    axes[0].bar(middle + (place - 1) * bar, shares, bar, color=colour, hatch=hatch, edgecolor="white", label=name)
for place, (name, shares) in enumerate(flips.items()):
    colour, hatch = styles[name]
    axes[1].bar(middle + (place - 0.5) * bar, shares, bar, color=colour, hatch=hatch, edgecolor="white", label=name)
axes[0].set(xlabel="frequency (Hz)", ylabel="share of the relevance", ylim=(0, 1), title="where the maps point")
axes[1].set(xlabel="erased band (Hz)", ylabel="share of clips that change", ylim=(0, 1), title="what decides")
for one in axes:
    one.legend()
plt.close(figure)
figure

# %% [markdown]
# ## What to take from it
#
# * A high accuracy on a test part of the same recorders says nothing of what the model listens to.
# * The map is where to look; the erasing is the evidence. Erase regions of equal size elsewhere as well, or a fragile
#   model looks guilty of anything.
# * Loudness points at the hum too, for either model: only the erasing tells them apart.
