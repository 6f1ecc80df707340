"""The page of a clip as text: whole, self-contained, harmless, and with everything that the explanation holds."""

import base64
import html
import json
import re
import zlib
from collections import Counter
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from helpers import explained as made
from helpers.page_elements import elements, payload_of, policy_of, visible

from audioxai.domains import Domain, ErbBands, LogMel, Mask, Pixels, Stft, Waveform, matching_stft
from audioxai.explanation import Explanation
from audioxai.listening import kept_from_percent
from audioxai.report.clip import Entry, frame_of, index_of, page_of, write_page
from audioxai.report.clip.packing import packed_timeline
from audioxai.report.clip.pictures import Canvas, shortest_span
from audioxai.report.clip.words import hertz, isolated, probability_text, seconds, settings_text, where
from audioxai.report.render.html.shell import hash_of
from audioxai.utils.errors import UserError

LARGEST_BYTES = 3 * 10**6
DOMAINS: tuple[Domain, ...] = (
    Mask.of(made.RATE_HZ, made.WINDOW_S),
    Mask.of(made.RATE_HZ, made.WINDOW_S, scale="erb"),
    LogMel(made.RATE_HZ, made.WINDOW_S, bands=40, frames=30),
    Stft(made.RATE_HZ, made.WINDOW_S),
    ErbBands(made.RATE_HZ, made.WINDOW_S),
    Waveform(made.RATE_HZ, made.WINDOW_S),
)
EVERY_DOMAIN = pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: f"{domain.name}-{domain.shape[0]}")


@pytest.fixture(scope="module")
def clip() -> Explanation:
    return made.explained(alternatives=(0, 2), notes=("the channels are partly in opposite phase",))


@pytest.fixture(scope="module")
def text(clip: Explanation) -> str:
    return page_of(clip)


@pytest.fixture(scope="module")
def long() -> Explanation:
    return made.of_long_recording()


def in_domain(domain: Domain, attributions: torch.Tensor) -> Explanation:
    """The clip with a map of a domain."""
    base = made.explained(trusted=False)
    inputs = domain.analysis(base.waveform)
    return replace(base, domain=domain, attributions=attributions, inputs=inputs.abs())


def bytes_of(text: str, kind: Any = np.uint8) -> Any:
    return np.frombuffer(base64.b64decode(text), kind)


def kept_from(packed: dict[str, Any], stft: dict[str, int]) -> Any:
    """What the script makes of the packed differences."""
    differences = np.frombuffer(zlib.decompress(base64.b64decode(packed["keptFrom"])), np.uint8)
    return np.cumsum(differences.reshape(stft["bins"], stft["frames"]), axis=1, dtype=np.uint8)


def test_every_kind_of_page_is_well_formed_and_fetches_nothing(clip: Explanation, long: Explanation) -> None:
    untrusted = replace(clip, trust=None, alternatives=())
    many = made.explained(made.model_of(activation="sigmoid"))
    for one in (clip, long, untrusted, many):
        page = page_of(one)
        found = elements(page)
        names = [attributes["id"] for _, attributes in found if "id" in attributes]
        assert max(Counter(names).values()) == 1
        for tag, attributes in found:
            assert "style" not in attributes
            assert not any(name.startswith("on") for name in attributes)
            for name in ("src", "href", "srcset", "action", "data"):
                value = attributes.get(name)
                assert value is None or value.startswith(("#", "data:")), (tag, value)
            for reference in ("aria-labelledby", "for", "data-filters"):
                assert attributes.get(reference) in (None, *names)
            if tag == "a":
                assert str(attributes["href"])[1:] in names
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)
        assert "url(" not in page
        assert "@import" not in page
        style, script = (re.search(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL) for tag in ("style", "script"))
        assert style is not None
        assert script is not None
        policy = policy_of(page)
        assert hash_of(style.group(1)) in policy
        assert hash_of(script.group(1)) in policy
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


