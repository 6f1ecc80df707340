"""How far an explanation of one clip can be believed, measured on that clip.

Idea
----
A map is judged by what the model does when sound goes in the order of the map: insertion − deletion of sounds under two
removals, silence and noise, of which the worse counts. The same is measured for loudness and for a random map, at equal
cost, since a map that is no better than loudness explains nothing. Further figures are how far the map is from
completeness, and how far it moves when noise is added that nobody hears. One sentence says what follows.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline, Silence, SpeechShapedNoise
from audioxai.core import evaluating
from audioxai.domains import Audible, Domain, Stft, Waveform, audible, matching_stft
from audioxai.metrics.batch import Batch
from audioxai.metrics.engine import run
from audioxai.metrics.faithfulness.resynthesis import ResynthesisFaithfulness
from audioxai.metrics.similarity import spearman
from audioxai.utils.errors import UserError
from audioxai.utils.seeding import content_key, generator
from audioxai.xai_methods.controls import Energy, RandomAttribution

if TYPE_CHECKING:
    import pandas as pd

Verdict = Literal["rely", "caution", "do not rely"]

# Steps of insertion and deletion; models of many parameters take seconds for one pass on a CPU.
STEPS, LARGE_STEPS = 16, 8
REMOVALS = ("silence", "noise")
NOISE_SNR_DB = 10.0
NOISE_SMOOTHING_OCTAVES = 1.0
# Noise of every bin below the sound in the same bin; tones mask noise from about 6 dB, noise masks noise from 20 dB.
INAUDIBLE_DB = 30.0
# A map that leads loudness by less is hardly better than it.
SMALL_LEAD = 0.05
# One minus the rank correlation beyond which a map under inaudible noise is another map.
LARGE_MOVEMENT = 0.5
# Attributions whose sum misses the change by more than the change itself do not add up.
LARGE_GAP = 1.0
# A removal that leaves this share of the probability removes nothing that decides.
UNMOVED = 0.9
KEPT_PROBABILITY = 0.5
# More of a sound than this is no part that decides.
SMALL_PART = 0.5


@dataclass(frozen=True, eq=False)
class Trust:
    """Measurements of one explanation on its own clip.

    Attributes
    ----------
    label : str
        Name of the explained class.
    probability : float
        Its probability in the clip.
    removed_probability : float
        The larger of its probabilities in silence and in noise, where all of the clip is removed.
    contrasts : mapping of str to mapping of str to float
        Insertion − deletion in [−1, 1] of ``method``, ``energy`` and ``random``, each under ``silence``, ``noise`` and
        the ``worse`` of both.
    kept_share, loudness_kept_share : float or None
        Smallest share of the time–frequency bins in [0, 1] that keeps half of the probability under both removals,
        chosen by the map and by loudness; None where only the whole clip does.
    completeness_gap : float or None
        |ΣA − ΔF| / |ΔF|; None where the method does not claim to be complete.
    movement : float
        One minus the rank correlation of the map and the map under inaudible noise, in [0, 2]; NaN if a map is
        constant.
    passes : int
        Model passes that the measurements took.
    traced : mapping of str to list of float, or None
        Probability of the class along insertion and deletion out of and into silence: for each ``share`` of the bins
        from 0 to 1 what is ``kept``, ``removed`` and ``kept_by_loudness``.
    """

    label: str
    probability: float
    removed_probability: float
    contrasts: Mapping[str, Mapping[str, float]]
    kept_share: float | None
    loudness_kept_share: float | None
    completeness_gap: float | None
    movement: float
    passes: int
    traced: Mapping[str, list[float]] | None = None

    # Tables are for notebooks and for whoever reads on; a page of a clip does without pandas, which takes long to load.
    @property
    def scores(self) -> "pd.DataFrame":
        """``contrasts`` as a table, a row for each map."""
        import pandas as pd

        return pd.DataFrame(list(self.contrasts.values()), index=list(self.contrasts))

    @property
    def curves(self) -> "pd.DataFrame | None":
        """``traced`` as a table whose index is the ``share``."""
        import pandas as pd

        return None if self.traced is None else pd.DataFrame(self.traced).set_index("share")

    @property
    def verdict(self) -> Verdict:
        """Whether to rely on the explanation."""
        return self._judged[0]

    @property
    def sentence(self) -> str:
        """What a reader can do with the explanation."""
        return self._judged[1]

    def facts(self) -> dict[str, Any]:
        """Measurements, verdict and sentence as plain data."""
        return {
            "verdict": self.verdict,
            "sentence": self.sentence,
            "insertion_minus_deletion": {
                row: {column: None if math.isnan(value) else value for column, value in values.items()}
                for row, values in self.contrasts.items()
            },
            "kept_share": self.kept_share,
            "loudness_kept_share": self.loudness_kept_share,
            "probability": self.probability,
            "removed_probability": self.removed_probability,
            "completeness_gap": self.completeness_gap,
            "movement": None if math.isnan(self.movement) else self.movement,
            "passes": self.passes,
        }

    @property
    def lead(self) -> float:
        """Insertion − deletion under the worse removal, minus the larger one of loudness and random."""
        worse = self._worse
        return worse["method"] - max(worse["energy"], worse["random"])

    @property
    def _worse(self) -> dict[str, float]:
        """Each map's contrast under the worse removal."""
        return {name: values["worse"] for name, values in self.contrasts.items()}

    @cached_property
    def _judged(self) -> tuple[Verdict, str]:
        worse = self._worse
        if math.isnan(worse["method"]):
            return "do not rely", "All values of the map are equal, so it says nothing: do not rely on it."
        if self.removed_probability >= UNMOVED * self.probability:
            return "do not rely", (
                f"The model gives {self.label} a probability of {self.removed_probability:.2f} without the sound and "
                f"of {self.probability:.2f} with it, so no part of it decides this: do not rely on this explanation."
            )
        if self.lead <= 0.0:
            control = "loudness alone" if worse["energy"] >= worse["random"] else "a random map"
            return "do not rely", (
                f"No better than {control} ({worse['method']:.2f} against "
                f"{max(worse['energy'], worse['random']):.2f}): do not rely on this explanation."
            )
        doubts = [text for holds, text in self._doubts() if holds]
        if doubts:
            return "caution", f"{self._found()} Use it with caution: {'; '.join(doubts)}."
        return "rely", f"{self._found()} You can rely on where it points."

    def _doubts(self) -> list[tuple[bool, str]]:
        gap = self.completeness_gap
        return [
            (self.lead < SMALL_LEAD, f"it leads loudness by {self.lead:.2f} only"),
            (not self.movement <= LARGE_MOVEMENT, "noise that nobody hears makes another map of it"),
            (
                gap is not None and gap > LARGE_GAP,
                "its values do not add up to the score, so read where it points and not how much",
            ),
        ]

    def _found(self) -> str:
        if self.kept_share is None or self.kept_share > SMALL_PART:
            worse = self._worse
            return (
                f"Better than loudness alone ({worse['method']:.2f} against {worse['energy']:.2f}), though no small "
                f"part of the sound keeps half of the probability of {self.label}."
            )
        loudness = "all of it" if self.loudness_kept_share is None else _percent(self.loudness_kept_share)
        return (
            f"The most relevant {_percent(self.kept_share)} of the sound keep at least half of the probability of "
            f"{self.label}; by loudness alone it takes {loudness}."
        )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.095 else f"{100 * share:.1f} %"


