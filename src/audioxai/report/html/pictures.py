"""Figures that the studies left as PNG, with their captions."""

from pathlib import Path

from audioxai.report.html.document import Picture
from audioxai.utils.store import MADE_FROM

# Beginning of a figure's name → what it shows, where no caption lies beside it.
CAPTIONS = {
    "heatmap_": "Scores of every method by every metric on {rest}: mean ± half-width of the 95 % interval",
    "resolution_curves": "Mean scores against the resolution of the input, with their 95 % intervals",
    "audio_minus_image": "Difference of mean scores, audio − image, at like resolutions, with its 95 % interval",
    "curves_plain_and_silence": "Deletion and insertion curves of plain and of silence IG",
    "curves_two_removals": "Insertion and deletion curves under the two removals",
    "difference_from_silence": "Difference from silence IG under the worse removal, with its 95 % interval",
    "ground_truth": "Relevance where it is known to belong, method by method",
    "method_by_metric": "Scores of every method by every metric",
    "overlay_": "Maps of every method on {rest}",
}


def pictures_in(visualizations: Path, study: str, summary: Path) -> list[Picture]:
    """Figures of a study: the captioned ones made for a thesis from the answer in ``summary``, else the study's own."""
    prefix = study.replace("objective", "o") + "_"
    captioned = sorted((visualizations / "thesis").glob(f"{prefix}*.png"))
    answered = summary.stat().st_mtime_ns if summary.is_file() else 0
    # Older than the answer they would show what another one rests on.
    places = [
        place for place in captioned if not place.stem.endswith("_column") and place.stat().st_mtime_ns >= answered
    ]
    places = places or sorted(_made(visualizations / study))
    return [Picture(place.stem, _caption(place), place.read_bytes()) for place in places]


def _made(folder: Path) -> list[Path]:
    """Figures that a study's last comparison wrote, where it noted them; those of earlier ones may lie beside them."""
    noted = folder / MADE_FROM
    places = list(folder.glob("*.png"))
    if not noted.is_file():
        return places
    names = {Path(line).name for line in noted.read_text(encoding="utf-8").splitlines()[1:]}
    return [place for place in places if place.name in names]


def _caption(place: Path) -> str:
    written = place.with_name(f"{place.stem}.caption.txt")
    if written.is_file():
        return written.read_text(encoding="utf-8").strip()
    for beginning, caption in CAPTIONS.items():
        if place.stem.startswith(beginning):
            return caption.format(rest=place.stem.removeprefix(beginning).replace("_", " "))
    return place.stem.replace("_", " ").capitalize()
