"""Pages in Chromium, from ``file://``: what they show, which sounds they start, what they say and ask for."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
# Every sound that is started, with the place where it starts and its pitch by its rising zero crossings.
LISTEN = """
window.started = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when, offset) {
  const samples = this.buffer.getChannelData(0);
  let crossings = 0;
  for (let i = 1; i < samples.length; i++) crossings += samples[i - 1] < 0 && samples[i] >= 0;
  const pitch = crossings / this.buffer.duration;
  window.heard = samples;
  window.started.push({ offset, loop: this.loop, pitch, at: this.context.currentTime });
  return start.call(this, when, offset);
};
"""


@dataclass
class Opened:
    """A page, what it said on the console and what it asked for."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def place(self) -> float:
        """Seconds into the sound, as the page shows them."""
        return float(self.page.locator("#time").inner_text().split(" / ")[0])

    def until(self, condition: Callable[["Opened"], bool]) -> None:
        """Wait; the page's policy keeps the driver from evaluating conditions in it."""
        for _ in range(500):
            if condition(self):
                return
            self.page.wait_for_timeout(10)
        raise AssertionError(f"it did not come to that; the page shows {self.page.locator('#time').inner_text()}")

    def started(self) -> list[dict[str, Any]]:
        return self.page.evaluate("window.started")

    def heard(self) -> list[float]:
        """Samples of the sound that was started last."""
        return self.page.evaluate("Array.from(window.heard)")

    def playhead(self, plot: str) -> float:
        """Where the line stands, as a share of the width of what it crosses."""
        head = self.page.locator(f"{plot} .playhead").evaluate("one => one.style.left")
        return float(head.removesuffix("%")) / 100

    def colours(self, panel: int) -> list[list[int]]:
        """Every pixel of a map that is not grey."""
        return self.page.locator(f"#panel-{panel} canvas[role=img]").evaluate(
            """canvas => {
              const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
              const found = [];
              for (let i = 0; i < data.length; i += 4) {
                const pixel = [data[i], data[i + 1], data[i + 2]];
                if (Math.max(...pixel) - Math.min(...pixel) > 8) found.push(pixel);
              }
              return found;
            }"""
        )


def executable() -> str | None:
    """Place of a browser on this machine."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def opening(
    browser: Any, report: Path, size: tuple[int, int], scheme: str = "light", shows: str = "#panel-0 canvas"
) -> Iterator[Opened]:
    """A page in a fresh, offline browser; afterwards: nothing was said and nothing asked for."""
    width, height = size
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, offline=True)
    context.set_default_timeout(5_000)
    context.add_init_script(LISTEN)
    opened = Opened(context.new_page())
    # Tests read pixels, of which Chromium says that it could be faster.
    opened.page.on("console", lambda one: None if "willReadFrequently" in one.text else opened.said.append(one.text))
    opened.page.on("pageerror", lambda error: opened.said.append(str(error)))
    opened.page.on("request", lambda request: opened.asked.append(request.url))
    opened.page.goto(report.as_uri())
    opened.page.locator(shows).wait_for()
    yield opened
    asked = [address for address in opened.asked if not address.startswith("data:")]
    context.close()
    assert opened.said == []
    assert asked == [report.as_uri()]
