"""Clips of two classes in one, at once or one after the other: relevance for the target belongs where the target is.

Conventions
-----------
Label, id, group (such as the speaker) and part are the target's. The other clip is of another class, from the same
part, and from another group where the part has one. The SNR is the energy of the target over that of the
other, both over the whole clip. What is drawn depends on the seed and on the target's samples, never on the order of
the dataset.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from audioxai.datasets.ground_truth.levels import (
    derived_fingerprint,
    energy,
    floor_db,
    full_scale_gain,
    levels_db,
    ramped,
    require_made_for,
    require_sounds,
)
from audioxai.datasets.records import Dataset
from audioxai.domains import Domain
from audioxai.utils.errors import UserError
from audioxai.utils.seeding import content_key, generator


@dataclass(frozen=True, eq=False)
class Pairs:
    """Clips that add up two others: ``dataset.inputs = targets + others``.

    Attributes
    ----------
    dataset : Dataset
        The sums, labelled by the target.
    targets, others : Tensor
        The two parts as they are in the sum, ``(samples, 1, time)``.
    other_ids, other_groups : tuple
        Where the other clip is from, one entry per sample.
    other_labels : Tensor
        Its class, ``(samples,)``, int64.
    snr_db : float
        Energy of the target over that of the other.
    gains : Tensor
        One factor in (0, 1] per clip on both parts: below 1 where the sum would have exceeded full scale.
        ``(samples,)``, float64.
    """

    dataset: Dataset
    targets: Tensor
    others: Tensor
    other_ids: tuple[str, ...]
    other_groups: tuple[str | None, ...]
    other_labels: Tensor
    snr_db: float
    gains: Tensor


@dataclass(frozen=True, eq=False)
class Mixtures:
    """Two clips at once."""

    pairs: Pairs

    @property
    def dataset(self) -> Dataset:
        """The mixtures."""
        return self.pairs.dataset

    def mask(self, domain: Domain, above_floor_db: float = 20.0) -> Tensor:
        """Ideal binary mask of the target, bool ``(samples, 1, *domain.shape)``.

        Cells in which the target alone is louder than the other alone and more than ``above_floor_db`` above the
        domain's floor. Source: Wang (2005), "On ideal binary mask as the computational goal of auditory scene
        analysis", with a local criterion of 0 dB. Samples, of the waveform or of ERB bands, count by the level of
        their surroundings.

        Raises
        ------
        UserError
            If the margin is negative or the domain is not made for these clips.
        """
        require_made_for(domain, self.dataset)
        if not 0.0 <= above_floor_db < math.inf:
            raise UserError(f"above_floor_db is {above_floor_db}; give a number of decibels of at least 0")
        target, other = (levels_db(domain, sounds) for sounds in (self.pairs.targets, self.pairs.others))
        return (target > other) & (target > floor_db(domain) + above_floor_db)


@dataclass(frozen=True, eq=False)
class Sequences:
    """Two clips one after the other, each in one half of the clip.

    Attributes
    ----------
    pairs : Pairs
        The two clips, each silent in the other's half.
    target_first : Tensor
        Whether the target comes first, bool ``(samples,)``.
    target_energy_kept, other_energy_kept : Tensor
        Share in [0, 1] of each clip's energy that is in the half of a clip it was cut to, ``(samples,)``, float64.
    """

    pairs: Pairs
    target_first: Tensor
    target_energy_kept: Tensor
    other_energy_kept: Tensor

    @property
    def dataset(self) -> Dataset:
        """The clips that hold both."""
        return self.pairs.dataset

    def mask(self, domain: Domain) -> Tensor:
        """The target's half of the time axis, bool ``(samples, 1, *domain.shape)``.

        A column belongs to the half that holds its time; one whose window crosses the middle contains both.

        Raises
        ------
        UserError
            If the domain is not made for these clips.
        """
        require_made_for(domain, self.dataset)
        middle_s = (self.dataset.inputs.shape[-1] // 2) / require_sounds(self.dataset)
        times_s = torch.tensor(domain.axes()[-1].coordinates, dtype=torch.float64)
        own_half = (times_s < middle_s) == self.target_first[:, None]
        ones = [1] * (len(domain.shape) - 1)
        return own_half.reshape(-1, 1, *ones, len(times_s)).expand(-1, 1, *domain.shape)


def mix(dataset: Dataset, snr_db: float = 0.0, seed: int = 0) -> Mixtures:
    """Mix every clip, the target, with one of another class.

    Raises
    ------
    UserError
        If the dataset is of images, a part has only one class or a clip is silent, or ``snr_db`` is not finite.
    """
    partners = _partners(dataset, seed)
    sounds = [(dataset.inputs[own], dataset.inputs[other]) for own, other in enumerate(partners)]
    return Mixtures(_paired(dataset, partners, sounds, snr_db, ("mixtures", snr_db, seed)))


def sequence(dataset: Dataset, snr_db: float = 0.0, seed: int = 0) -> Sequences:
    """Put every clip, the target, before or after one of another class, each cut to half of the clip's length.

    Cut is to the stretch that holds most of the energy, with ramps of 5 ms at its ends; which of the two comes first
    is drawn clip by clip. The last sample of clips of an odd length stays silent.

    Raises
    ------
    UserError
        If the dataset is of images, a part has only one class or a clip is silent, or ``snr_db`` is not finite.
    """
    partners = _partners(dataset, seed)
    rate_hz = require_sounds(dataset)
    stretches, kept = zip(*(_loudest_half(clip, rate_hz) for clip in dataset.inputs), strict=True)
    target_first = [_comes_first(clip, seed) for clip in dataset.inputs]
    samples = dataset.inputs.shape[-1]
    sounds = [
        (_placed(stretches[own], samples, first), _placed(stretches[other], samples, not first))
        for own, (other, first) in enumerate(zip(partners, target_first, strict=True))
    ]
    shares = torch.tensor(kept, dtype=torch.float64)
    pairs = _paired(dataset, partners, sounds, snr_db, ("sequences", snr_db, seed))
    return Sequences(pairs, torch.tensor(target_first), shares, shares[torch.tensor(partners)])


def _partners(dataset: Dataset, seed: int) -> list[int]:
    """Index of the other clip for every clip."""
    require_sounds(dataset)
    # By id, so that the order of the dataset does not matter.
    by_id = torch.tensor(sorted(range(len(dataset)), key=dataset.ids.__getitem__), dtype=torch.int64)
    groups = _numbered(dataset.groups)[by_id]
    parts = _numbered(dataset.splits)[by_id]
    labels = dataset.labels[by_id]
    partners = [0] * len(dataset)
    for row, own in enumerate(by_id.tolist()):
        allowed = (parts == parts[row]) & (labels != labels[row])
        of_another = allowed & (groups != groups[row])
        candidates = by_id[of_another if bool(of_another.any()) else allowed]
        partners[own] = _drawn(dataset, own, candidates, seed)
    return partners


def _drawn(dataset: Dataset, own: int, candidates: Tensor, seed: int) -> int:
    if not len(candidates):
        raise UserError(
            f"the {dataset.splits[own]} part of {dataset.name} holds only class "
            f"{dataset.class_names[int(dataset.labels[own])]}; pairs need clips of two classes in every part"
        )
    random = generator("partner", seed, content_key(dataset.inputs[own]))
    return int(candidates[torch.randint(len(candidates), (), generator=random)])


def _numbered(names: tuple[str | None, ...]) -> Tensor:
    """A number for every name, the same for the same."""
    number_of = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return torch.tensor([number_of[name] for name in names], dtype=torch.int64)


def _paired(
    dataset: Dataset,
    partners: list[int],
    sounds: list[tuple[Tensor, Tensor]],
    snr_db: float,
    design: tuple[object, ...],
) -> Pairs:
    if not math.isfinite(snr_db):
        raise UserError(f"snr_db is {snr_db}; give a finite number of decibels")
    scaled = [_scaled(*parts, snr_db, dataset.ids[own]) for own, parts in enumerate(sounds)]
    targets, others, gains = zip(*scaled, strict=True)
    inputs = torch.stack(targets) + torch.stack(others)
    return Pairs(
        dataset=replace(
            dataset,
            name=f"{dataset.name}_{design[0]}",
            inputs=inputs,
            fingerprint=derived_fingerprint(dataset, *design),
        ),
        targets=torch.stack(targets),
        others=torch.stack(others),
        other_ids=tuple(dataset.ids[other] for other in partners),
        other_groups=tuple(dataset.groups[other] for other in partners),
        other_labels=dataset.labels[torch.tensor(partners)],
        snr_db=snr_db,
        gains=torch.tensor(gains, dtype=torch.float64),
    )


def _scaled(target: Tensor, other: Tensor, snr_db: float, name: str) -> tuple[Tensor, Tensor, float]:
    """Both parts at the SNR and their common gain; the target is at its own level times the gain."""
    energies = energy(target), energy(other)
    if 0.0 in energies:
        raise UserError(f"clip {name} or the one paired with it is silent; leave silent clips out")
    other = other * math.sqrt(energies[0] / energies[1] * 10.0 ** (-snr_db / 10.0))
    gain = full_scale_gain(target, other, target + other)
    return gain * target, gain * other, gain


def _comes_first(clip: Tensor, seed: int) -> bool:
    random = generator("target first", seed, content_key(clip))
    return bool(torch.randint(2, (), generator=random))


def _loudest_half(clip: Tensor, rate_hz: int) -> tuple[Tensor, float]:
    """The stretch ``(1, time // 2)`` of a clip with the most energy, and its share of the clip's energy."""
    length = clip.shape[-1] // 2
    total = torch.nn.functional.pad(clip.flatten().double().square().cumsum(0), (1, 0))
    inside = total[length:] - total[:-length]
    first = int(inside.argmax())
    share = float(inside[first] / total[-1]) if float(total[-1]) > 0.0 else math.nan
    return ramped(clip[..., first : first + length], rate_hz), share


def _placed(stretch: Tensor, samples: int, first: bool) -> Tensor:
    """Clip ``(1, samples)`` with the stretch in its first or its second half and silence in the other."""
    length = stretch.shape[-1]
    placed = stretch.new_zeros(1, samples)
    start = 0 if first else length
    placed[..., start : start + length] = stretch
    return placed
