from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from helpers.synthetic_rows import METHODS, MakeRows
from matplotlib.colors import to_rgb
from PIL import Image

from audioxai.report.figures import Overlay, attribution_overlay, resolution_curves, write_all
from audioxai.report.style import FAMILIES
from audioxai.report.style import METHODS as STYLES
from audioxai.report.tables import cell_means, prepared
from audioxai.utils.errors import UserError

Directions = dict[str, bool | None]


def overlay(title: str = "Digit 7, speaker 26", methods: tuple[str, ...] = METHODS, rows: int = 16) -> Overlay:
    generator = np.random.default_rng(0)
    return Overlay(
        title=title,
        inputs=generator.uniform(-80, 0, size=(rows, 24)),
        attributions={method: generator.normal(size=(rows, 24)) for method in methods},
        row_axis=("frequency", "Hz", np.geomspace(60, 7500, rows).tolist()),
        column_axis=("time", "s", np.linspace(0, 1, 24).tolist()),
        value_unit="dB re. full-scale sine",
    )


@pytest.fixture(scope="module")
def written(rows_with: MakeRows, directions: Directions, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("figures")
    return write_all(rows_with(samples=10), [overlay()], directions, folder)


def test_every_figure_is_there_in_both_formats(written: list[Path]) -> None:
    stems = ["heatmap_audio", "heatmap_image", "resolution_curves", "audio_minus_image", "overlay_digit_7_speaker_26"]
    assert [path.name for path in written] == [f"{stem}.{kind}" for stem in stems for kind in ("png", "pdf")]
    assert {path.name for path in written[0].parent.iterdir()} == {path.name for path in written}
    for path in written:
        assert path.read_bytes()[:4] == (b"\x89PNG" if path.suffix == ".png" else b"%PDF")


def test_pictures_are_a_page_wide_at_200_dpi_with_clean_margins(written: list[Path]) -> None:
    for path in written:
        if path.suffix == ".png":
            with Image.open(path) as picture:
                grey = np.asarray(picture.convert("L"))
            assert grey.shape[1] == 1260
            edges = (grey[0], grey[-1], grey[:, 0], grey[:, -1])
            assert all((edge == 255).all() for edge in edges), f"{path.name}: something is clipped"


def test_same_rows_in_any_order_give_the_same_bytes(
    rows_with: MakeRows, directions: Directions, tmp_path: Path
) -> None:
    rows, methods = rows_with(samples=4, methods=("saliency", "random")), ("saliency", "random")
    first = write_all(rows, [overlay(methods=methods)], directions, tmp_path / "first")
    again = write_all(rows.sample(frac=1, random_state=1), [overlay(methods=methods)], directions, tmp_path / "again")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in first]


def test_settings_are_given_back(written: list[Path]) -> None:
    assert mpl.rcParams["font.size"] == mpl.rcParamsDefault["font.size"]


def test_no_letter_is_smaller_than_seven_points() -> None:
    figure = attribution_overlay(overlay())
    assert min(text.get_fontsize() for text in figure.findobj(mpl.text.Text)) >= 7


def test_frequency_ticks_sit_at_their_band(directions: Directions) -> None:
    axes = attribution_overlay(overlay()).axes[0]
    coordinates = np.geomspace(60, 7500, 16)
    for place, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True):
        hertz = float(label.get_text())
        assert np.interp(place, np.arange(16), coordinates) == pytest.approx(hertz)
    assert axes.get_ylabel() == "frequency (Hz)"
    assert axes.get_ylim()[0] < axes.get_ylim()[1]


def test_attributions_are_scaled_each_by_its_own_size(directions: Directions) -> None:
    plain = overlay(methods=("saliency", "occlusion"))
    plain.attributions["occlusion"][:] = 1000 * plain.attributions["saliency"]
    one, other = (axes.images[-1].get_array() for axes in attribution_overlay(plain).axes[1:3])
    np.testing.assert_allclose(one, other)
    assert abs(one).max() <= 1


def test_constant_zero_attributions_can_be_drawn() -> None:
    plain = overlay(methods=("saliency",))
    plain.attributions["saliency"][:] = 0
    attribution_overlay(plain).draw_without_rendering()


def test_curves_show_the_means(rows_with: MakeRows, directions: Directions) -> None:
    cells = cell_means(prepared(rows_with(samples=6)))
    figure = resolution_curves(cells, directions, {"audio": "fsdd", "image": "mnist"})
    where = "metric == 'faithfulness_correlation' and modality == 'audio' and method == 'saliency'"
    expected = cells.query(where).sort_values("resolution")
    line = figure.axes[0].lines[0]
    np.testing.assert_array_equal(line.get_xdata(), expected["resolution"])
    np.testing.assert_array_equal(line.get_ydata(), expected["mean"])
    assert to_rgb(line.get_color()) == to_rgb(STYLES["saliency"].colour)


def test_methods_differ_in_colour_and_marker() -> None:
    compared = [STYLES[method] for method in METHODS]
    assert len({style.colour for style in compared}) == len(METHODS)
    assert len({style.marker for style in compared}) == len(METHODS)
    adapted = [STYLES[method] for *_, members in FAMILIES.values() for method in members]
    assert len({(style.colour, style.marker) for style in adapted}) == len(adapted)


def test_what_one_modality_at_one_resolution_cannot_show_is_left_out(
    rows_with: MakeRows, directions: Directions, tmp_path: Path
) -> None:
    rows: pd.DataFrame = rows_with(samples=4).query("modality == 'audio' and resolution == 64")
    assert [path.name for path in write_all(rows, [], directions, tmp_path)] == [
        "heatmap_audio.png",
        "heatmap_audio.pdf",
    ]


def test_overlays_need_titles_of_their_own(rows_with: MakeRows, directions: Directions, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="title of its own"):
        write_all(rows_with(samples=4), [overlay(), overlay()], directions, tmp_path)
