"""Model card and data card in Markdown: what was trained on what, how well it does for whom, what it is for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audioxai.report.answer import bullets
from audioxai.report.style import listed
from audioxai.report.tables import markdown

FEW_CLIPS = 100
MOST_SKIPPED_TOLD = 5

INTENDED_USE = (
    "To be explained: the models exist so that explanation methods can be compared on them, in the studies of this "
    "project and in teaching.",
    "As small, quickly trained examples for methods and metrics of one's own.",
)
NOT_FOR = (
    "Recognising digits for anybody: they know ten words, clips of one length, and few speakers and rooms.",
    "Telling who speaks, or anything about a speaker; they were neither trained nor tested for that.",
    "Conclusions on explanations of larger or pretrained models.",
)
MODEL_LIMITS = (
    "One seed says little: where several were trained, the spread over them is the better measure.",
    "Recordings are cut or padded to one length, scaled to peak 1 and, where the data card says so, trimmed; longer or "
    "noisier sound is unknown to the models.",
    "An explanation shows what one of these models used, not how people hear digits.",
)


@dataclass(frozen=True)
class Facts:
    """What is known of a dataset beside its files."""

    what: str
    origin: str
    licence: str


FACTS: dict[str, Facts] = {
    "mnist": Facts(
        "handwritten digits, 28 × 28, 70,000 images", "LeCun, Cortes and Burges 1998", "none stated with the files"
    ),
    "audio_mnist": Facts(
        "digits spoken in English by 60 speakers, 30,000 recordings",
        "Becker et al. 2018",
        "MIT, as its repository says",
    ),
    "audio_mnist_az": Facts(
        "digits spoken in Azerbaijani, in AudioMNIST's layout", "recordings that were put there", "as their owner says"
    ),
    "fsdd": Facts(
        "Free Spoken Digit Dataset: 3,000 recordings in English by 6 speakers", "Jackson et al. 2018", "CC BY-SA 4.0"
    ),
    "spoken_digits": Facts(
        "digits spoken by 30 voices of espeak-ng: no people",
        "made by scripts/prepare_datasets.py",
        "none asked; the voices are GPL-3 software",
    ),
    "digits_8x8": Facts(
        "scikit-learn's handwritten digits, 8 × 8, resized to 28 × 28", "UCI, Alpaydin and Kaynak 1998", "CC BY 4.0"
    ),
}
UNKNOWN = Facts("", "not known to this project", "not known to this project")


@dataclass(frozen=True)
class Group:
    """Test clips of a group of speakers, and how many of them a model predicted rightly.

    Attributes
    ----------
    attribute, value : str
        Such as ``gender`` and ``female``; ``speaker`` and a speaker's name for single ones.
    speakers, clips, correct : int
        Counts in the test part.
    """

    attribute: str
    value: str
    speakers: int
    clips: int
    correct: int


@dataclass(frozen=True, eq=False)
class ModelEntry:
    """A checkpoint's card and, for recordings, its accuracy for every group of test speakers."""

    card: Mapping[str, Any]
    groups: Sequence[Group] = ()


@dataclass(frozen=True, eq=False)
class DataEntry:
    """A dataset as it was used.

    Attributes
    ----------
    name, split : str
        Registered names.
    stand_in_for : str or None
        The real dataset that it stands for.
    speaker_disjoint : bool or None
        Whether no speaker is in two parts; None for images.
    samples, speakers : mapping of str to int
        Part → counts; no speakers for images.
    groups : mapping of str to mapping
        Attribute → value → number of speakers.
    form : str
        What a sample is, with its units.
    skipped : sequence of str
        Files that could not be used, with the reason.
    fingerprint : str
        Hash of content, split and reading.
    """

    name: str
    split: str
    stand_in_for: str | None
    speaker_disjoint: bool | None
    samples: Mapping[str, int]
    speakers: Mapping[str, int]
    groups: Mapping[str, Mapping[str, int]]
    form: str
    skipped: Sequence[str]
    fingerprint: str


def model_card(entries: Sequence[ModelEntry]) -> str:
    """The model card, Markdown without a title."""
    parts = [
        f"{len(entries)} classifiers of digits, trained for these studies; each takes sound as it was recorded or an "
        "image, and carries its spectrogram as first layer.",
        "### Accuracy",
        _accuracies([entry.card for entry in entries]),
        *_by_group(entries),
        "### Intended use",
        bullets(list(INTENDED_USE)),
        "### Not for",
        bullets(list(NOT_FOR)),
        "### Limits",
        bullets([*_of_cues(entries), *_few(entries), *MODEL_LIMITS]),
        "### Training",
        _recipes([entry.card for entry in entries]),
    ]
    return "\n\n".join(parts) + "\n"


def data_card(entries: Sequence[DataEntry]) -> str:
    """The data card, Markdown without a title."""
    return "\n\n".join(part for entry in entries for part in _dataset(entry)) + "\n"


def _accuracies(cards: Sequence[Mapping[str, Any]]) -> str:
    header = ["Data", "Architecture", "Resolution", "Seed", "Train", "Validation", "Test", "Test samples"]
    lines = [
        [
            _data_of(card),
            str(card["architecture"]),
            str(card["resolution"]),
            str(card["seed"]),
            *(_percent(card["accuracy"][part]) for part in ("train", "validation", "test")),
            f"{card['samples']['test']:,}",
        ]
        for card in cards
    ]
    return markdown(header, lines)


