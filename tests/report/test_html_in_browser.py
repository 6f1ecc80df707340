"""The page in Chromium, from ``file://``: it plays, seeks, switches, compares and sorts, and asks for nothing."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import html_documents as made
from helpers.browser import SIZES, Opened, opening

from audioxai.report.render.html.page import write_page


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    page = made.page()
    return write_page(
        tmp_path_factory.mktemp("report") / "report.html", page.title, page.documents, page.clips, page.cards
    )


@pytest.fixture(params=SIZES)
def opened(request, browser, report) -> Iterator[Opened]:
    yield from opening(browser, report, SIZES[request.param])


@pytest.fixture
def wide(browser, report) -> Iterator[Opened]:
    yield from opening(browser, report, SIZES["desktop"])


def test_everything_fits_the_width(opened) -> None:
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    for section in ("#answers", "#gallery", "#objective1", "#model_card"):
        box = page.locator(section).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= page.viewport_size["width"]
    assert page.locator("#answers").get_by_role("heading", name="Objective 1: sounds").is_visible()
    assert page.locator("#answers .short ul").count() == 2


def test_both_answers_stand_in_the_first_screen(wide) -> None:
    for answer in wide.page.locator("#answers .short ul").all():
        box = answer.bounding_box()
        assert box["y"] + box["height"] < SIZES["desktop"][1]


def test_it_plays_in_step_and_pauses(opened) -> None:
    page = opened.page
    page.get_by_role("button", name="Play").click()
    opened.until(lambda it: it.place() > 0.2)
    (first,) = opened.started()
    assert first["offset"] == 0
    assert first["pitch"] == pytest.approx(200.0, abs=2.0)
    page.get_by_role("button", name="Pause").click()
    place = opened.place()
    assert 0.2 < place < made.DURATION_S
    assert opened.playhead(".wave") == pytest.approx(place / made.DURATION_S, abs=0.01)
    assert opened.playhead("#panel-0") == pytest.approx((place / 0.1 + 0.5) / made.COLUMNS, abs=0.01)
    assert opened.playhead("#panel-1") == opened.playhead("#panel-0")
    page.wait_for_timeout(100)
    assert opened.place() == place


def test_time_runs_as_it_does_outside(wide) -> None:
    """The line moves as fast as the sound: what is shown is what the sound clock says."""
    page = wide.page
    page.get_by_role("button", name="Play").click()
    wide.until(lambda it: it.place() > 0.1)
    places = page.evaluate(
        """async () => {
          const told = () => [performance.now() / 1000, parseFloat(document.getElementById('time').textContent)];
          const first = told();
          await new Promise((done) => setTimeout(done, 600));
          for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
          return [first, told()];
        }"""
    )
    (started, first), (ended, last) = places
    assert last - first == pytest.approx(ended - started, abs=0.2)


def test_a_click_moves_the_line_to_where_it_is(opened) -> None:
    page = opened.page
    for plot, share in (("#panel-0", 0.6), (".wave", 0.25)):
        target = page.locator(f"{plot} .plot") if plot == "#panel-0" else page.locator(".wave .plot")
        target.scroll_into_view_if_needed()
        box = target.bounding_box()
        page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
        assert opened.playhead(plot) == pytest.approx(share, abs=0.01)
    assert opened.place() == pytest.approx(0.25 * made.DURATION_S, abs=0.01)
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Pause").wait_for()
    assert opened.started()[0]["offset"] == pytest.approx(0.25 * made.DURATION_S, abs=0.01)


def test_another_sound_goes_on_where_the_first_one_was(opened) -> None:
    page = opened.page
    page.get_by_role("button", name="Play").click()
    opened.until(lambda it: it.place() > 0.3)
    for name, pitch in (("Kept by Dual IG", 450.0), ("Removed by Silence IG", 1000.0), ("Original", 200.0)):
        count = len(opened.started())
        page.get_by_role("radio", name=name, exact=True).check()
        opened.until(lambda it, count=count: len(it.started()) > count)
        before, after = opened.started()[-2:]
        ran = after["at"] - before["at"]
        assert after["pitch"] == pytest.approx(pitch, abs=5.0)
        assert after["offset"] == pytest.approx((before["offset"] + ran) % made.DURATION_S, abs=0.1)
        assert page.get_by_role("radio", name=name, exact=True).is_checked()
    assert page.locator("#sound-note").inner_text() == ""
    page.get_by_role("radio", name="Kept by Dual IG", exact=True).check()
    assert page.get_by_text("Loudness of dual.").is_visible()


def test_a_sound_that_stands_still_keeps_its_place_too(wide) -> None:
    page = wide.page
    page.get_by_role("slider", name="Position").fill("0.5")
    assert wide.place() == pytest.approx(0.6, abs=0.01)
    page.get_by_role("radio", name="Kept by Silence IG", exact=True).check()
    page.get_by_text("Loudness of silence.").wait_for()
    assert wide.place() == pytest.approx(0.6, abs=0.01)
    assert wide.started() == []


def test_it_ends_or_begins_again(wide) -> None:
    page = wide.page
    page.get_by_role("slider", name="Position").fill("0.8")
    page.get_by_role("button", name="Play").click()
    wide.until(lambda it: it.place() < 0.5)
    assert wide.started()[0]["loop"]
    page.get_by_role("checkbox", name="Repeat").uncheck()
    page.get_by_role("button", name="Play").wait_for()
    assert wide.place() == pytest.approx(made.DURATION_S, abs=0.01)
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Pause").wait_for()
    assert wide.started()[-1]["offset"] == 0


def test_two_methods_or_one(opened) -> None:
    page = opened.page
    assert page.locator(".panel:visible").count() == 2
    assert page.locator("#panel-0 .notes").inner_text() == "ΔF = 2.500, gap 0.4 %"
    page.get_by_label("Compared with").select_option("nothing")
    assert page.locator(".panel:visible").count() == 1
    assert [one.inner_text() for one in page.locator("#sounds label").all()] == ["Original", "Kept", "Removed"]
    page.get_by_label("Map", exact=True).select_option("Random (control)")
    assert page.locator("#panel-0 .name").inner_text() == "Random (control)"
    page.get_by_label("Clip").select_option("digit 2")
    assert page.locator("#panel-0 .name").inner_text() == "Random (control)"
    assert page.locator("#panel-0 canvas").get_attribute("aria-label") == "Map of Random (control) on digit 2"


def test_maps_are_red_and_blue_and_fade_with_the_slider(opened) -> None:
    colours = opened.colours(0)
    assert any(red > blue for red, _, blue in colours)
    assert any(blue > red for red, _, blue in colours)
    opened.page.get_by_role("slider", name="Opacity of the map").fill("0")
    assert opened.colours(1) == []
    assert opened.page.locator("#opacity-value").inner_text() == "0 %"


def test_cells_are_drawn_where_they_belong(wide) -> None:
    """The positive cell of the second method: row 1 from below, column 1."""
    red = wide.page.locator("#panel-1 canvas").evaluate(
        """canvas => {
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          const found = [];
          for (let i = 0; i < data.length; i += 4) {
            const [x, y] = [(i / 4) % canvas.width, Math.floor(i / 4 / canvas.width)];
            if (data[i] - data[i + 2] > 8) found.push([x / canvas.width, y / canvas.height]);
          }
          return found;
        }"""
    )
    across, down = zip(*red, strict=True)
    assert (min(across), max(across)) == pytest.approx((1 / made.COLUMNS, 2 / made.COLUMNS), abs=0.01)
    assert (min(down), max(down)) == pytest.approx((1 - 2 / made.ROWS, 1 - 1 / made.ROWS), abs=0.01)


def test_images_are_seen_and_not_heard(wide) -> None:
    page = wide.page
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Pause").wait_for()
    page.get_by_label("Clip").select_option("a picture")
    page.locator("#player").wait_for(state="hidden")
    assert page.locator("#panel-0 .playhead").is_hidden()
    assert page.locator("#panel-0 .row-axis .axis-name").inner_text() == "row (pixel)"
    page.get_by_label("Clip").select_option("digit 1")
    page.get_by_role("button", name="Play").wait_for()


def test_it_can_be_used_by_keyboard(wide) -> None:
    page = wide.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the answers"
    page.locator("#play").focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Pause").wait_for()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Play").wait_for()
    page.get_by_role("radio", name="Original").focus()
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("radio", name="Kept by Silence IG").is_checked()
    position = page.get_by_role("slider", name="Position")
    position.focus()
    page.keyboard.press("End")
    assert wide.place() == pytest.approx(made.DURATION_S, abs=0.01)
    assert position.get_attribute("aria-valuetext") == "1.20 of 1.20 seconds"


def test_every_control_and_picture_has_a_name(wide) -> None:
    tree = wide.page.locator("body").aria_snapshot()
    controls = re.findall(r"- (?:button|slider|checkbox|radio|combobox|searchbox|img|region)\b.*", tree)
    assert len(controls) > 15
    assert [one for one in controls if '"' not in one] == []


def test_tables_are_sorted_by_what_is_clicked(opened) -> None:
    page = opened.page
    heading = page.locator("#o1_scores").get_by_role("button", name="Score")
    column = page.locator("#o1_scores tbody tr td:last-child")
    values = sorted(float(cell.text.split(" ")[0]) for *_, cell in made.table().rows if cell.text != "n/a")
    told = ["n/a"]
    for direction, expected in (("ascending", values), ("descending", values[::-1])):
        heading.click()
        shown = [text.split()[0] for text in column.all_inner_texts()]
        assert shown == [f"{value:g}" for value in expected] + told
        assert page.locator("#o1_scores th[aria-sort]").get_attribute("aria-sort") == direction
    page.locator("#o1_scores").get_by_role("button", name="Models").click()
    scopes = page.locator("#o1_scores tbody tr th.key").all_inner_texts()
    assert scopes == sorted(scopes)
    # Rows that are alike stay in the order of before.
    first = page.locator("#o1_scores tbody tr:has(th.key:text('scope 0')) td").all_inner_texts()
    assert [text for text in first if text != "n/a"] == sorted(first[:-1], key=lambda one: -float(one.split()[0]))


def test_rows_are_found_by_their_words(wide) -> None:
    page = wide.page
    words, rows = page.get_by_role("searchbox", name="Only rows with"), len(made.table().rows)
    shown = page.locator("#o1_scores tbody tr:visible")
    words.fill("X method")
    assert shown.all_inner_texts() == ["Method x\tscope 0\tn/a"]
    assert page.get_by_text(f"1 of {rows} rows").is_visible()
    words.fill("")
    assert shown.count() == rows


def test_the_line_below_the_waveform_is_the_slider(opened) -> None:
    wave, slider = opened.page.locator("#wave").bounding_box(), opened.page.locator("#position").bounding_box()
    assert 0 <= slider["y"] - (wave["y"] + wave["height"]) < 10


def test_a_narrow_screen_shows_scores_beside_the_key_column(browser, report) -> None:
    for opened in opening(browser, report, SIZES["phone"]):
        scroll = opened.page.locator("#o1_scores .scroll")
        key, box = scroll.locator("thead th.key").bounding_box(), scroll.bounding_box()
        assert key["width"] < 0.45 * box["width"]


def test_maps_are_dark_where_the_page_is(browser, report) -> None:
    for scheme, least, most in (("light", 150, 255), ("dark", 0, 145)):
        for opened in opening(browser, report, SIZES["desktop"], scheme):
            opened.page.get_by_role("slider", name="Opacity of the map").fill("0")
            pixel = opened.page.locator("#panel-0 canvas").evaluate(
                "canvas => [...canvas.getContext('2d').getImageData(2, 2, 1, 1).data]"
            )
            assert least <= pixel[0] <= most


def test_light_and_dark(browser, report) -> None:
    for scheme, other in (("light", "dark"), ("dark", "light")):
        for opened in opening(browser, report, SIZES["desktop"], scheme):
            page = opened.page
            colour = "getComputedStyle(document.body).backgroundColor"
            before = page.evaluate(colour)
            assert (before == "rgb(255, 255, 255)") == (scheme == "light")
            page.get_by_role("button", name=f"Switch to {other} colours").click()
            assert (page.evaluate(colour) == "rgb(255, 255, 255)") == (other == "light")
            page.get_by_role("button", name=f"Switch to {scheme} colours").click()
            assert page.evaluate(colour) == before
