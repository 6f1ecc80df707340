"""The app in Chromium: open sounds, ask why, erase, listen, compare; by keys and on a phone."""

import base64
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.app import Running, sound_file
from helpers.browser import LISTEN, SIZES, Opened

pytestmark = pytest.mark.browser


def as_it_is(page: Any) -> None:
    """Nothing is done to a page before it is opened."""


@contextlib.contextmanager
def opening(
    browser: Any,
    served: Running,
    size: str = "desktop",
    scheme: str = "light",
    clip: bool = True,
    says: tuple[str, ...] = (),
    before: Callable[[Any], object] = as_it_is,
) -> Iterator[Opened]:
    """The app's page; afterwards it asked nobody else, and the console said nothing but what begins with ``says``."""
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    context.set_default_timeout(15_000)
    context.add_init_script(LISTEN)
    opened = Opened(context.new_page())
    opened.page.on("console", lambda one: opened.said.append(one.text))
    opened.page.on("pageerror", lambda error: opened.said.append(str(error)))
    opened.page.on("request", lambda request: opened.asked.append(request.url))
    before(opened.page)
    opened.page.goto(served.address)
    opened.page.get_by_text("up to 60 s").wait_for(state="attached")
    if clip:
        choose(opened)
        opened.page.locator("#predictions tbody tr").first.wait_for()
    yield opened
    context.close()
    assert [one for one in opened.said if not one.startswith(says)] == []
    assert all(address.startswith((served.address, "data:", "blob:")) for address in opened.asked)


def choose(opened: Opened, content: bytes | None = None, name: str = "bird.wav") -> None:
    file = {"name": name, "mimeType": "audio/wav", "buffer": sound_file() if content is None else content}
    opened.page.locator("#file").set_input_files(file)


def top(opened: Opened, table: int = 0) -> tuple[str, float]:
    """The likeliest class now, and its probability."""
    row = opened.page.locator("#predictions table").nth(table).locator("tr.explained")
    return row.locator("th").inner_text(), float(row.locator("td").first.inner_text().strip("<> ").split()[0])


def brush(opened: Opened, panel: int = 0, height: float = 0.29, first: float = 0.02, last: float = 0.98) -> list[str]:
    """Brush from left to right; what the page says meanwhile of the first class."""
    page = opened.page
    plot = page.locator(f"#panel-{panel} .plot")
    page.locator("#size").fill("60")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    at = [box["x"] + box["width"] * (first + (last - first) * step / 8) for step in range(9)]
    page.mouse.move(at[0], box["y"] + height * box["height"])
    page.mouse.down()
    seen = []
    for x in at[1:]:
        page.mouse.move(x, box["y"] + height * box["height"])
        page.wait_for_timeout(60)
        seen.append(page.locator("#predictions").inner_text())
    page.mouse.up()
    return seen


def until(opened: Opened, condition: Any) -> None:
    for _ in range(800):
        if condition():
            return
        opened.page.wait_for_timeout(10)
    raise AssertionError(f"it did not come to that: {opened.page.locator('#predictions').inner_text()}")


