"""Numbers of every method on a tiny fixed model, by revision: when they change, the revision has to.

``PYTHONPATH=src:tests python tests/xai_methods/test_revisions.py`` writes the table anew.
"""

import inspect
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.tiny_models import draw, tiny_cnn, tiny_waveform_cnn
from torch import Tensor, nn

from audioxai.baselines import Black, Silence
from audioxai.domains import Domain, LogMel, Mask, Pixels, Rfft, Waveform
from audioxai.registry import MethodEntry
from audioxai.xai_methods import METHODS
from audioxai.xai_methods.explain_in import seen_in
from audioxai.xai_methods.masks import in_masks

TABLE = Path(__file__).resolve().parents[1] / "golden" / "methods.json"
DOMAINS: dict[str, Domain] = {
    "log_mel": LogMel(8_000, 0.25, bands=16, frames=12),
    "waveform": Waveform(4_000, 0.1),
    "pixels": Pixels(12, 10),
    "rfft": Rfft(4_000, 0.1),
}
CELLS = Mask(4_000, 0.1, 6, 7, window_s=0.016)
GRADIENTS = 16
# Far above what differs between processors in double precision, far below any change of a method.
TOLERANCE = 1e-7


def numbers(entry: MethodEntry) -> dict[str, list[float]]:
    """Sum, sum of magnitudes and six features of two maps, by domain."""
    found = {}
    for kind, domain in DOMAINS.items():
        # Of spectra those alone that say so.
        if not entry.takes(kind) or (kind == "rfft" and not entry.domains):
            continue
        model: nn.Module = tiny_cnn(seed=1) if kind in ("log_mel", "pixels") else tiny_waveform_cnn(seed=1)
        low, high = domain.value_range
        inputs, training = (
            (low + (high - low) * (0.5 + 0.15 * draw(count, 1, *domain.shape, seed=seed))).clamp(low, high)
            for count, seed in ((2, 2), (20, 3))
        )
        if isinstance(domain, Rfft):
            model, inputs = seen_in(domain, model, 0.1 * draw(2, 1, 400, seed=2))
        context = {
            "domain": domain,
            "baseline": Black() if kind == "pixels" else Silence(domain),
            "training_inputs": training,
            "gradients": GRADIENTS,
            "passes": GRADIENTS,
            "seed": 0,
        }
        found[kind] = some_of(entry.bind(context)(model, inputs, torch.tensor([0, 2])))
    if Mask.name in entry.domains:
        clips = 0.1 * draw(2, 1, 400, seed=2)
        budget = GRADIENTS if "gradients" in entry.parameters else 2 * GRADIENTS
        explainer = in_masks(entry.name, CELLS, gradients=budget, references=0.1 * draw(20, 1, 400, seed=3))
        found[Mask.name] = some_of(explainer(tiny_waveform_cnn(seed=1), clips, torch.tensor([0, 2])))
    return found


def some_of(maps: Tensor) -> list[float]:
    """Sum, sum of magnitudes and six features."""
    flat = maps.flatten()
    return [float(f"{value:.12g}") for value in (flat.sum(), flat.abs().sum(), *flat[:: -(-len(flat) // 6)])]


def current() -> dict[str, Any]:
    """The table as the methods are now."""
    return {name: {"revision": entry.revision, "maps": numbers(entry)} for name, entry in sorted(METHODS.items())}


def difference(entry: MethodEntry, known: dict[str, Any]) -> str | None:
    """What is wrong with a method's row of the table; None if nothing is."""
    now = numbers(entry)
    same = now.keys() == known["maps"].keys() and all(
        values == pytest.approx(known["maps"][kind], rel=TOLERANCE, abs=TOLERANCE * known["maps"][kind][1])
        for kind, values in now.items()
    )
    if not same and entry.revision == known["revision"]:
        return f"the maps of {entry.name} have changed: raise the revision, then write the table anew"
    if entry.revision != known["revision"]:
        return f"{entry.name} is in revision {entry.revision}, the table in {known['revision']}: write the table anew"
    return None


@pytest.mark.parametrize("name", METHODS)
def test_numbers_of_a_revision_stay(name: str) -> None:
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    assert name in table, f"{name} is not in {TABLE.name}: write the table anew"
    problem = difference(METHODS[name], table[name])
    assert problem is None, problem


def test_the_table_holds_registered_methods_alone() -> None:
    assert set(json.loads(TABLE.read_text(encoding="utf-8"))) == set(METHODS)


@pytest.mark.parametrize("name", ["saliency", "energy", "pullback"])
def test_changed_numbers_ask_for_a_new_revision(name: str) -> None:
    known = json.loads(TABLE.read_text(encoding="utf-8"))[name]
    entry = METHODS[name]

    def changed(**context: Any) -> Any:
        made = entry.make(**context)
        return lambda model, inputs, targets: 1.001 * made(model, inputs, targets)

    # Parameters are bound by name, so the changed recipe shows those of the real one.
    vars(changed)["__signature__"] = inspect.signature(entry.make)
    other = replace(entry, make=changed)
    assert "raise the revision" in str(difference(other, known))
    raised = replace(other, revision=entry.revision + 1)
    assert "write the table anew" in str(difference(raised, known))
    assert difference(raised, {"revision": raised.revision, "maps": numbers(raised)}) is None


if __name__ == "__main__":
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(json.dumps(current(), indent=1) + "\n", encoding="utf-8")