def test_the_same_explanation_gives_the_same_page(clip: Explanation, text: str) -> None:
    assert page_of(clip) == text


def test_the_page_says_what_the_explanation_holds(clip: Explanation, text: str) -> None:
    said = html.unescape(visible(text))
    assert clip.trust is not None
    for words in (
        "You can rely on this explanation",
        clip.trust.sentence,
        "the channels are partly in opposite phase",
        "tests/bands",
        "0123abcd",
        "audioxai explain bird.wav --model tests/bands",
        "Silence IG",
        f"8 for the explanation, {clip.trust.passes} for trust",
        "Midpoint(steps=8)",
    ):
        assert words in said, words
    # The answer comes before the pictures, and the numbers after them.
    places = [text.index(f'id="{name}"') for name in ("answer", "clip", "trust", "made")]
    assert places == sorted(places)
    table = re.search(r'id="scores-0".*?<tbody>(.*?)</tbody>', text, re.DOTALL)
    assert table is not None
    values = [float(one) for one in re.findall(r'data-value="([^"]+)"', table.group(1))]
    np.testing.assert_allclose(values, clip.trust.scores[["silence", "noise", "worse"]].to_numpy().ravel())


def test_predictions_are_all_there_with_their_probabilities(clip: Explanation, text: str) -> None:
    rows = re.findall(r'<tr(?: class="(explained)")?>\s*<th scope="row"><bdi>(.*?)</bdi></th>\s*<td>(.*?)</td>', text)
    assert [(name, html.unescape(told)) for _, name, told in rows] == [
        ("whistle", "0.95"),
        ("hum", "0.05"),
        ("silence", "< 0.01"),
        ("hiss", "< 0.01"),
    ]
    assert [name for mark, name, _ in rows if mark] == ["whistle", "hum", "hiss"]
    widths = [float(one) for one in re.findall(r'<rect width="([^"]+)"', text)]
    np.testing.assert_allclose(widths, sorted(100 * clip.probabilities.numpy(), reverse=True), atol=0.006)
    many = page_of(made.explained(made.model_of(activation="sigmoid"), trusted=False))
    assert "Labels do not exclude each other" in many
    assert "Labels do not exclude each other" not in text
    one = replace(clip, logits=torch.tensor([0.85]), target=0, prediction=0, alternatives=(), trust=None)
    single = page_of(replace(one, model=made.model_of(("similarity",))))
    assert "The model gives one score, +0.850; the probability is its sigmoid." in single
    assert "1, a sigmoid for each" in single


def test_rare_classes_are_counted_and_explained_ones_shown() -> None:
    names = tuple(f"class {place}" for place in range(40))
    base = made.explained(trusted=False)
    logits = torch.linspace(3.0, -3.0, 40)
    several = replace(base, model=made.model_of(names), logits=logits, target=39, prediction=0)
    page = page_of(several)
    shown = re.findall(r'<th scope="row"><bdi>(class \d+)</bdi>', page)
    assert shown == [*names[:6], "class 39"]
    assert "33 less likely classes left out" in page


def test_pictures_and_orders_can_be_read_back(clip: Explanation, text: str) -> None:
    (view,) = payload_of(text, "clip-data")["views"]
    stft = matching_stft(clip.domain)
    assert view["stft"] == {
        "windowLength": stft.window_length,
        "hopLength": stft.hop_length,
        "samples": stft.samples,
        "bins": stft.shape[0],
        "frames": stft.shape[1],
    }
    assert len(bytes_of(view["levels"])) == np.prod(view["shape"])
    assert [one["name"] for one in view["classes"]] == ["whistle", "hum", "hiss"]
    # One scale for all classes: the largest relevance of any of them fills it, smaller ones do not.
    sizes = [int(np.abs(bytes_of(one["map"], np.int8).astype(int)).max()) for one in view["classes"]]
    assert max(sizes) == 127
    assert min(sizes) < 100
    for one, packed in zip((clip, *clip.alternatives), view["classes"], strict=True):
        found = kept_from(packed, view["stft"])
        np.testing.assert_array_equal(found, kept_from_percent(one.attributions, one.domain))
        for percent in (5, 20, 61, 100):
            mask = torch.from_numpy((found <= percent).astype(np.float32))[None, None]
            sound = stft.synthesis(stft.analysis(one.waveform) * mask)
            torch.testing.assert_close(sound, one.kept(percent / 100))
        assert one.trust is not None
        assert one.trust.curves is not None
        np.testing.assert_allclose(packed["curves"]["kept"], one.trust.curves["kept"], atol=1e-5)