def measure(
    model: nn.Module,
    waveform: Tensor,
    target: int,
    attributions: Tensor,
    domain: Domain,
    explain: Callable[[Tensor], Tensor],
    *,
    label: str,
    explain_passes: int,
    completeness_gap: float | None = None,
    steps: int = STEPS,
    seed: int = 0,
) -> Trust:
    """Measure an explanation on its clip.

    Parameters
    ----------
    model : nn.Module
        Takes waveforms ``(batch, 1, time)`` and returns logits.
    waveform : Tensor
        The clip, ``(1, 1, time)``.
    target : int
        The explained class.
    attributions : Tensor
        ``(1, 1, *domain.shape)``.
    domain : Domain
        Waveform, STFT, ERB bands, log-mel or mask.
    explain : callable
        Makes attributions of a waveform as these were made.
    label : str
        Name of the class.
    explain_passes : int
        Passes of one such call.
    completeness_gap : float, optional
        Of the attributions.
    steps : int
        Of insertion and deletion.
    seed : int
        Of the random map and of all noise.

    Raises
    ------
    UserError
        If the domain is not one of sound, or what the model returns is not finite.
    """
    sound, removals = audible(domain), removals_of(waveform, domain, seed)
    judge = ResynthesisFaithfulness(domain, matching_stft(domain), removals, steps, seed)
    targets = torch.tensor([target])
    batch = Batch(model, waveform, targets)
    maps = {
        "method": attributions,
        "energy": loudness_map(sound, waveform),
        "random": RandomAttribution(seed)(model, attributions, targets),
    }
    for values in maps.values():
        judge.check(batch, values)
    with evaluating(model):
        outcomes = run([judge.tracing(batch, values) for values in maps.values()])
    curves = {name: outcome.scores for name, outcome in zip(maps, outcomes, strict=True)}
    rows = {name: judge.rows(curves[name], values) for name, values in maps.items()}
    columns = ("silence", "noise", "worse")
    contrasts = {
        name: {column: float(value[0]) for column, value in zip(columns, row.values(), strict=True)}
        for name, row in rows.items()
    }
    fractions, insertions = judge.fractions, {name: curve[0, :, 0] for name, curve in curves.items()}
    moved = explain(with_inaudible_noise(waveform, matching_stft(domain), seed))
    return Trust(
        label=label,
        probability=float(insertions["method"][0, -1]),
        removed_probability=float(insertions["method"][:, 0].max()),
        contrasts=contrasts,
        kept_share=_kept_share(insertions["method"], fractions),
        loudness_kept_share=_kept_share(insertions["energy"], fractions),
        completeness_gap=completeness_gap,
        movement=movement_of(attributions, moved),
        passes=passes_of(steps, explain_passes),
        traced={
            "share": fractions.tolist(),
            "kept": curves["method"][0, 0, 0].tolist(),
            "removed": curves["method"][0, 0, 1].tolist(),
            "kept_by_loudness": curves["energy"][0, 0, 0].tolist(),
        },
    )


