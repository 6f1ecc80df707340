"""What the first stage shows: how complete each adaptation is, what it costs, and three clips to look at and hear."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from torch import Tensor

from audioxai.domains import Domain
from audioxai.listening import SoftMask, loudness_matched, separate
from audioxai.listening.sounds import write_heard
from audioxai.report.figures import Overlay, write_overlays
from audioxai.studies.objective2.config import Objective2Config
from audioxai.studies.objective2.plan import Cell, Method, Place, cells, methods_of, place_of, told_in

CLIPS_HEARD = 3
# Few enough for one page: what the thesis did, its repair, both meanings of "absent", the best, a peer, a control.
SHOWN = ("plain", "silence", "expected", "two_missingness", "ordered", "idgi", "energy")


@dataclass(frozen=True, eq=False)
class Clip:
    """One explained clip.

    Attributes
    ----------
    title, name : str
        For figures and, made plain, for files.
    waveform, levels : Tensor
        ``(1, time)`` and ``(1, *domain.shape)``.
    attributions : dict of Method to (Domain, Tensor)
        Where each method's attributions ``(1, *domain.shape)`` live, and they themselves.
    """

    title: str
    name: str
    waveform: Tensor
    levels: Tensor
    attributions: dict[Method, tuple[Domain, Tensor]]


def checks(config: Objective2Config) -> pd.DataFrame:
    """Completeness and cost of every method in every cell of plain clips, from the stored attributions.

    Returns
    -------
    DataFrame
        Columns ``dataset``, ``model``, ``training_seed``, ``method``, ``gradients`` (asked for), ``passes`` (taken, a
        clip), ``gap_median``, ``gap_p95`` (|ΣA − ΔF| / |ΔF|; NaN for methods that do not claim to be complete) and
        ``ms_a_clip``.
    """
    return pd.DataFrame(
        [
            _check(cell, method, place_of(config, cell))
            for cell in cells(config)
            if cell.material == "clips"
            for method in methods_of(config, cell)
        ]
    )


def clips_heard(config: Objective2Config) -> list[Clip]:
    """The first clips of different digits that the first model explains, with the maps of its largest budget."""
    cell = next(cell for cell in cells(config) if cell.material == "clips")
    place = place_of(config, cell)
    tensors, metadata = place.store.load_tensors(place.inputs())
    largest = {method.name: method for method in methods_of(config, cell) if method.name in SHOWN}
    maps = {
        method: place.store.load_tensors(place.attributions(method))[0]["attributions"] for method in largest.values()
    }
    first: dict[int, int] = {}
    for row, label in enumerate(tensors["labels"].tolist()):
        first.setdefault(label, row)
    stand_in = f" (STAND-IN for {metadata['stand_in_for']})" if metadata["stand_in_for"] else ""
    names = metadata["class_names"]
    return [
        Clip(
            title=f"{metadata['dataset']}{stand_in}: digit {names[label]}, speaker {metadata['speakers'][row]}, "
            f"predicted {names[int(tensors['predictions'][row])]}",
            name=f"{metadata['dataset']}-digit-{names[label]}-speaker-{metadata['speakers'][row]}",
            waveform=tensors["waveforms"][row],
            levels=tensors["levels"][row],
            attributions={method: (told_in(cell, method), values[row]) for method, values in maps.items()},
        )
        for label, row in list(first.items())[:CLIPS_HEARD]
    ]


def write_clips(config: Objective2Config) -> list[Path]:
    """Sounds (original, kept, removed) and overlays of a few clips; the places of all files."""
    store = place_of(config, cells(config)[0]).store
    clips = clips_heard(config)
    domain = cells(config)[0].domain
    sounds = [path for clip in clips for path in _sounds_of(clip, store.figures / "sounds")]
    return sounds + write_overlays([_overlay(clip, domain) for clip in clips], store.figures)


def _sounds_of(clip: Clip, folder: Path) -> list[Path]:
    written: dict[Path, None] = {}
    for method, (domain, attributions) in clip.attributions.items():
        heard = loudness_matched(separate(clip.waveform[None], attributions[None], SoftMask(domain)))
        written |= dict.fromkeys(write_heard(folder, heard, [clip.name], method.name))
    return list(written)


def _overlay(clip: Clip, domain: Domain) -> Overlay:
    rows, columns = domain.axes()
    return Overlay(
        title=clip.title,
        inputs=clip.levels[0].numpy(),
        attributions={
            method.name: attributions[0].numpy()
            for method, (lives_in, attributions) in clip.attributions.items()
            if lives_in == domain
        },
        row_axis=(rows.name, rows.unit, rows.coordinates),
        column_axis=(columns.name, columns.unit, columns.coordinates),
        value_unit=domain.unit,
    )


def _check(cell: Cell, method: Method, place: Place) -> dict[str, object]:
    tensors, made = place.store.load_tensors(place.attributions(method))
    count = len(tensors["attributions"])
    gap = pd.Series([float("nan")])
    if "change" in tensors:
        missing = tensors["attributions"].double().flatten(1).sum(1) - tensors["change"].double()
        gap = pd.Series((missing.abs() / tensors["change"].double().abs()).numpy())
    return {
        "dataset": cell.wanted.dataset,
        "model": cell.wanted.architecture,
        "training_seed": cell.wanted.training.seed,
        "method": method.name,
        "gradients": method.gradients,
        "passes": made["passes"],
        "gap_median": gap.median(),
        "gap_p95": gap.quantile(0.95),
        "ms_a_clip": 1000.0 * made["seconds"] / count,
    }