def test_the_slider_opens_where_the_decision_is_kept(clip: Explanation) -> None:
    assert clip.trust is not None
    for share, percent in ((None, 20), (0.001, 5), (0.2501, 26), (1.0, 100)):
        page = page_of(replace(clip, trust=replace(clip.trust, kept_share=share), alternatives=()))
        assert payload_of(page, "clip-data")["views"][0]["percent"] == percent


@EVERY_DOMAIN
def test_a_map_lies_where_its_sound_is(domain: Domain) -> None:
    """One relevant cell is drawn over the time and the frequency that it stands for."""
    axes = domain.axes()
    relevance = torch.zeros(1, 1, *domain.shape)
    column = 2 * domain.shape[-1] // 3
    if len(domain.shape) == 1:
        relevance[0, 0, column] = 1.0
    else:
        row = domain.shape[0] // 2
        relevance[0, 0, row, column] = 1.0
    one = in_domain(domain, relevance)
    canvas = Canvas.of(one)
    placed = canvas.map_of(one)
    rows, columns = placed.values.shape
    left, top, right, bottom = placed.extent
    best_row, best_column = np.unravel_index(placed.values.argmax(), placed.values.shape)
    time_s = (left + (best_column + 0.5) / columns * (right - left)) * made.WINDOW_S
    assert time_s == pytest.approx(axes[-1].coordinates[column], abs=0.02)
    if len(domain.shape) == 1:
        return
    place = 1.0 - (bottom - (best_row + 0.5) / rows * (bottom - top))
    frequency_hz = float(canvas.scale[1](np.array(place * canvas.top)))
    due_hz = axes[0].coordinates[row]
    assert frequency_hz == pytest.approx(due_hz, abs=1.5 * abs(axes[0].coordinates[row + 1] - due_hz))


@EVERY_DOMAIN
def test_every_domain_of_sound_has_a_page(domain: Domain) -> None:
    relevance = torch.randn(1, 1, *domain.shape, generator=torch.Generator().manual_seed(0))
    page = page_of(in_domain(domain, relevance))
    (view,) = payload_of(page, "clip-data")["views"]
    assert kept_from(view["classes"][0], view["stft"]).min() == 1
    assert elements(page)


def test_levels_are_those_of_the_recording(clip: Explanation) -> None:
    canvas = Canvas.of(clip)
    levels, (low, high) = canvas.levels(clip.waveform)
    whistle_row = int(np.abs(canvas.rows_hz - 2_000).argmin())
    times = (np.arange(canvas.columns) + 0.5) / canvas.columns * made.WINDOW_S
    heard = levels[whistle_row, (times > 0.22) & (times < 0.38)]
    # Amplitude 0.2, read between bins of a Hann window: at most 1.5 dB lost.
    np.testing.assert_allclose(heard, 20 * np.log10(0.2), atol=1.5)
    assert levels[whistle_row, times < 0.15].max() < -60.0
    assert high - low == pytest.approx(70.0)
    assert high >= levels.max()