def is_no_wider(opened: Opened) -> bool:
    return bool(opened.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


@pytest.mark.parametrize("size", SIZES)
def test_the_first_look_says_what_to_do_and_the_example_is_one_click_away(
    browser: Any, served: Running, size: str
) -> None:
    with opening(browser, served, size, clip=False) as opened:
        page = opened.page
        assert page.get_by_text("Drop a sound file here, choose one, or record.").is_visible()
        assert page.get_by_role("button", name="Explain").is_hidden()
        page.get_by_role("button", name="Open the example").click()
        page.locator("#predictions tbody tr").first.wait_for()
        assert page.locator("#opening").inner_text() == "example clip"
        assert is_no_wider(opened)


def test_a_dropped_file_is_opened_and_what_is_no_sound_is_told(browser: Any, served: Running) -> None:
    says = ("Failed to load resource",)
    with opening(browser, served, clip=False, says=says) as opened:
        page = opened.page
        drop = """([name, text]) => {
          const held = new DataTransfer();
          const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
          held.items.add(new File([bytes], name));
          document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: held, bubbles: true, cancelable: true }));
        }"""
        page.evaluate(drop, ["bird.wav", base64.b64encode(sound_file()).decode()])
        page.locator("#predictions tbody tr").first.wait_for()
        name, probability = top(opened)
        assert name == "whistle"
        assert probability == pytest.approx(0.95, abs=0.02)
        page.evaluate(drop, ["<img src=x onerror=alert(1)>.txt", base64.b64encode(b"no sound").decode()])
        page.get_by_role("alert").wait_for()
        assert "<img src=x onerror=alert(1)>.txt cannot be read" in page.get_by_role("alert").inner_text()
        # What was open is still there.
        assert top(opened)[0] == "whistle"


def test_the_microphone_is_recorded(browser: Any, served: Running) -> None:
    with opening(browser, served, clip=False) as opened:
        page = opened.page
        page.get_by_role("button", name="Record").click()
        page.get_by_role("button", name="Stop recording (1").wait_for()
        page.get_by_role("button", name="Stop recording").click()
        page.locator("#predictions tbody tr").first.wait_for()
        assert page.locator("#opening").inner_text() == "recording"
        page.get_by_role("button", name="Play").click()
        opened.until(lambda it: len(it.started()) > 0)
        assert np.abs(opened.heard()).max() > 0.1


@pytest.mark.parametrize("size", SIZES)
def test_brushing_moves_the_probabilities_and_is_heard(browser: Any, served: Running, size: str) -> None:
    with opening(browser, served, size) as opened:
        page = opened.page
        before = top(opened)
        page.get_by_role("button", name="Play").click()
        opened.until(lambda it: len(it.started()) > 0)
        pitch = opened.started()[0]["pitch"]
        seen = brush(opened)
        assert len(set(seen)) > 2
        until(opened, lambda: top(opened)[0] == "hum")
        page.locator("#said").get_by_text("was 0.9").wait_for()
        page.locator("#sound-note").get_by_text("without what you brushed").wait_for()
        assert page.get_by_role("radio", name="Erased").is_checked()
        opened.until(lambda it: it.started()[-1]["pitch"] < 0.6 * pitch)
        # What is heard is at most as loud as any sound may be.
        assert 0.01 < np.abs(opened.heard()).max() <= 10 ** (-1 / 20) + 1e-6
        page.get_by_role("button", name="Solo").click()
        until(opened, lambda: top(opened)[0] == "whistle")
        opened.until(lambda it: it.started()[-1]["pitch"] > 1_500)
        page.get_by_role("button", name="Solo").click()
        until(opened, lambda: top(opened)[0] == "hum")
        page.get_by_role("button", name="Invert").click()
        until(opened, lambda: top(opened)[0] == "whistle")
        for _ in range(2):
            page.get_by_role("button", name="Undo").click()
        until(opened, lambda: top(opened) == before)
        assert page.get_by_role("radio", name="Original").is_checked()
        assert is_no_wider(opened)


def test_why_is_answered_with_map_sounds_sentence_and_page(browser: Any, served: Running, tmp_path: Path) -> None:
    with opening(browser, served) as opened:
        page = opened.page
        page.locator("#method").select_option("silence")
        page.get_by_role("button", name="Explain").click()
        page.get_by_role("link", name="Download").wait_for()
        assert "whistle" in page.locator("#heading").inner_text()
        assert "keep at least half of the probability of whistle" in page.locator("#sentence").inner_text()
        assert opened.colours(0)
        page.get_by_role("radio", name="Kept").check()
        page.locator("#sound-note").get_by_text("The most relevant").wait_for()
        page.get_by_role("radio", name="Removed").check()
        page.locator("#sound-note").get_by_text("The sound without its most relevant").wait_for()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download").click()
        download.value.save_as(tmp_path / "page.html")
        assert download.value.suggested_filename == "why-bird.html"
        assert "bird.wav" in (tmp_path / "page.html").read_text(encoding="utf-8")
        # The other class, by a map of its own.
        page.locator("#target-0").select_option("0")
        page.get_by_role("button", name="Explain").click()
        page.get_by_text("Map of hum").wait_for()


def test_an_explanation_can_be_stopped_and_shows_how_far_it_is(browser: Any, waiting: Running) -> None:
    with opening(browser, waiting) as opened:
        page = opened.page
        page.locator("#method").select_option("silence")
        page.get_by_role("button", name="Explain").click()
        page.locator("#doing").get_by_text("Explaining whistle: ").wait_for()
        # What is explained does not change with the choice for the next explanation.
        page.locator("#target-0").select_option("0")
        assert "whistle" in page.locator("#doing").inner_text()
        # The eraser does not wait for it.
        brush(opened)
        until(opened, lambda: top(opened)[0] == "hum")
        assert page.get_by_role("button", name="Stop", exact=True).is_visible()
        page.get_by_role("button", name="Stop", exact=True).click()
        page.locator("#working").wait_for(state="hidden")
        assert page.get_by_role("button", name="Explain").is_enabled()


def test_two_models_are_compared_on_one_clip(browser: Any, compared: Running) -> None:
    with opening(browser, compared) as opened:
        page = opened.page
        assert top(opened, 0)[0] == "whistle"
        assert top(opened, 1)[0] == "other whistle"
        assert page.locator("#panel-1").is_visible()
        # In the second model's picture, where the sound lies between silence.
        brush(opened, 1, height=0.38)
        until(opened, lambda: top(opened, 0)[0] == "hum" and top(opened, 1)[0] == "other hum")
        page.locator("#method").select_option("energy")
        page.get_by_role("button", name="Explain").click()
        page.get_by_role("radio", name="tests/other: other whistle").wait_for()
        assert page.get_by_role("radio", name="tests/other: other whistle").is_checked()
        page.get_by_role("radio", name="tests/bands: whistle").check()
        assert "tests/bands" in page.locator("#heading").inner_text()


def test_everything_can_be_done_with_keys(browser: Any, served: Running) -> None:
    with opening(browser, served) as opened:
        page = opened.page
        page.locator("#clear").focus()
        page.get_by_role("button", name="Solo").focus()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "eraser"
        page.locator("#place").get_by_text("0.30 s").wait_for(state="attached")
        for key in [*["+"] * 9, *["ArrowUp"] * 2]:
            page.keyboard.press(key)
        page.locator("#place").get_by_text("Hz").wait_for(state="attached")
        for _ in range(8):
            page.keyboard.press("Enter")
            page.keyboard.press("ArrowLeft")
        for _ in range(14):
            page.keyboard.press("ArrowRight")
            page.keyboard.press("Enter")
        until(opened, lambda: top(opened)[0] == "hum")
        page.locator("#said").get_by_text("now hum").wait_for()
        page.keyboard.press("s")
        until(opened, lambda: top(opened)[0] == "whistle")
        page.keyboard.press("s")
        page.keyboard.press("i")
        until(opened, lambda: top(opened)[0] == "whistle")
        page.keyboard.press("u")
        until(opened, lambda: top(opened)[0] == "hum")
        page.keyboard.press(" ")
        page.get_by_role("button", name="Pause").wait_for()


def test_a_server_that_has_gone_is_told_and_nothing_is_waited_for(browser: Any, waiting: Running) -> None:
    sockets: list[Any] = []

    def between(socket: Any) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    with opening(browser, waiting, before=lambda page: page.route_web_socket("**/live", between)) as opened:
        page = opened.page
        page.locator("#method").select_option("silence")
        page.get_by_role("button", name="Explain").click()
        page.locator("#working").wait_for()
        sockets[0].close()
        page.get_by_role("alert").get_by_text("connection to the app is lost").wait_for()
        page.locator("#working").wait_for(state="hidden")
        for name in ("Explain", "Record", "Open the example"):
            assert page.get_by_role("button", name=name).is_disabled()
        brush(opened)
        page.get_by_role("alert").get_by_text("connection to the app is lost").wait_for()
        assert top(opened)[0] == "whistle"


def test_of_two_sounds_the_one_that_was_chosen_last_is_open(browser: Any, served: Running) -> None:
    held: list[Any] = []

    def hold_first(route: Any) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    with opening(browser, served, clip=False, before=lambda page: page.route("**/sounds", hold_first)) as opened:
        choose(opened, name="first.wav")
        until(opened, lambda: len(held) == 1)
        choose(opened, name="second.wav")
        opened.page.locator("#opening").get_by_text("second.wav", exact=True).wait_for()
        # The page does not wait for the first one any more.
        held[0].abort()
        opened.page.wait_for_timeout(100)
        assert opened.page.get_by_role("alert").is_hidden()
        assert opened.page.locator("#opening").inner_text() == "second.wav"


def test_of_a_long_sound_the_part_that_was_chosen_last_is_shown_and_can_be_erased(
    browser: Any, served: Running
) -> None:
    with opening(browser, served, clip=False) as opened:
        page = opened.page
        choose(opened, sound_file(31.0), "long.wav")
        page.locator("#predictions tbody tr").first.wait_for()
        parts = page.locator("#window option").all_inner_texts()
        assert parts[0].startswith("0.00–10.00 s: whistle (0.9")
        for index in (1, 0, 2):
            page.locator("#window").select_option(index=index)
        page.locator("#opening").get_by_text("long.wav", exact=True).wait_for()
        assert page.locator("#panel-0 .column-axis .ticks span").first.inner_text() == "10"
        assert page.locator("#window").evaluate("one => one.selectedIndex") == 2
        brush(opened)
        until(opened, lambda: top(opened)[0] == "hum")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_are_the_readers(browser: Any, served: Running, scheme: str) -> None:
    with opening(browser, served, scheme=scheme) as opened:
        colour = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert colour == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}[scheme]