def _by_group(entries: Sequence[ModelEntry]) -> Iterator[str]:
    grouped = [entry for entry in entries if entry.groups]
    if not grouped:
        return
    yield "### Accuracy by group of speakers"
    yield "Of test clips; models of one kind together, with the range over their training seeds where they differ."
    header = ["Data", "Architecture", "Resolution", "Group", "Speakers", "Clips", "Accuracy"]
    yield markdown(header, _group_lines(grouped))
    yield "### Accuracy by speaker"
    yield "How far single test speakers lie apart."
    header = ["Data", "Architecture", "Resolution", "Seed", "Speakers", "Lowest", "Median", "Highest"]
    yield markdown(header, _speaker_lines(grouped))


def _group_lines(entries: Sequence[ModelEntry]) -> list[list[str]]:
    kinds: dict[tuple[str, ...], list[Group]] = {}
    for entry in entries:
        for group in entry.groups:
            if group.attribute != "speaker":
                told = f"{group.attribute}: {group.value}"
                kinds.setdefault((*_kind(entry.card), told), []).append(group)
    lines = []
    for kind, groups in kinds.items():
        shares = [group.correct / group.clips for group in groups]
        told = _percent(sum(shares) / len(shares))
        spread = f" ({_percent(min(shares))} to {_percent(max(shares))})" if max(shares) > min(shares) else ""
        lines.append([*kind, str(groups[0].speakers), str(groups[0].clips), told + spread])
    return lines


def _speaker_lines(entries: Sequence[ModelEntry]) -> list[list[str]]:
    lines = []
    for entry in entries:
        shares = sorted(group.correct / group.clips for group in entry.groups if group.attribute == "speaker")
        middle = (shares[(len(shares) - 1) // 2] + shares[len(shares) // 2]) / 2
        told = [_percent(share) for share in (shares[0], middle, shares[-1])]
        lines.append([*_kind(entry.card), str(entry.card["seed"]), str(len(shares)), *told])
    return lines


def _of_cues(entries: Iterable[ModelEntry]) -> list[str]:
    names = sorted({str(entry.card["dataset"]) for entry in entries if str(entry.card["dataset"]).endswith("_cues")})
    if not names:
        return []
    return [f"Models of {listed(names)} tell apart cues that were planted in the recordings, not what is said."]


def _few(entries: Iterable[ModelEntry]) -> list[str]:
    few = {
        f"{group.attribute} {group.value}"
        for entry in entries
        for group in entry.groups
        if group.attribute != "speaker" and group.clips < FEW_CLIPS
    }
    if not few:
        return []
    return [f"Groups with fewer than {FEW_CLIPS} test clips, whose accuracy is a rough figure: {listed(sorted(few))}."]


def _recipes(cards: Sequence[Mapping[str, Any]]) -> str:
    header = ["Data", "Architecture", "Resolution", "Seed", "Epochs", "Seconds", "Code", "Weights (SHA-256)"]
    lines = [
        [
            *_kind(card),
            str(card["seed"]),
            str(card["epochs_run"]),
            f"{card['seconds']:.0f}",
            str(card["git_commit"]),
            str(card["weights_sha256"])[:12],
        ]
        for card in cards
    ]
    return markdown(header, lines)


def _kind(card: Mapping[str, Any]) -> tuple[str, str, str]:
    return _data_of(card), str(card["architecture"]), str(card["resolution"])


def _data_of(card: Mapping[str, Any]) -> str:
    stood = f" (STAND-IN for {card['stand_in_for']})" if card["stand_in_for"] else ""
    return f"{card['dataset']}, {card['split']}{stood}"


def _dataset(entry: DataEntry) -> Iterator[str]:
    facts = FACTS.get(entry.name, UNKNOWN)
    stood = f" (STAND-IN for {entry.stand_in_for})" if entry.stand_in_for else ""
    yield f"### {entry.name}{stood}"
    told = [
        f"What: {facts.what}." if facts.what else "",
        f"Origin: {facts.origin}. Licence: {facts.licence}.",
        f"Sample: {entry.form}.",
        f"Split {entry.split}: {_counts(entry)}.{_disjoint(entry.speaker_disjoint)}",
        *(f"Speakers by {name}: {_listed_counts(values)}." for name, values in entry.groups.items()),
        _skipped(entry.skipped),
        f"Fingerprint of content, split and reading: `{entry.fingerprint}`.",
    ]
    if entry.stand_in_for:
        told.append(f"It shows that the experiments run and says nothing about {entry.stand_in_for}.")
    yield bullets([line for line in told if line])


def _counts(entry: DataEntry) -> str:
    return "; ".join(
        f"{count:,} {part}" + (f" by {entry.speakers[part]} speakers" if part in entry.speakers else "")
        for part, count in entry.samples.items()
    )


def _disjoint(speaker_disjoint: bool | None) -> str:
    if speaker_disjoint is None:
        return ""
    return " No speaker is in two parts." if speaker_disjoint else " Speakers are shared between the parts."


def _listed_counts(values: Mapping[str, int]) -> str:
    return listed([f"{value} {count}" for value, count in values.items()])


def _skipped(skipped: Sequence[str]) -> str:
    if not skipped:
        return "No file was skipped."
    more = f" and {len(skipped) - MOST_SKIPPED_TOLD} more" if len(skipped) > MOST_SKIPPED_TOLD else ""
    return f"Skipped files, {len(skipped)}: {'; '.join(skipped[:MOST_SKIPPED_TOLD])}{more}."


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