def test_ticks_are_round_and_in_place(long: Explanation) -> None:
    packed = payload_of(page_of(long), "clip-data")
    for view in packed["views"]:
        for place, label in view["columns"]["ticks"]:
            assert view["startS"] + place * made.WINDOW_S == pytest.approx(float(label))
        canvas = Canvas.of(long)
        for place, label in view["rows"]["ticks"]:
            hertz_of_tick = float(label.replace("k", "e3"))
            assert float(canvas.scale[0](np.array(hertz_of_tick))) / canvas.top == pytest.approx(place, abs=0.01)
    assert [float(label) for _, label in packed["timeline"]["columns"]["ticks"]] == [0, 0.5, 1, 1.5, 2, 2.5, 3]


def test_where_it_lies_is_said() -> None:
    explanation = made.explained(trusted=False)
    told = re.findall(r"\d+(?:\.\d+)?", where(explanation, 0.0))
    share, start_s, end_s, low_khz, high_khz = (float(number) for number in told)
    assert share == 80
    assert made.WHISTLE_S[0] - 0.02 <= start_s < end_s <= made.WHISTLE_S[1] + 0.02
    assert low_khz < 2.0 < high_khz
    assert "Nothing" in where(replace(explanation, attributions=-torch.ones_like(explanation.attributions)), 0.0)
    later = f"between {100 + start_s:.2f} and {100 + end_s:.2f} s"
    assert later in where(explanation, 100.0)
    whole = replace(explanation, start_s=100.0, alternatives=(explanation,))
    (view,) = payload_of(page_of(whole), "clip-data")["views"]
    assert all(later in one["where"] for one in view["classes"])


def test_the_shortest_span_is_the_shortest() -> None:
    """Against all pairs of ends."""
    random = np.random.default_rng(0)
    for _ in range(50):
        weights = random.exponential(size=12) * (random.uniform(size=12) > 0.3)
        if not weights.any():
            continue
        first, last = shortest_span(weights, 0.8)
        lengths = [
            after - before
            for before in range(12)
            for after in range(before + 1, 13)
            if weights[before:after].sum() >= 0.8 * weights.sum() - 1e-12
        ]
        assert last + 1 - first == min(lengths)
        assert weights[first : last + 1].sum() >= 0.8 * weights.sum() - 1e-12


def test_windows_are_in_order_and_the_main_one_is_open(long: Explanation) -> None:
    page = page_of(replace(long, windows=long.windows[::-1]))
    packed = payload_of(page, "clip-data")
    assert [view["startS"] for view in packed["views"]] == [0.0, 0.6, 1.2]
    assert packed["opened"] == 1
    shown = re.findall(r'class="answer view" data-view="(\d)" data-span="([^"]+)"( hidden)?', page)
    assert shown == [("0", "0.00–0.60 s", " hidden"), ("1", "0.60–1.20 s", ""), ("2", "1.20–1.80 s", " hidden")]


def test_predictions_over_time_keep_their_peaks(long: Explanation) -> None:
    """An hour of windows is drawn with fewer columns, of which none hides the likeliest window."""
    assert long.timeline is not None
    probabilities = torch.full((7_199, 4), 0.01)
    probabilities[4_321, 2] = 0.9
    starts_s = torch.arange(7_199, dtype=torch.float64) / 2
    hour = replace(long.timeline, starts_s=starts_s, window_s=1.0, probabilities=probabilities, recording_s=3_600.0)
    packed = packed_timeline([long], hour)
    levels = bytes_of(packed["levels"]).reshape(packed["shape"])
    assert packed["shape"][1] <= 1_200
    row = packed["names"].index("hiss")
    column = int(levels[row].argmax())
    assert levels[row, column] == pytest.approx(0.9 * 255, abs=1)
    left, right = packed["extentS"]
    place_s = left + (column + 0.5) / packed["shape"][1] * (right - left)
    assert place_s == pytest.approx(4_321 / 2 + 0.5, abs=3.0)
    assert packed["best"][4_321] == ["hiss", "0.90"]
    assert [label for _, label in packed["columns"]["ticks"]] == [
        "0:00",
        "10:00",
        "20:00",
        "30:00",
        "40:00",
        "50:00",
        "60:00",
    ]


