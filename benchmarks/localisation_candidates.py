"""What was tried to localise one of two digits in a mixture, and planted cues, on validation clips.

    python benchmarks/localisation_candidates.py --json out.json

The settings of ``contrastive_loudness`` and ``peaks`` were chosen here: on validation clips, by small CNNs
of a training seed that ``audioxai run localisation`` does not use. Rows are the mean over clips and the mean difference
to loudness with its 95 % interval over speakers. Candidates that read the target's own recording, or the class of the
other one, are bounds and no methods: a map is to be made of the mixture alone.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioxai.datasets import Dataset
from audioxai.datasets.ground_truth import mix, plant
from audioxai.domains import LogMel
from audioxai.experiment import DataSpec, ModelSpec
from audioxai.experiment.models import ensure_model, in_domain, predicted, recordings_of
from audioxai.experiment.study import cue_design
from audioxai.metrics.localisation import RelevanceMass, RelevanceRank
from audioxai.statistics.means import score_mean
from audioxai.studies.options import training
from audioxai.utils.commands import run_command
from audioxai.utils.seeding import generator
from audioxai.xai_methods import METHODS
from audioxai.xai_methods.contrastive_loudness import AssignedLevel, Peaks

CPU = torch.device("cpu")
EPOCHS, SEED, GRADIENTS, REFERENCES = 12, 10, 32, 256
STEPS, LEARNING_RATE = 40, 0.3


@dataclass(frozen=True, eq=False)
class Case:
    """Clips with their mask, as a model's body sees them.

    Attributes
    ----------
    body : nn.Module
        The model.
    domain : LogMel
        Of ``inputs``, ``training`` and ``alone``.
    inputs, mask, targets : Tensor
        What is explained, where relevance belongs and the class that is asked for.
    training : Tensor
        Inputs from which noise is learnt.
    groups : tuple
        Speaker of every clip.
    alone : Tensor or None
        The target's own recording, as it is in the mixture.
    rival : Tensor or None
        Class of the other recording of the mixture.
    """

    body: nn.Module
    domain: LogMel
    inputs: Tensor
    mask: Tensor
    targets: Tensor
    training: Tensor
    groups: tuple[str | None, ...]
    alone: Tensor | None = None
    rival: Tensor | None = None

    def explained(self, name: str, inputs: Tensor | None = None, targets: Tensor | None = None) -> Tensor:
        """Map of a registered method."""
        known = {"domain": self.domain, "training_inputs": self.training, "gradients": GRADIENTS, "seed": 0}
        asked = self.targets if targets is None else targets
        made: Tensor = METHODS.bind(name, known)(self.body, self.inputs if inputs is None else inputs, asked)
        return made


@dataclass(frozen=True, eq=False)
class Given:
    """An explainer whose maps are known."""

    maps: Tensor

    def __call__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:  # noqa: ARG002 (the protocol's)
        """The maps."""
        return self.maps

    def passes(self, inputs: Tensor) -> int:  # noqa: ARG002 (the protocol's)
        """0."""
        return 0


def mixtures(spec: ModelSpec, folder: Path, count: int) -> tuple[Case, dict[str, float]]:
    """Mixtures of validation clips, and what the model says of them."""
    model, _ = ensure_model(spec, folder, CPU)
    recordings, domain = recordings_of(spec), spec.domain
    assert isinstance(domain, LogMel)
    mixed = mix(_some(recordings.part("validation"), count))
    inputs, targets, rival = in_domain(model, mixed.dataset.inputs, CPU), mixed.dataset.labels, mixed.pairs.other_labels
    alone = in_domain(model, mixed.pairs.targets, CPU)
    with torch.no_grad():
        said, said_alone = (predicted(model, each) for each in (inputs, alone))
    says = {
        "predicts_target": float((said == targets).double().mean()),
        "predicts_other": float((said == rival).double().mean()),
        "predicts_target_alone": float((said_alone == targets).double().mean()),
    }
    training_inputs = in_domain(model, _some(recordings.part("train"), REFERENCES).inputs, CPU)
    mask, groups = mixed.mask(domain), mixed.dataset.groups
    return Case(model.body, domain, inputs, mask, targets, training_inputs, groups, alone, rival), says


def cues(spec: ModelSpec, folder: Path, count: int) -> tuple[Case, dict[str, float]]:
    """Validation clips with planted cues, and how far the model goes by them."""
    model, card = ensure_model(spec, folder, CPU)
    recordings, domain, design = recordings_of(spec), spec.domain, spec.data.cues
    assert isinstance(domain, LogMel)
    assert design is not None
    cued = plant(_some(recordings.part("validation"), count), design)
    training_clips = plant(_some(recordings.part("train"), REFERENCES), design).dataset
    inputs, training_inputs = (in_domain(model, each.inputs, CPU) for each in (cued.dataset, training_clips))
    reliance: Any = card.cue_reliance
    says = {"follows_cue": float(reliance["follows_swap"])}
    made = Case(
        model.body, domain, inputs, cued.mask(domain), cued.dataset.labels, training_inputs, cued.dataset.groups
    )
    return made, says


def in_mixtures(case: Case) -> Iterator[tuple[str, Tensor]]:
    """Candidates for mixtures by name."""
    assert case.alone is not None
    assert case.rival is not None
    loudness = case.explained("energy")
    yield "loudness", loudness
    for name, control in (("loudness itself", loudness), ("a random map", case.explained("random"))):
        yield f"control: loudness assigned by {name}, 2 cells", _assigned(case, control, 2.0)
    yield "bound: level of the target's own recording", case.alone - case.domain.silence_value
    yield "bound: ordered IG of the target's own recording", case.explained("ordered", case.alone)
    maps = {name: case.explained(name) for name in ("silence", "ordered", "ordered_contrastive")}
    for name, map_ in maps.items():
        yield name, map_
    unit = maps["ordered"] / _size(maps["ordered"])
    rival = case.explained("ordered", targets=_rival(case))
    of_other = case.explained("ordered", targets=case.rival)
    maps["ordered, minus that of the runner-up"] = unit - rival / _size(rival)
    maps["bound: ordered, minus that of the other's class"] = unit - of_other / _size(of_other)
    for name, map_ in maps.items():
        for sigma_cells in (1.0, 2.0, 4.0):
            yield f"loudness assigned by {name}, {sigma_cells:g} cells", _assigned(case, map_, sigma_cells)
    for name, other in (("runner-up", _rival(case)), ("bound: other's class", case.rival)):
        mask = complementary_masks(case, other)
        yield f"mask optimised, rest to {name}", mask
        yield f"loudness × mask optimised, rest to {name}", loudness * mask


def of_cues(case: Case) -> Iterator[tuple[str, Tensor]]:
    """Candidates for cues by name."""
    yield "loudness", case.explained("energy")
    for name in ("silence", "idgi", "ordered", "ordered_contrastive"):
        map_ = case.explained(name)
        yield name, map_
        yield f"{name}, squared", map_.clamp_min(0.0).square()
        for share in (0.1, 0.25, 0.5):
            yield f"{name}, above {share:g} of its peak", Peaks(Given(map_), share)(case.body, map_, case.targets)


def complementary_masks(case: Case, other: Tensor) -> Tensor:
    """Masks that leave the target in one part of each mixture and another class in the rest.

    Maximises log p(target | M) + log p(other | 1 − M) by Adam over 16 × 16 gains, which attenuate levels in dB; after
    the preservation and deletion game of Fong & Vedaldi (2017).
    """
    gains = torch.zeros(len(case.inputs), 1, 16, 16, requires_grad=True)
    optimiser = torch.optim.Adam([gains], lr=LEARNING_RATE)

    def masks() -> Tensor:
        mask: Tensor = functional.interpolate(gains.sigmoid(), size=case.domain.shape, mode="bilinear")
        return mask

    for _ in range(STEPS):
        mask = masks()
        kept = [case.inputs + 20.0 * part.clamp_min(1e-4).log10() for part in (mask, 1.0 - mask)]
        logits = case.body(torch.cat(kept).clamp_min(case.domain.silence_value))
        loss = functional.cross_entropy(logits, torch.cat([case.targets, other]), reduction="sum")
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return masks().detach()


def _assigned(case: Case, maps: Tensor, sigma_cells: float) -> Tensor:
    return AssignedLevel(Given(maps), case.domain, sigma_cells)(case.body, case.inputs, case.targets)


def _rival(case: Case) -> Tensor:
    """The most probable class but the target."""
    with torch.no_grad():
        logits: Tensor = case.body(case.inputs)
    return logits.scatter(1, case.targets[:, None], -torch.inf).argmax(1)


def _size(maps: Tensor) -> Tensor:
    return maps.flatten(1).abs().sum(1).clamp_min(1e-12)[:, None, None, None]


def _some(part: Dataset, count: int) -> Dataset:
    order = torch.randperm(len(part), generator=generator("localisation candidates", part.name, len(part)))
    return part.rows(order[:count])


def measured(case: Case, candidates: Iterator[tuple[str, Tensor]], metric: Any) -> list[dict[str, Any]]:
    """Mean score of every candidate and its difference to the first one, loudness."""
    rows: list[dict[str, Any]] = []
    loudness = None
    for name, map_ in candidates:
        scores = metric(case.body, case.inputs, case.targets, map_, case.mask)
        loudness = scores if loudness is None else loudness
        lead = score_mean((scores - loudness).numpy(), list(map(str, case.groups))).interval()
        mean = float(scores.nanmean())
        rows.append({"candidate": name, "score": mean, "lead": lead.mean, "low": lead.low, "high": lead.high})
        print(f"  {mean:.3f}  {lead.mean:+.3f} [{lead.low:+.3f}, {lead.high:+.3f}]  {name}", flush=True)
    return rows


def main(arguments: list[str]) -> None:
    """Train where needed, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", nargs="+", default=["audio_mnist_az", "fsdd"])
    parser.add_argument("--materials", nargs="+", default=["cues", "mixtures"], choices=["cues", "mixtures"])
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"))
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    found = []
    for name in options.datasets:
        spec = ModelSpec(DataSpec(name), "small_cnn", (64, 64), training("small_cnn", EPOCHS, SEED, "audio"))
        assert spec.audio_format is not None
        cued = replace(spec, data=replace(spec.data, cues=cue_design(spec.audio_format.duration_s)))
        kinds: dict[str, tuple[Any, ModelSpec, Any, Any]] = {
            "cues": (RelevanceMass(), cued, cues, of_cues),
            "mixtures": (RelevanceRank(), spec, mixtures, in_mixtures),
        }
        for material in options.materials:
            metric, own, make, candidates = kinds[material]
            case, says = make(own, options.checkpoints, options.clips)
            share = float(case.mask.double().mean())
            speakers = len(set(case.groups))
            print(f"{name} {material}: {len(case.inputs)} clips, {speakers} speakers, mask {share:.3f}, {says}")
            rows = measured(case, candidates(case), metric)
            found.append({"dataset": name, "material": material, "mask": share, **says, "rows": rows})
    options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(run_command(main))
