"""Model card and data card: what was trained on what, how well it does for whom, what it is for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from audioxai.report.document import Block, Bullets, Cell, Document, Paragraph, Section, Table
from audioxai.report.style import counted, listed, percent

if TYPE_CHECKING:
    from audioxai.results import ResultSet

FEW_CLIPS = 100
MOST_SKIPPED = 5
SINGLE = ("speaker", "group")

INTENDED_USE = (
    "To be explained: the models exist so that explanation methods can be compared on them, in the studies of this "
    "project and in teaching.",
    "As small, quickly trained examples for methods and metrics of one's own.",
)
NOT_FOR = (
    "Recognising anything for anybody: they know few classes, clips of one length, and few speakers and rooms.",
    "Telling who speaks, or anything about a speaker; they were neither trained nor tested for that.",
    "Conclusions on explanations of larger or pretrained models.",
)
MODEL_LIMITS = (
    "One seed says little: where several were trained, the spread over them is the better measure.",
    "Recordings are cut or padded to one length, scaled to peak 1 and, where the data card says so, trimmed; longer or "
    "noisier sound is unknown to the models.",
    "An explanation shows what one of these models used, not how people hear.",
)

Card = Mapping[str, Any]


def model_card(results: Sequence["ResultSet"]) -> Document:
    """The model card of all models that these results explained, each once."""
    cards = _models(results)
    sections = [
        Section(
            "models",
            "",
            [
                Paragraph(
                    f"{counted(len(cards), 'classifier')}, trained for these studies; each takes sound as it was "
                    "recorded or an image, and carries its spectrogram as first layer."
                )
            ],
        ),
        Section("accuracy", "Accuracy", [_accuracies(cards)]),
        *_by_group(cards),
        Section("use", "Intended use", [Bullets(INTENDED_USE)]),
        Section("not-for", "Not for", [Bullets(NOT_FOR)]),
        Section("limits", "Limits", [Bullets((*_of_cues(cards), *_few(cards), *MODEL_LIMITS))]),
        Section("training", "Training", [_recipes(cards)]),
    ]
    return Document("model_card", "Model card", "", sections)


def data_card(results: Sequence["ResultSet"]) -> Document:
    """The data card of all data sets that these results used, each split once."""
    found = {
        (card["data"]["name"], card["data"]["split"]): card["data"] for card in _models(results) if card.get("data")
    }
    sections = [
        Section(f"data-{place}", _named(data), [Bullets(tuple(_facts(data)))])
        for place, data in enumerate(found.values(), start=1)
    ]
    return Document("data_card", "Data card", "", sections)


def _models(results: Sequence["ResultSet"]) -> list[Card]:
    keys = ("dataset", "split", "cues", "architecture", "resolution", "seed")
    found = {
        tuple(str(card.get(key)) for key in (*keys, "weights_sha256")): card for one in results for card in one.models
    }
    return sorted(
        found.values(), key=lambda card: tuple((card.get(key) is None, card.get(key)) for key in keys if key != "seed")
    )


def _accuracies(cards: Sequence[Card]) -> Table:
    parts = ("train", "validation", "test")
    rows = [
        (
            *_kind(card),
            Cell(str(card["seed"])),
            *(Cell(percent(card["accuracy"].get(part))) for part in parts),
            Cell(f"{card['samples']['test']:,}" if "test" in card["samples"] else "n/a"),
        )
        for card in cards
    ]
    columns = ("Data", "Architecture", "Resolution", "Seed", "Train", "Validation", "Test", "Test samples")
    return _table("accuracy", "Accuracy of every model", "Share of samples predicted rightly.", columns, rows)


def _by_group(cards: Sequence[Card]) -> Iterator[Section]:
    grouped = [card for card in cards if card.get("groups")]
    if not grouped:
        return
    lines, spread = _group_rows(grouped), _single_rows(grouped)
    blocks: list[Block] = []
    if lines:
        text = "Of test clips; models of one kind together, with the range over their training seeds where they differ."
        by_attribute = ("Data", "Architecture", "Resolution", "Group", "Speakers", "Clips", "Accuracy")
        blocks.append(_table("groups", "By attribute", text, by_attribute, lines))
    if spread:
        columns = ("Data", "Architecture", "Resolution", "Seed", "Speakers", "Lowest", "Median", "Highest")
        blocks.append(_table("speakers", "By speaker", "How far single test speakers lie apart.", columns, spread))
    if blocks:
        yield Section("groups", "Accuracy by group of speakers", blocks)


def _group_rows(cards: Sequence[Card]) -> list[tuple[Cell, ...]]:
    kinds: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for card in cards:
        for group in card["groups"]:
            if group["attribute"] not in SINGLE:
                words = f"{group['attribute']}: {group['value']}"
                kinds.setdefault((*(cell.text for cell in _kind(card)), words), []).append(group)
    rows = []
    for kind, groups in kinds.items():
        shares = [group["correct"] / group["clips"] for group in groups]
        spread = f" ({percent(min(shares))} to {percent(max(shares))})" if max(shares) > min(shares) else ""
        mean = percent(sum(shares) / len(shares)) + spread
        rows.append((*map(Cell, kind), Cell(str(groups[0]["groups"])), Cell(str(groups[0]["clips"])), Cell(mean)))
    return rows


def _single_rows(cards: Sequence[Card]) -> list[tuple[Cell, ...]]:
    rows = []
    for card in cards:
        own = [group for group in card["groups"] if group["attribute"] in SINGLE]
        shares = sorted(group["correct"] / group["clips"] for group in own)
        if not shares:
            continue
        middle = (shares[(len(shares) - 1) // 2] + shares[len(shares) // 2]) / 2
        ends = [Cell(percent(share)) for share in (shares[0], middle, shares[-1])]
        rows.append((*_kind(card), Cell(str(card["seed"])), Cell(str(len(shares))), *ends))
    return rows


def _of_cues(cards: Iterable[Card]) -> list[str]:
    names = sorted({str(card["dataset"]) for card in cards if card.get("cues")})
    if not names:
        return []
    return [f"Models of {listed(names)} with planted cues tell the cues apart, not what is said."]


def _few(cards: Iterable[Card]) -> list[str]:
    few = {
        f"{group['attribute']} {group['value']}"
        for card in cards
        for group in card.get("groups") or ()
        if group["attribute"] not in SINGLE and group["clips"] < FEW_CLIPS
    }
    if not few:
        return []
    return [f"Groups with fewer than {FEW_CLIPS} test clips, whose accuracy is a rough figure: {listed(sorted(few))}."]


def _recipes(cards: Sequence[Card]) -> Table:
    rows = [
        (
            *_kind(card),
            Cell(str(card["seed"])),
            Cell(str(card["epochs_run"])),
            Cell(f"{card['seconds']:.0f}"),
            Cell(str(card["git_commit"])),
            Cell(str(card["weights_sha256"])[:12]),
        )
        for card in cards
    ]
    columns = ("Data", "Architecture", "Resolution", "Seed", "Epochs", "Seconds", "Code", "Weights (SHA-256)")
    return _table("training", "How the models were trained", "Seconds are of the training alone.", columns, rows)


def _table(name: str, title: str, caption: str, columns: tuple[str, ...], rows: Sequence[tuple[Cell, ...]]) -> Table:
    return Table(f"card_{name}", title, caption, columns, tuple(rows), key_columns=4)


def _kind(card: Card) -> tuple[Cell, Cell, Cell]:
    stood = f" (STAND-IN for {card['stand_in_for']})" if card.get("stand_in_for") else ""
    cues = ", planted cues" if card.get("cues") else ""
    data = f"{card['dataset']}, {card['split']}{cues}{stood}"
    return Cell(data), Cell(str(card["architecture"])), Cell(str(card["resolution"]))


def _named(data: Mapping[str, Any]) -> str:
    return str(data["name"]) + (f" (STAND-IN for {data['stand_in_for']})" if data.get("stand_in_for") else "")


def _facts(data: Mapping[str, Any]) -> Iterator[str]:
    if data.get("description"):
        yield f"What: {data['description']}."
    yield f"Origin: {data.get('origin') or 'not known'}. Licence: {data.get('licence') or 'not known'}."
    yield f"Sample: {data['form']}."
    yield f"Split {data['split']}: {_counts(data)}.{_disjoint(data.get('group_disjoint'))}"
    for name, values in (data.get("attributes") or {}).items():
        yield f"Groups by {name}: {listed([f'{value} {count}' for value, count in values.items()])}."
    yield _skipped(data.get("skipped") or ())
    yield f"Fingerprint of content, split and reading: `{data['fingerprint']}`."
    if data.get("stand_in_for"):
        yield f"It shows that the experiments run and says nothing about {data['stand_in_for']}."


def _counts(data: Mapping[str, Any]) -> str:
    groups = data.get("groups") or {}
    return "; ".join(
        f"{count:,} {part}" + (f" of {counted(groups[part], 'group')}" if groups.get(part) else "")
        for part, count in data["samples"].items()
    )


def _disjoint(group_disjoint: bool | None) -> str:
    if group_disjoint is None:
        return ""
    return " No group is in two parts." if group_disjoint else " Groups are shared between the parts."


def _skipped(skipped: Sequence[str]) -> str:
    if not skipped:
        return "No file was skipped."
    more = f" and {len(skipped) - MOST_SKIPPED} more" if len(skipped) > MOST_SKIPPED else ""
    return f"Skipped files, {len(skipped)}: {'; '.join(skipped[:MOST_SKIPPED])}{more}."
