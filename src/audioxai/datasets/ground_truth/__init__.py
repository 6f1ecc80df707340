"""Clips and models whose relevant features are known, made from loaded data sets.

Idea
----
* Planted cues (:func:`plant`): a tone or noise burst decides the class, so relevance belongs in its cells; that a model
  uses it is measured (:func:`cue_reliance`).
* Mixtures (:func:`mix`): two clips at once; relevance for one belongs where it is the louder, its ideal binary mask.
* Sequences (:func:`sequence`): two clips one after the other; relevance belongs in the target's half.
* Solved models: attributions of every cell in closed form.

Conventions
-----------
Every kind of clip has a ``dataset``, the usual record, and ``mask(domain)``, the cells in which relevance belongs.
Nothing clips: where a sum would exceed full scale, its parts are scaled by one factor, which is kept.
"""

from typing import Protocol, runtime_checkable

from torch import Tensor

from audioxai.datasets.ground_truth.additive import AdditiveModel, BandEnergyModel, LinearModel, SolvedModel
from audioxai.datasets.ground_truth.cues import (
    Cue,
    CuedClips,
    CueDesign,
    NoCue,
    NoiseBand,
    Tone,
    cue_cells,
    plant,
)
from audioxai.datasets.ground_truth.pairs import Mixtures, Pairs, Sequences, mix, sequence
from audioxai.datasets.ground_truth.reliance import CueReliance, cue_reliance
from audioxai.datasets.records import Dataset
from audioxai.domains import Domain

__all__ = [
    "AdditiveModel",
    "BandEnergyModel",
    "Cue",
    "CueDesign",
    "CueReliance",
    "CuedClips",
    "GroundTruth",
    "LinearModel",
    "Mixtures",
    "NoCue",
    "NoiseBand",
    "Pairs",
    "Sequences",
    "SolvedModel",
    "Tone",
    "cue_cells",
    "cue_reliance",
    "mix",
    "plant",
    "sequence",
]


@runtime_checkable
class GroundTruth(Protocol):
    """Clips whose relevant features are known."""

    @property
    def dataset(self) -> Dataset:
        """The clips with their labels."""
        ...

    def mask(self, domain: Domain) -> Tensor:
        """Where relevance belongs, bool ``(samples, 1, *domain.shape)``."""
        ...