def removals_of(waveform: Tensor, domain: Domain, seed: int = 0) -> tuple[Baseline, ...]:
    """:data:`REMOVALS`: silence, and noise 10 dB below a clip ``(1, 1, time)`` with its own smoothed spectrum."""
    sound = audible(domain)
    return (
        Silence(Waveform(sound.sample_rate_hz, sound.duration_s)),
        SpeechShapedNoise.of(waveform, NOISE_SNR_DB, seed, NOISE_SMOOTHING_OCTAVES),
    )


def removal_named(name: str, waveform: Tensor, domain: Domain, seed: int = 0) -> Baseline:
    """One of :data:`REMOVALS` for a clip ``(1, 1, time)``.

    Raises
    ------
    UserError
        If there is none of that name.
    """
    if name not in REMOVALS:
        raise UserError(f"removal is {name!r}; choose {' or '.join(REMOVALS)}, or give a baseline of waveforms")
    return dict(zip(REMOVALS, removals_of(waveform, domain, seed), strict=True))[name]


def passes_of(steps: int, explain_passes: int) -> int:
    """Model passes that :func:`measure` takes: three maps under two removals, and one explanation."""
    return 1 + 2 + 3 * 2 * 2 * (steps - 1) + explain_passes


def loudness_map(domain: Audible, waveform: Tensor) -> Tensor:
    """Level above silence of every feature of a clip, ``(1, 1, *domain.shape)``: what every map has to beat."""
    values = domain.analysis(waveform)
    return Energy(Silence(domain))(nn.Identity(), values, torch.zeros(len(values), dtype=torch.int64))


def with_inaudible_noise(waveform: Tensor, stft: Stft, seed: int = 0) -> Tensor:
    """The clip with noise in every time–frequency bin, 30 dB below the sound in the same bin; ``(1, 1, time)``."""
    spectrum = stft.analysis(waveform)
    random = generator("inaudible noise", seed, content_key(waveform))
    parts = torch.randn(2, *spectrum.shape, generator=random, dtype=torch.float64).to(spectrum.real)
    noise = torch.complex(parts[0], parts[1]) * (10.0 ** (-INAUDIBLE_DB / 20.0) / 2.0**0.5)
    return waveform + stft.synthesis(spectrum * noise).to(waveform.dtype)


def movement_of(attributions: Tensor, moved: Tensor) -> float:
    """One minus the rank correlation of two maps; NaN where one is constant."""
    return 1.0 - float(spearman(attributions.flatten(1), moved.flatten(1))[0])


def _kept_share(insertion: Tensor, fractions: Tensor) -> float | None:
    """Smallest share of bins with half of the probability under every removal; None if only the whole clip has it."""
    kept = (insertion >= KEPT_PROBABILITY * insertion[:, -1:]).all(0)
    kept[0] = kept[-1] = False
    return float(fractions[kept][0]) if bool(kept.any()) else None
