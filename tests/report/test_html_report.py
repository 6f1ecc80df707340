"""The page as text: whole, self-contained, harmless, and everything in it that was handed over."""

import base64
import itertools
import re
from collections import Counter
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from helpers import html_documents as made
from helpers.page_elements import elements, payload_of, policy_of, visible
from helpers.synthetic_results import audio_cell, image_cell, result_set
from helpers.synthetic_rows import make_rows
from PIL import Image

from audioxai.report.canvas import new_figure, rendered
from audioxai.report.document import Block, Bullets, Document, Figure, Paragraph, Section
from audioxai.report.gallery import Parts, Sounds
from audioxai.report.render.html.page import Unanswered, render, write_page, write_report
from audioxai.report.render.html.prose import html_of
from audioxai.report.render.html.shell import hash_of
from audioxai.utils.errors import UserError


def payload(text: str) -> Any:
    return payload_of(text, "gallery-data")


@pytest.fixture(scope="module")
def text() -> str:
    return made.page().text()


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
    policy = policy_of(text)
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)
    assert style is not None
    assert script is not None
    assert hash_of(style.group(1)) in policy
    assert hash_of(script.group(1)) in policy


def test_every_row_and_paragraph_is_there(text: str) -> None:
    table = made.table()
    body = re.search(r"<tbody>(.*?)</tbody>", text, re.DOTALL)
    assert body is not None
    lines = [visible(line).split() for line in body.group(1).split("<tr>")[1:]]
    assert lines == [" ".join(cell.text for cell in row).split() for row in table.rows]
    assert body.group(1).count('data-value="nan"') == 1
    assert "<strong>n/a</strong>" in body.group(1)
    said = visible(text)
    for words in ("How is it?", "And how else?", "What the heat map shows", "STAND-IN", "Where from", "Command"):
        assert words in said
    assert "<strong>Use</strong> it: it is <em>well</em>." in text
    assert "--with &lt;care&gt;" in text
    assert text.count("[0, 9]</span>") == len(table.rows) - 1


def test_hostile_names_stay_text() -> None:
    hostile = made.HOSTILE
    shown = replace(made.clip(hostile), group=hostile)
    link = f"**In short.** {hostile} [click](javascript:alert(1)) ![x](http://a)"
    blocks: list[Block] = [Paragraph(link), Bullets((link,)), replace(made.table(), title=hostile, caption=hostile)]
    document = Document(
        "objective1",
        hostile,
        hostile,
        [Section("answer", hostile, [*blocks, made.picture(caption=hostile)])],
        {hostile: hostile},
        {},
        {hostile: hostile},
    )
    text = render(hostile, [document], [shown], [replace(document, name="card", sections=[])])
    found = elements(text)
    assert Counter(tag for tag, _ in found)["script"] == 2
    assert Counter(tag for tag, _ in found)["img"] == 1
    assert next(attributes["src"] for tag, attributes in found if tag == "img") != "x"
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
    assert (found["width"], found["height"], found["alt"]) == ("1380", "100", "Heat map: described below")
    kind, content = str(found["src"]).split(",")
    assert kind == "data:image/webp;base64"
    with Image.open(BytesIO(base64.b64decode(content))) as image:
        assert (np.asarray(image.convert("RGB")) == 200).all()
    assert rendered(made.picture())["png"] == rendered(made.picture())["png"]


def test_what_is_not_there_is_said_or_left_out() -> None:
    text = render("A report", [], unanswered=[Unanswered("Objective 2", "How?", "python that.py")])
    assert "Not answered yet: run python that.py." in visible(text)
    names = [attributes.get("id") for _, attributes in elements(text)]
    assert "gallery" not in names
    assert "objective2" not in names


def test_results_with_their_document_give_gallery_and_cards(tmp_path: Path) -> None:
    results = result_set(make_rows(samples=2), cells=(audio_cell(tmp_path), image_cell(tmp_path)))
    document = replace(made.first_document(), shown=("integrated_gradients", "saliency"))
    written = write_report([(results, document)], tmp_path / "report.html", clips=2)
    text = written.read_text(encoding="utf-8")
    clips = payload(text)["clips"]
    assert [clip["title"] for clip in clips[:2]] == [
        "class 7, speaker theo, predicted 7",
        "class 3, speaker theo, predicted 3",
    ]
    assert len(clips) == 4
    opened = [clips[0]["methods"][place]["name"] for place in clips[0]["opening"]]
    assert opened == ["Integrated Gradients", "Saliency"]
    assert all(method["kept"] for clip in clips[:2] for method in clip["methods"])
    names = [attributes.get("id") for _, attributes in elements(text)]
    assert {"objective1", "model_card", "data_card", "gallery"} <= set(names)
    alone = write_report([(replace(results, models=()), document)], tmp_path / "alone.html", clips=0)
    assert "model_card" not in alone.read_text(encoding="utf-8")


def test_the_same_documents_give_the_same_page(text: str, tmp_path: Path) -> None:
    again = made.page()
    written = write_page(tmp_path / "new" / "report.html", again.title, again.documents, again.clips, again.cards)
    assert written.read_text(encoding="utf-8") == text


def test_a_report_that_cannot_be_passed_around_is_refused(tmp_path: Path) -> None:
    def noise(width_inches: float) -> Any:
        figure = new_figure(9.0, width_inches)
        axes = figure.subplots()
        axes.imshow(np.random.default_rng(0).uniform(size=(1800, 1380, 3)), aspect="auto", interpolation="nearest")
        return figure

    blocks = [Figure(f"noise_{place}", "Noise", "Noise.", noise) for place in range(2)]
    large = Document("large", "Large", "", [Section("answer", "Answer", blocks)])
    with pytest.raises(UserError, match=r"would have \d\d\.\d MiB .* show fewer clips or methods"):
        write_page(tmp_path / "report.html", "Large", [large])
    assert not (tmp_path / "report.html").exists()


def test_maps_and_sounds_that_do_not_fit_are_refused() -> None:
    clip = made.clip("digit 1")
    wrong = replace(clip, overlay=replace(clip.overlay, attributions={"silence": np.zeros((2, 2))}))
    with pytest.raises(UserError, match=r"the map of silence has shape \(2, 2\) but digit 1 has \(8, 13\)"):
        made.page((wrong,)).text()
    for peak in (1.5, float("nan")):
        sounds = Sounds(made.RATE_HZ, made.tone(200.0), {"dual": Parts(made.tone(1.0, peak), made.tone(2.0))})
        with pytest.raises(UserError, match="a sound of digit 1 peaks at"):
            made.page((replace(clip, sounds=sounds),)).text()
