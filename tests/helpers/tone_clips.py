"""Clips of tones by several speakers, and a cue for them."""

import torch

from audioxai.datasets import Dataset
from audioxai.datasets.ground_truth import CueDesign, NoiseBand, Tone
from audioxai.utils.seeding import generator

RATE_HZ = 8_000
SAMPLES = 4_000
# No two share a band, so that swapped cues are told apart by where they are.
HIGH_OR_LOW = CueDesign((Tone(3_000.0), NoiseBand(200.0, 500.0)), -20.0, 0.1, 0.05, 0.35)


def clips_of(speakers: dict[str, str], repetitions: int = 3, dtype: torch.dtype = torch.float32) -> Dataset:
    """Three digits, each a tone of its own in the middle of the clip; the part of every speaker is given."""
    rows = [(s, d, r) for s in sorted(speakers) for d in range(3) for r in range(repetitions)]
    rows.sort(key=lambda row: ("train", "validation", "test").index(speakers[row[0]]))
    time_s = torch.arange(SAMPLES, dtype=torch.float64) / RATE_HZ
    clips = []
    for speaker, digit, repetition in rows:
        tone = torch.sin(2 * torch.pi * 400 * (digit + 1) * (1 + 0.01 * int(speaker)) * time_s + repetition)
        noise = torch.randn(SAMPLES, generator=generator(speaker, digit, repetition), dtype=torch.float64)
        envelope = torch.exp(-(((time_s - 0.2 - 0.02 * repetition) / 0.05) ** 2))
        clip = (tone + 0.1 * noise) * envelope
        clips.append(clip / clip.abs().max())
    return Dataset(
        name="tones",
        modality="audio",
        stand_in_for=None,
        split_name="speaker_disjoint",
        group_disjoint=True,
        group_name="speaker",
        class_names=("0", "1", "2"),
        sample_rate_hz=RATE_HZ,
        ids=tuple(f"{d}_{s}_{r}.wav" for s, d, r in rows),
        inputs=torch.stack(clips)[:, None].to(dtype),
        labels=torch.tensor([d for _, d, _ in rows]),
        groups=tuple(s for s, _, _ in rows),
        splits=tuple(speakers[s] for s, _, _ in rows),
        skipped=(),
        fingerprint="0123",
    )