def test_hostile_names_stay_text() -> None:
    names = (made.HOSTILE, made.HOSTILE + "2", "]]><!--", "\u2028${1}`")
    hostile = made.model_of(
        names, name=made.HOSTILE, revision=made.HOSTILE, gradient=False, gradient_refused=made.HOSTILE
    )
    explanation = made.explained(hostile, alternatives=(0,), source=made.HOSTILE, notes=(made.HOSTILE,))
    page = page_of(replace(explanation, command=made.HOSTILE))
    counts = Counter(tag for tag, _ in elements(page))
    assert counts["script"] == 2
    assert counts["img"] == counts["b"] == 0
    assert made.HOSTILE in html.unescape(visible(page))
    packed = payload_of(page, "clip-data")
    assert made.HOSTILE in packed["views"][0]["classes"][1]["name"]
    index = index_of([Entry(made.HOSTILE, made.HOSTILE, made.HOSTILE, 0.5, "javascript:alert(1)//<x>")], {"<b>": "<i>"})
    found = elements(index)
    assert Counter(tag for tag, _ in found)["script"] == 1
    assert "javascript%3Aalert%281%29//%3Cx%3E" in [attributes.get("href") for _, attributes in found]


def test_names_from_right_to_left_leave_the_rest_alone() -> None:
    for name in ("שלום", "a\u202eb", "\u2066x"):
        assert isolated(name) == f"\u2068{name}\u2069"
    for name in ("dog", "naïve 7 (x) – ü", "犬"):
        assert isolated(name) == name


def test_a_page_of_ten_seconds_can_be_passed_around() -> None:
    """The worst case: noise at 44.1 kHz, which FLAC does not compress, with two classes."""
    noise = torch.rand(1, 1, 441_000, generator=torch.Generator().manual_seed(0)) - 0.5
    explanation = made.explained(made.model_of(rate_hz=44_100), noise, method="energy", trusted=False)
    page = page_of(replace(explanation, alternatives=(explanation,)))
    assert len(page.encode()) < LARGEST_BYTES


def test_a_loud_clip_is_stored_within_full_scale() -> None:
    loud = 4.0 * made.recording() / made.recording().abs().max()
    (view,) = payload_of(page_of(made.explained(waveform=loud, trusted=False)), "clip-data")["views"]
    samples, rate_hz = soundfile.read(BytesIO(base64.b64decode(view["sound"])))
    assert rate_hz == made.RATE_HZ
    np.testing.assert_allclose(samples, loud[0, 0].numpy() / 4.0, atol=1e-4)


def test_a_frame_holds_the_page_and_nothing_else(clip: Explanation, text: str) -> None:
    ((tag, attributes),) = elements(frame_of(clip))
    assert tag == "iframe"
    assert attributes["srcdoc"] == text
    assert attributes["sandbox"] == "allow-scripts"


def test_everything_is_written_beside_the_page(clip: Explanation, text: str, tmp_path: Path) -> None:
    written = write_page(clip, tmp_path / "new")
    assert [path.name for path in written] == [
        "index.html",
        "explanation.png",
        "explanation.json",
        "explanation.npz",
        "original.wav",
        "kept.wav",
        "removed.wav",
    ]
    assert written[0].read_text(encoding="utf-8") == text
    sounds = [soundfile.read(path)[0] for path in written[4:]]
    np.testing.assert_allclose(sounds[0], clip.waveform[0, 0].numpy(), atol=2**-22)
    np.testing.assert_allclose(sounds[1] + sounds[2], sounds[0], atol=2**-22)
    facts = json.loads(written[2].read_text(encoding="utf-8"))
    share = facts["kept_share_of_sounds"]
    np.testing.assert_allclose(sounds[1], clip.kept(share)[0, 0].numpy(), atol=2**-22)
    assert facts["target"] == "whistle"
    np.testing.assert_allclose(facts["map"], clip.attributions[0, 0].numpy(), rtol=1e-6)
    assert [axis["unit"] for axis in facts["axes"]] == ["Hz", "s"]
    assert [len(axis["coordinates"]) for axis in facts["axes"]] == list(clip.domain.shape)
    with np.load(written[3], allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["attributions"], clip.attributions[0, 0].numpy())
    before = [path.read_bytes() for path in written]
    assert [path.read_bytes() for path in write_page(clip, tmp_path / "new")] == before


