"""Which data the rows come from; a stand-in is never named without what it stands for."""

import pandas as pd

from audioxai.report.style import MODALITIES, listed


def present_modalities(rows: pd.DataFrame) -> list[str]:
    """Modalities that have rows, audio first."""
    return [modality for modality in MODALITIES if (rows["modality"] == modality).any()]


def dataset_name(rows: pd.DataFrame, modality: str) -> str:
    """Dataset of a modality, with ``(STAND-IN for …)`` where it is one."""
    part = rows[rows["modality"] == modality]
    name, real = str(part["dataset"].iloc[0]), part["stand_in_for"].iloc[0]
    return name if pd.isna(real) else f"{name} (STAND-IN for {real})"


def stand_ins(rows: pd.DataFrame) -> dict[str, str]:
    """Stand-in dataset → the real dataset that it stands for."""
    used = rows.loc[rows["stand_in_for"].notna(), ["dataset", "stand_in_for"]].drop_duplicates()
    return dict(sorted(zip(used["dataset"].astype(str), used["stand_in_for"].astype(str), strict=True)))


def stand_in_notice(rows: pd.DataFrame) -> list[str]:
    """Paragraph that opens a summary where stand-in data were used; nothing otherwise."""
    used = stand_ins(rows)
    if not used:
        return []
    replaced = listed([f"{stand_in} in place of {real}" for stand_in, real in used.items()])
    return [
        f"> **STAND-IN data: {replaced}.** The numbers below show that the experiment runs; they are no result "
        f"about {listed(sorted(set(used.values())))}."
    ]


def data_note(rows: pd.DataFrame) -> str:
    """``audio fsdd and image mnist; training seeds 0 and 1``: what every caption ends with."""
    data = listed([f"{modality} {dataset_name(rows, modality)}" for modality in present_modalities(rows)])
    seeds = [str(seed) for seed in sorted(rows["training_seed"].unique())]
    return f"{data}; training seed{'s' if len(seeds) > 1 else ''} {listed(seeds)}"
