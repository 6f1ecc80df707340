"""Figures that the studies left as PNG, with their captions."""

from pathlib import Path

from audio_xai.report.html.document import Picture

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


def pictures_in(visualizations: Path, study: str) -> list[Picture]:
    """Figures of a study: the captioned ones made for a thesis, and where there are none the study's own."""
    prefix = study.replace("objective", "o") + "_"
    captioned = sorted((visualizations / "thesis").glob(f"{prefix}*.png"))
    places = [place for place in captioned if not place.stem.endswith("_column")]
    places = places or sorted((visualizations / study).glob("*.png"))
    return [Picture(place.stem, _caption(place), place.read_bytes()) for place in places]


def _caption(place: Path) -> str:
    written = place.with_name(f"{place.stem}.caption.txt")
    if written.is_file():
        return written.read_text(encoding="utf-8").strip()
    for beginning, caption in CAPTIONS.items():
        if place.stem.startswith(beginning):
            return caption.format(rest=place.stem.removeprefix(beginning).replace("_", " "))
    return place.stem.replace("_", " ").capitalize()