def test_sounds_beyond_full_scale_still_add_up(tmp_path: Path) -> None:
    loud = 3.0 * made.recording() / made.recording().abs().max()
    written = write_page(made.explained(waveform=loud, trusted=False), tmp_path)
    original, kept, removed = (soundfile.read(path)[0] for path in written[4:])
    assert np.abs(original).max() <= 1.0
    np.testing.assert_allclose(kept + removed, original, atol=2**-22)


def test_a_map_of_no_sound_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    pixels = Pixels(8, 8)
    base = made.explained(trusted=False)
    wrong = replace(base, domain=pixels, attributions=torch.ones(1, 1, 8, 8))
    with pytest.raises(UserError, match="pixels cannot be listened to"):
        write_page(wrong, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_index_lists_what_the_facts_say(clip: Explanation) -> None:
    facts = json.loads(json.dumps(clip.facts()))
    entry = Entry.of(facts, "bird/index.html")
    assert clip.trust is not None
    assert (entry.file, entry.prediction, entry.explained, entry.verdict) == ("bird.wav", "whistle", "whistle", "rely")
    assert entry.probability == pytest.approx(clip.score)
    assert entry.lead == pytest.approx(clip.trust.scores["worse"]["method"] - clip.trust.scores["worse"]["energy"])
    bare = Entry.of(json.loads(json.dumps(replace(clip, trust=None).facts())), "x.html")
    assert bare.verdict == ""
    page = index_of([entry, bare], {"broken.wav": "sound broken.wav is silent; give a clip with sound"})
    found = elements(page)
    assert [attributes["href"] for tag, attributes in found if tag == "a" and attributes["href"] != "#clips"] == [
        "bird/index.html",
        "x.html",
    ]
    said = visible(page)
    for words in ("2 clips explained, 1 not explained", "not measured", "n/a", "sound broken.wav is silent"):
        assert words in said
    assert "No clip was explained" in visible(index_of([]))


def test_addresses_are_encoded_once() -> None:
    for link, address in (("a b#1/i.html", "a%20b%231/i.html"), ("a%20b%FF/i.html", "a%20b%FF/i.html")):
        found = elements(index_of([replace(Entry("a", "b", "b", 0.5, link), verdict="caution")]))
        assert address in [attributes.get("href") for _, attributes in found]


def test_numbers_are_told_as_people_read_them() -> None:
    assert [probability_text(value) for value in (0.0, 0.001, 0.5, 0.9951, 1.0)] == [
        "0.00",
        "< 0.01",
        "0.50",
        "> 0.99",
        "1.00",
    ]
    assert [hertz(value) for value in (90.2, 999.4, 999.6, 1_944.0, 16_000.0)] == [
        "90 Hz",
        "999 Hz",
        "1 kHz",
        "1.94 kHz",
        "16 kHz",
    ]
    assert [seconds(value) for value in (0.5, 61.25, 3_725.0)] == ["0.50 s", "1:01.2 min", "1:02:05.0"]
    nested = {"name": "A", "steps": 8, "domain": {"name": "B"}, "path": {"name": "C", "ends": [1, 2.5]}}
    assert settings_text(nested) == "A(steps=8, path=C(ends=[1, 2.5]))"
    assert settings_text(nested, whole=True) == "A(steps=8, domain=B(), path=C(ends=[1, 2.5]))"
