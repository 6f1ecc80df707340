"""The page as text: whole, self-contained, harmless, and everything in it that was handed over."""

import base64
import itertools
import json
import os
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from helpers import html_documents as made
from PIL import Image

from audioxai.report.html import LARGEST_BYTES, Answer, Document, Parts, Picture, Sounds, page, render, write_report
from audioxai.report.html.pictures import pictures_in
from audioxai.report.html.prose import html_of
from audioxai.utils.errors import UserError
from audioxai.utils.store import MADE_FROM

VOID = {"meta", "link", "input", "img", "br", "hr"}


class Elements(HTMLParser):
    """Elements with their attributes; complains where one is closed that is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"{tag} has an attribute twice"
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def elements(text: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Elements()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    return parser.found


def payload(text: str) -> Any:
    found = re.search(r'<script type="application/json" id="gallery-data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return json.loads(found.group(1))


def visible(text: str) -> str:
    """What stands between tags, without styles and scripts."""
    return re.sub(r"<[^>]+>", " ", re.sub(r"<(style|script).*?</\1>", "", text, flags=re.DOTALL))


@pytest.fixture(scope="module")
def text() -> str:
    return render(made.document())


def test_elements_are_balanced_named_once_and_linked(text: str) -> None:
    found = elements(text)
    names = [attributes["id"] for _, attributes in found if "id" in attributes]
    assert max(Counter(names).values()) == 1
    links = [attributes["href"] for tag, attributes in found if tag == "a"]
    assert links
    assert all(link is not None and link.startswith("#") and link[1:] in names for link in links)
    for _, attributes in found:
        for reference in ("aria-labelledby", "for", "data-filters"):
            assert attributes.get(reference) in (None, *names)
    assert found[0] == ("html", {"lang": "en"})


def test_nothing_is_fetched_from_anywhere(text: str) -> None:
    for tag, attributes in elements(text):
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "srcset", "action", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, value)
    assert "http://" not in text
    assert "https://" not in text
    assert "url(" not in text
    assert "@import" not in text


def test_the_policy_allows_this_pages_style_and_script_alone(text: str) -> None:
    (policy,) = [attributes["content"] for _, attributes in elements(text) if "http-equiv" in attributes]
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)
    assert style is not None
    assert script is not None
    assert page._hash(style.group(1)) in policy
    assert page._hash(script.group(1)) in policy


def test_every_row_and_paragraph_is_there(text: str) -> None:
    table = made.table()
    body = re.search(r"<tbody>(.*?)</tbody>", text, re.DOTALL)
    assert body is not None
    lines = [visible(line).split() for line in body.group(1).split("<tr>")[1:]]
    assert lines == [" ".join(cell.text for cell in row).split() for row in table.rows]
    assert body.group(1).count('data-value="nan"') == 1
    assert "<strong>n/a</strong>" in body.group(1)
    said = visible(text)
    for told in ("How is it?", "And how else?", "What heatmap shows", "STAND-IN", "Where from", "Command"):
        assert told in said
    assert "<strong>In short.</strong> It is <em>well</em>." in text
    assert "--with &lt;care&gt;" in text


def test_hostile_names_stay_text() -> None:
    hostile = made.HOSTILE
    shown = replace(made.clip(hostile), group=hostile)
    answer = Answer(
        "objective1",
        hostile,
        hostile,
        paragraphs=[f"**In short.** {hostile} [click](javascript:alert(1)) ![x](http://a)"],
        caveats=[hostile],
        tables=[replace(made.table(), title=hostile, note=hostile)],
        pictures=[Picture("name", hostile, made.picture().content)],
        provenance={hostile: hostile},
    )
    text = render(Document(hostile, [answer], {hostile: hostile}, [shown], {hostile: f"# {hostile}"}))
    found = elements(text)
    plain = elements(render(replace(made.document((made.clip("x"),)), answers=[made.document().answers[0]])))
    assert Counter(tag for tag, _ in found)["script"] == Counter(tag for tag, _ in plain)["script"] == 2
    assert next(attributes["src"] for tag, attributes in found if tag == "img") != "x"
    assert Counter(tag for tag, _ in found)["img"] == 1
    assert not any("onerror" in attributes for _, attributes in found)
    assert not any(str(attributes.get("href")).startswith("javascript") for _, attributes in found)
    assert payload(text)["clips"][0]["title"] == hostile
    assert payload(text)["clips"][0]["group"] == hostile


def test_markdown_makes_no_html_links_or_styles() -> None:
    text = html_of("<b>x</b> <script>y</script>\n\n| a |\n| --: |\n| [b](http://c) |\n\n<div onclick=z>\n")
    assert {tag for tag, _ in elements(text)} == {"p", "table", "thead", "tbody", "tr", "th", "td"}
    assert all(attributes == {} for _, attributes in elements(text))


def test_maps_and_levels_can_be_read_back(text: str) -> None:
    clip = made.clip("digit 1")
    packed = payload(text)["clips"][0]
    assert [method["name"] for method in packed["methods"]] == ["Silence IG", "Dual IG", "Random (control)"]
    assert packed["opening"] == [0, 1]
    levels = np.frombuffer(base64.b64decode(packed["levels"]), np.uint8).reshape(packed["shape"])
    np.testing.assert_allclose(-80.0 + 80.0 * levels / 255.0, clip.overlay.inputs, atol=80.0 / 255.0 / 2 + 1e-9)
    for method, shown in zip(clip.overlay.attributions.values(), packed["methods"], strict=True):
        values = np.frombuffer(base64.b64decode(shown["map"]), np.int8).reshape(packed["shape"])
        np.testing.assert_array_equal(values, 127 * method)
    assert packed["methods"][0]["note"] == "ΔF = 2.500, gap 0.4 %"
    assert packed["upwards"]
    assert not payload(text)["clips"][2]["upwards"]


def test_sounds_can_be_read_back(text: str) -> None:
    packed = payload(text)["clips"][0]
    for stored, told in ((packed["original"], 200.0), (packed["methods"][1]["kept"], 450.0)):
        samples, rate_hz = soundfile.read(BytesIO(base64.b64decode(stored)))
        assert rate_hz == made.RATE_HZ
        np.testing.assert_allclose(samples, made.tone(told), atol=2**-16 + 1e-9)
    assert payload(text)["clips"][2]["original"] is None
    assert payload(text)["clips"][2]["methods"][0]["kept"] is None


def test_ticks_lie_where_their_cells_are(text: str) -> None:
    packed = payload(text)["clips"][0]
    time = packed["columns"]
    assert time["first"] == 0.0
    assert time["step"] == pytest.approx(0.1)
    for place, label in time["ticks"]:
        assert place == pytest.approx((float(label) / 0.1 + 0.5) / made.COLUMNS)
    pitches = np.linspace(100.0, 3900.0, made.ROWS)
    for place, label in packed["rows"]["ticks"]:
        hertz = float(label.replace("k", "e3"))
        assert np.interp(place * made.ROWS - 0.5, np.arange(made.ROWS), pitches) == pytest.approx(hertz)
    places = [place for place, _ in packed["rows"]["ticks"]]
    assert all(later - earlier >= 0.07 for earlier, later in itertools.pairwise(places))


def test_pictures_lose_nothing(text: str) -> None:
    (found,) = [attributes for tag, attributes in elements(text) if tag == "img"]
    assert (found["width"], found["height"], found["alt"]) == ("30", "20", "Figure 1, described below")
    kind, content = str(found["src"]).split(",")
    assert kind == "data:image/webp;base64"
    with Image.open(BytesIO(base64.b64decode(content))) as image:
        assert (np.asarray(image.convert("RGB")) == 200).all()


def test_what_is_not_there_is_said_or_left_out() -> None:
    question = Answer("objective2", "Research question 2", "How?", remedy="python that.py")
    text = render(Document("A report", [question]))
    assert "Not answered yet: run python that.py." in visible(text)
    names = [attributes.get("id") for _, attributes in elements(text)]
    assert "gallery" not in names
    assert "objective2" not in names


def test_the_same_document_gives_the_same_page(text: str, tmp_path: Path) -> None:
    assert render(made.document()) == text
    written = write_report(made.document(), tmp_path / "new" / "report.html")
    assert written.read_text(encoding="utf-8") == text


def test_a_report_that_cannot_be_passed_around_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2000, 2000, 3), dtype=np.uint8)
    content = BytesIO()
    Image.fromarray(noise).save(content, "PNG", compress_level=1)
    large = replace(made.document().answers[0], pictures=[Picture("noise", "Noise", content.getvalue())])
    with pytest.raises(UserError, match=r"would have 1\d\.\d MiB .* show fewer clips or methods"):
        write_report(Document("Large", [large]), tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()
    assert LARGEST_BYTES == 10 * 1024 * 1024


def test_maps_and_sounds_that_do_not_fit_are_refused() -> None:
    clip = made.clip("digit 1")
    wrong = replace(clip, overlay=replace(clip.overlay, attributions={"silence": np.zeros((2, 2))}))
    with pytest.raises(UserError, match=r"the map of silence has shape \(2, 2\) but digit 1 has \(8, 13\)"):
        render(made.document((wrong,)))
    for peak in (1.5, float("nan")):
        sounds = Sounds(made.RATE_HZ, made.tone(200.0), {"dual": Parts(made.tone(1.0, peak), made.tone(2.0))})
        with pytest.raises(UserError, match="a sound of digit 1 peaks at"):
            render(made.document((replace(clip, sounds=sounds),)))


def test_pictures_are_the_captioned_ones_where_there_are_any(tmp_path: Path) -> None:
    content = made.picture().content
    for place in ("objective1/heatmap_audio", "objective1/odd_one", "thesis/o2_cost", "thesis/o2_cost_column"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / f"{place}.png").write_bytes(content)
    (tmp_path / "thesis/o2_cost.caption.txt").write_text("What it costs.\n", encoding="utf-8")
    summary = tmp_path / "summary.json"
    first, second = (pictures_in(tmp_path, name, summary) for name in ("objective1", "objective2"))
    assert [(one.name, one.caption) for one in second] == [("o2_cost", "What it costs.")]
    assert [one.name for one in first] == ["heatmap_audio", "odd_one"]
    assert first[0].caption.startswith("Scores of every method by every metric on audio")
    assert first[1].caption == "Odd one"
    (tmp_path / "objective1" / MADE_FROM).write_text("hash\n/elsewhere/odd_one.png\n/elsewhere/odd_one.pdf\n", "utf-8")
    assert [one.name for one in pictures_in(tmp_path, "objective1", summary)] == ["odd_one"]
    assert pictures_in(tmp_path / "nowhere", "objective1", summary) == []


def test_pictures_for_a_thesis_that_are_older_than_the_answer_stay_out(tmp_path: Path) -> None:
    content, summary = made.picture().content, tmp_path / "objective2.json"
    for place in ("objective2/ground_truth", "thesis/o2_cost"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / f"{place}.png").write_bytes(content)
    summary.write_text("{}", encoding="utf-8")
    for seconds, expected in ((100, "ground_truth"), (0, "o2_cost")):
        answered = (tmp_path / "thesis/o2_cost.png").stat().st_mtime_ns + seconds * 10**9
        os.utime(summary, ns=(answered, answered))
        assert [one.name for one in pictures_in(tmp_path, "objective2", summary)] == [expected]
