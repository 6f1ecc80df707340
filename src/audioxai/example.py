"""An example that needs neither data nor a model of one's own: synthesised sounds, a small model, and a study of them.

Clips of one second at 8 kHz: a call that sweeps upwards, sweeps downwards or warbles, a louder rumble that says
nothing, and noise coloured by the site. In clips of ``nothing`` the call is missing. What decides is known, so it can
be seen whether a map shows it: the loudest sound is the rumble, the right answer is the call.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from audioxai.experiment.declared import read_study
from audioxai.experiment.models import ensure_model, weights_path
from audioxai.models.checkpoints import Card, card_path
from audioxai.utils.errors import UserError
from audioxai.utils.files import replacing, write_text
from audioxai.utils.hardware import select_device

Samples = np.ndarray[Any, np.dtype[np.float64]]

RATE_HZ, SAMPLES = 8_000, 8_000
CLASSES = ("falling", "nothing", "rising", "warble")
SITES, TAKES = 6, 5
CALL_S, CALL_HZ = (0.3, 0.5), (800.0, 1_200.0)
RUMBLE_S, RUMBLE_HZ, RUMBLE_PEAK = 0.7, (80.0, 500.0), (4.0, 6.0)
PEAK_SNR_DB = (20.0, 40.0)
CLIP_PEAK = (0.3, 0.6)
CLIP, MODEL, STUDY, RECORDINGS = "clip.wav", "model.safetensors", "study.yaml", "recordings"

DECLARATION = f"""\
name: example
title: Calls of three kinds, and none
data: {{folder: {RECORDINGS}, group_pattern: "(site\\\\d+)", group_name: site}}   # no site in two parts of the split
model: {{architecture: small_cnn, bands: 32, frames: 32, epochs: 20}}
methods: [saliency, integrated_gradients, ordered, energy, random]
metrics: [removal_worst, sparseness]
samples: 6
"""


def parts(label: str, random: np.random.Generator, site: int = 0) -> dict[str, Samples]:
    """The sounds that a clip is the sum of.

    Parameters
    ----------
    label : {"falling", "nothing", "rising", "warble"}
        Class of the clip.
    random : Generator
        Draws pitch, place, level and noise.
    site : int
        Place of the recording, which colours its noise.

    Returns
    -------
    dict of str to ndarray
        ``call`` (all zero for ``nothing``), ``rumble`` and ``noise``, each ``(8000,)``, float64; the sum is in (−1, 1).

    Raises
    ------
    UserError
        If there is no such class.

    Examples
    --------
    >>> sounds = parts("rising", np.random.default_rng(0))
    >>> list(sounds), bool(np.abs(sounds["rumble"]).max() > np.abs(sounds["call"]).max())
    (['call', 'rumble', 'noise'], True)
    """
    if label not in CLASSES:
        raise UserError(f"there is no class {label!r}; choose among {', '.join(CLASSES)}")
    call = np.zeros(SAMPLES) if label == "nothing" else _placed(_call(label, random), random)
    rumble = _placed(_rumble(random), random)
    noise = _coloured(random.standard_normal(SAMPLES), site)
    noise *= 10.0 ** (-random.uniform(*PEAK_SNR_DB) / 20.0) / np.abs(noise).max()
    scale = random.uniform(*CLIP_PEAK) / np.abs(call + rumble + noise).max()
    return {"call": scale * call, "rumble": scale * rumble, "noise": scale * noise}


def clip(label: str, random: np.random.Generator, site: int = 0) -> Samples:
    """The sum of :func:`parts`, ``(8000,)``.

    Examples
    --------
    >>> clip("rising", np.random.default_rng(0)).shape
    (8000,)
    """
    whole: Samples = np.sum(list(parts(label, random, site).values()), axis=0)
    return whole


def _call(label: str, random: np.random.Generator) -> Samples:
    """A tone with one overtone, of peak 1: an octave upwards, downwards, or six times a little up and down."""
    place = np.linspace(0.0, 1.0, round(RATE_HZ * random.uniform(*CALL_S)))
    octaves = {"rising": place, "falling": 1.0 - place, "warble": 0.5 + 0.1 * np.sin(12.0 * np.pi * place)}[label]
    phase = 2.0 * np.pi * np.cumsum(random.uniform(*CALL_HZ) * 2.0**octaves) / RATE_HZ
    tone = (np.sin(phase) + 0.3 * np.sin(2.0 * phase)) * np.hanning(len(place))
    call: Samples = tone / np.abs(tone).max()
    return call


def _rumble(random: np.random.Generator) -> Samples:
    """Low noise that swells and dies away."""
    samples = round(RATE_HZ * RUMBLE_S)
    spectrum = np.fft.rfft(random.standard_normal(samples))
    frequency_hz = np.fft.rfftfreq(samples, 1.0 / RATE_HZ)
    spectrum[(frequency_hz < RUMBLE_HZ[0]) | (frequency_hz > RUMBLE_HZ[1])] = 0.0
    noise = np.fft.irfft(spectrum, samples) * np.hanning(samples)
    rumble: Samples = random.uniform(*RUMBLE_PEAK) * noise / np.abs(noise).max()
    return rumble


def _placed(event: Samples, random: np.random.Generator) -> Samples:
    """A sound anywhere in a clip."""
    whole = np.zeros(SAMPLES)
    start = int(random.integers(0, SAMPLES - len(event)))
    whole[start : start + len(event)] = event
    return whole


def _coloured(white: Samples, site: int) -> Samples:
    """Noise that falls by half a decibel per octave more at each site than at the one before."""
    spectrum = np.fft.rfft(white)
    spectrum[1:] *= np.arange(1, len(spectrum)) ** (-site / 12.0)
    coloured: Samples = np.fft.irfft(spectrum, len(white))
    return coloured


def write_example(folder: str | Path, seed: int = 0) -> Card:
    """Write recordings, a clip, a study, and a model trained on them, which takes a few seconds.

    Parameters
    ----------
    folder : str or Path
        Gets ``recordings/CLASS/siteN_K.wav``, ``clip.wav``, ``study.yaml`` and ``model.safetensors`` with its card. The
        model is the one that the study trains, and lies in ``checkpoints`` for it too. The clip is of a site that is
        not among the recordings.
    seed : int
        Seed of the sounds.

    Returns
    -------
    Card
        Facts about the model, its accuracy among them.

    Raises
    ------
    UserError
        If the folder holds something else already.
    """
    folder = Path(folder)
    if folder.exists() and not (folder / STUDY).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already and holds no example; name a folder that is new or empty")
    write_text(folder / STUDY, DECLARATION)
    random = np.random.default_rng(seed)
    for label in CLASSES:
        for site in range(SITES):
            for take in range(TAKES):
                _write(folder / RECORDINGS / label / f"site{site}_{take}.wav", clip(label, random, site))
    _write(folder / CLIP, clip("rising", random, SITES))
    study, options = read_study(folder / STUDY)
    (cell,) = study.cells
    _, card = ensure_model(cell.model, options.checkpoints, select_device("cpu"))
    weights = weights_path(cell.model, options.checkpoints)
    for source, copy in ((weights, folder / MODEL), (card_path(weights), card_path(folder / MODEL))):
        with replacing(copy) as temporary:
            shutil.copyfile(source, temporary)
    return card


def _write(path: Path, samples: Samples) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE_HZ, subtype="PCM_16")
