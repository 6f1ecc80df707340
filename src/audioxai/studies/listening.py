"""What explained clips show before anything is scored: completeness, cost, and clips to look at and to hear."""

from functools import partial
from pathlib import Path

import pandas as pd

from audioxai.experiment import Plan
from audioxai.experiment.runner import record
from audioxai.listening import SoftMask, loudness_matched, separate
from audioxai.listening.sounds import write_heard
from audioxai.report.canvas import rendered
from audioxai.report.document import Figure
from audioxai.report.overlays import attribution_overlay, of_different_titles, overlay
from audioxai.report.style import Style
from audioxai.results import ExplainedCell, ResultSet, manifest_path, read_manifest
from audioxai.studies.objective2 import SHOWN
from audioxai.utils.files import write_bytes

CLIPS_HEARD = 3


def completeness_and_clips(plan: Plan) -> None:
    """Print completeness and cost of every method, and write three clips."""
    record(plan)
    results = read_manifest(
        plan.options.results, manifest_path(plan.options.results, plan.study.name, plan.study.profile)
    )
    table = completeness(results).groupby(["method", "gradients"], sort=False)
    print("\nMedians over models: completeness gap |ΣA − ΔF| / |ΔF|, passes and time of one map\n")
    print(table[["passes", "gap_median", "gap_p95", "ms_per_clip"]].median().round(4).to_string())
    overlays, sounds = write_clips(results, plan.options.results / "visualizations" / plan.study.name)
    print("\nThree clips, to look at and to hear (original, kept, removed):")
    for path in overlays:
        print(f"  {path}")
    print(f"  {len(sounds)} sounds in {sounds[0].parent}")


def completeness(results: ResultSet) -> pd.DataFrame:
    """Completeness and cost of every method in every cell of plain clips, from the stored attributions.

    Returns
    -------
    DataFrame
        Columns ``dataset``, ``model``, ``training_seed``, ``method``, ``gradients`` (asked for), ``passes`` (taken, per
        clip), ``gap_median``, ``gap_p95`` (|ΣA − ΔF| / |ΔF|; NaN for methods that do not claim to be complete) and
        ``ms_per_clip``.
    """
    return pd.DataFrame(
        [
            _check(cell, method, gradients)
            for cell in results.cells
            if cell.material == "clips"
            for method, budgets in cell.budgets.items()
            for gradients in budgets
        ]
    )


def write_clips(results: ResultSet, folder: Path) -> tuple[list[Path], list[Path]]:
    """Overlays, and sounds (original, kept, removed), of the first clips of different classes."""
    cell = next(cell for cell in results.cells if cell.material == "clips")
    tensors, style = cell.inputs(), Style(results.methods, results.metrics)
    rows = of_different_titles(cell, CLIPS_HEARD)
    methods = [method for method in cell.budgets if method in SHOWN]
    sounds: dict[Path, None] = {}
    for row in rows:
        name = f"{cell.dataset}-{cell.class_names[int(tensors['labels'][row])]}-{cell.groups[row]}"
        for method in methods:
            maps = cell.attributions(method)
            parts = separate(tensors["waveforms"][row : row + 1], maps.values[row : row + 1], SoftMask(maps.domain))
            sounds |= dict.fromkeys(write_heard(folder / "sounds", loudness_matched(parts), [name], method))
    overlays = [
        write_bytes(folder / f"clip_{place}.{kind}", content)
        for place, row in enumerate(rows, start=1)
        for shown in [overlay(cell, row, methods)]
        for figure in [Figure(f"clip_{place}", shown.title, "", partial(attribution_overlay, shown, style))]
        for kind, content in rendered(figure, ("png", "pdf")).items()
    ]
    return overlays, list(sounds)


def _check(cell: ExplainedCell, method: str, gradients: int) -> dict[str, object]:
    made = cell.attributions(method, gradients)
    gap = pd.Series([float("nan")])
    if made.change is not None:
        missing = made.values.double().flatten(1).sum(1) - made.change.double()
        gap = pd.Series((missing.abs() / made.change.double().abs()).numpy())
    return {
        "dataset": cell.dataset,
        "model": cell.model,
        "training_seed": cell.training_seed,
        "method": method,
        "gradients": gradients,
        "passes": made.passes,
        "gap_median": gap.median(),
        "gap_p95": gap.quantile(0.95),
        "ms_per_clip": 1000.0 * made.seconds / len(made.values),
    }
