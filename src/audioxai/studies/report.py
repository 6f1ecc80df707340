"""The HTML report with its two cards: gathered from the store, handed to the report room, what is missing named."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from audioxai.listening import Heard
from audioxai.report.cards import data_card, model_card
from audioxai.report.html import Document, GalleryClip, Parts, Sounds, write_report
from audioxai.report.html.answers import objective1_answer, objective2_answer
from audioxai.report.html.pictures import pictures_in
from audioxai.report.style import METHODS, in_order, number
from audioxai.studies.cards import data_entries, model_entries
from audioxai.studies.galleries import Gallery, objective1_gallery, objective2_gallery
from audioxai.studies.models import Wanted
from audioxai.studies.objective1 import plan as objective1
from audioxai.studies.objective1.comparison import shown_cells
from audioxai.studies.objective2 import plan as objective2
from audioxai.studies.objective2.adapted import SHOWN
from audioxai.studies.stored import (
    ANY_PROFILE,
    LARGEST_FIRST,
    Folders,
    objective1_config_in,
    objective2_config_in,
)
from audioxai.utils.configuration import option, parse
from audioxai.utils.errors import UserError
from audioxai.utils.files import write_text

TITLE = "Audio XAI: explanations, measured"
IMAGES_SHOWN = 2
# Two methods that the gallery opens with: alike on paper, apart in what they find.
OPENING = ("integrated_gradients", "occlusion")
PLAIN, REPAIRED = "plain", "silence"


@dataclass(frozen=True)
class ReportConfig:
    """Which results are shown, and where the report goes."""

    profile: str = option(
        ANY_PROFILE, "profile whose results are shown: quick, standard, full, or auto for whichever was compared last"
    )
    clips: int = option(3, "clips of each dataset that can be looked at and heard")
    results: str = option("results", "folder of the results store")
    checkpoints: str = option("checkpoints", "folder of the checkpoints")
    output: str | None = option(None, "the HTML file; report.html in the store if not given")

    def __post_init__(self) -> None:
        if self.clips < 1:
            raise UserError(f"clips is {self.clips}; it has to be at least 1")

    @property
    def destination(self) -> Path:
        """The HTML file."""
        return Path(self.results) / "report.html" if self.output is None else Path(self.output)


PROFILES = {name: ReportConfig(profile=name) for name in (ANY_PROFILE, *reversed(LARGEST_FIRST))}


@dataclass(frozen=True, eq=False)
class Told:
    """What one objective gives to the report: clips to be seen and heard, and the models behind its numbers."""

    clips: list[GalleryClip]
    wanted: list[Wanted]


@dataclass(frozen=True)
class Made:
    """Files written, the report first, and a line on everything that the store did not hold."""

    written: list[Path]
    left_out: list[str]


def report(argv: Sequence[str], command: str, description: str) -> None:
    """Parse the options, write the report and print where it is."""
    examples = (
        command,
        f"{command} --profile standard",
        f"{command} --results /big/disk/results --checkpoints /big/disk/checkpoints --output report.html",
    )
    print_report(parse(ReportConfig, PROFILES, description, examples, argv))


def print_report(config: ReportConfig) -> None:
    """Write the report and print where it is and what it lacks."""
    made = make_report(config)
    for line in made.left_out:
        print(line)
    report_path, *cards = made.written
    for path in cards:
        print(f"Card: {path}")
    size_mib = report_path.stat().st_size / 2**20
    print(f"Report ({size_mib:.1f} MiB; open it in a browser, no network needed): {report_path.resolve()}")


def make_report(config: ReportConfig) -> Made:
    """Write the report and both cards.

    Raises
    ------
    UserError
        If the store holds neither objective's answer of the profile, or the report would be too large.
    """
    results = Path(config.results)
    summaries = {name: results / "summaries" / f"{name}.json" for name in ("objective1", "objective2")}
    found = {name: _summary(path) for name, path in summaries.items()}
    others = {
        name: _other_profile(name, content, config.profile)
        for name, content in found.items()
        if not _is_of(content, config.profile)
    }
    contents = {name: None if name in others else content for name, content in found.items()}
    pictures = {
        name: [] if name in others else pictures_in(results / "visualizations", name, path)
        for name, path in summaries.items()
    }
    if not any(contents.values()):
        nothing = f"{results} holds no answer to either research question; run python scripts/run_demo.py"
        raise UserError("; ".join(others.values()) or nothing)
    told, left_out = _told(config, contents)
    wanted = [one for objective in told for one in objective.wanted]
    cards = _cards(wanted, config) if wanted else {}
    document = Document(
        title=TITLE,
        answers=[
            objective1_answer(contents["objective1"], pictures["objective1"]),
            objective2_answer(contents["objective2"], pictures["objective2"]),
        ],
        stand_ins={
            name: real for content in contents.values() if content for name, real in content["stand_in"].items()
        },
        clips=[clip for objective in reversed(told) for clip in objective.clips],
        cards=cards,
    )
    written = [write_report(document, config.destination)]
    for title, text in cards.items():
        path = results / "summaries" / f"{title.lower().replace(' ', '_')}.md"
        write_text(path, f"# {title}\n\n{text}")
        written.append(path)
    return Made(written, [f"Left out: {line}" for line in others.values()] + left_out)


def _is_of(content: Any, profile: str) -> bool:
    """Whether an answer, if there is one, is of the profile that is asked for."""
    return content is None or profile in (ANY_PROFILE, content["context"].get("profile", ANY_PROFILE))


def _other_profile(name: str, content: Any, profile: str) -> str:
    number = name.removeprefix("objective")
    return (
        f"the answer of Objective {number} that is there is of profile {content['context']['profile']}, not {profile}; "
        f"run audioxai compare --objective {number} --profile {profile}"
    )


def _told(config: ReportConfig, contents: dict[str, Any]) -> tuple[list[Told], list[str]]:
    """What each answered objective gives, and a line on each that cannot."""
    parts: dict[str, Callable[[Folders, int, Any], Told]] = {"objective1": _objective1, "objective2": _objective2}
    told, left_out = [], []
    for name, part in parts.items():
        content = contents[name]
        if content is None:
            continue
        profile = content["context"].get("profile", ANY_PROFILE) if config.profile == ANY_PROFILE else config.profile
        folders = Folders(Path(config.results), Path(config.checkpoints), profile)
        try:
            told.append(part(folders, config.clips, content))
        except UserError as error:
            left_out.append(f"The clips and models of {name.replace('objective', 'Objective ')} are left out: {error}")
    return told, left_out


def _objective1(folders: Folders, count: int, _: Any) -> Told:
    config = objective1_config_in(folders)
    clips = [
        clip
        for cell in shown_cells(config)
        for clip in _clips(
            objective1_gallery(config, cell),
            "Objective 1",
            count if cell.modality == "audio" else min(count, IMAGES_SHOWN),
            config.methods,
            OPENING,
        )
    ]
    modalities: tuple[objective1.Modality, ...] = ("image", "audio")
    return Told(clips, [cell.wanted for modality in modalities for cell in objective1.cells(config, modality)])


def _objective2(folders: Folders, count: int, content: Any) -> Told:
    """Clips of the first model of every dataset, by the methods that are shown everywhere and the best one."""
    config, best = objective2_config_in(folders), content["best"] or REPAIRED
    shown = (*SHOWN, best)
    planned = objective2.cells(config)
    first = {cell.wanted.dataset: cell for cell in reversed(planned) if cell.material == "clips"}
    clips = [
        clip
        for cell in planned
        if cell is first[cell.wanted.dataset]
        for clip in _clips(objective2_gallery(config, cell, shown), "Objective 2", count, shown, (PLAIN, best))
    ]
    return Told(clips, [cell.wanted for cell in planned])


def _clips(
    gallery: Gallery, objective: str, count: int, methods: Sequence[str], opening: tuple[str, ...]
) -> list[GalleryClip]:
    """Clips titled by what tells them apart within their group."""
    chosen = in_order([method for method in gallery.maps if method in methods], METHODS)
    return [
        GalleryClip(
            group=f"{objective}: {gallery.name}",
            overlay=replace(overlay, title=overlay.title.removeprefix(f"{gallery.name.split(',')[0]}: ")),
            value_range=gallery.domain.value_range,
            sounds=None if gallery.waveforms is None else _sounds(gallery, sample, chosen),
            opening=opening,
        )
        for sample in gallery.of_different_titles(count)
        for overlay in (gallery.overlay(sample, chosen),)
    ]


def _sounds(gallery: Gallery, sample: int, methods: Sequence[str]) -> Sounds:
    heard = {method: gallery.heard(sample, method) for method in methods}
    first = next(iter(heard.values()))
    return Sounds(
        sample_rate_hz=first.sample_rate_hz,
        original=first.sounds.original[0, 0].numpy(),
        parts={
            method: Parts(one.sounds.kept[0, 0].numpy(), one.sounds.removed[0, 0].numpy(), _sound_note(one))
            for method, one in heard.items()
        },
    )


def _sound_note(heard: Heard) -> str:
    if bool(heard.nothing_kept[0]):
        return "No cell speaks for the class, so what is kept is silence."
    original = heard.gains_db.original[0]
    kept, removed = (float(gain[0] - original) for gain in (heard.gains_db.kept, heard.gains_db.removed))
    return f"Made as loud as the original: kept by {_signed(kept)} dB, removed by {_signed(removed)} dB."


def _signed(value: float) -> str:
    return ("+" if value >= 0 else "") + number(round(value, 1)).rstrip("0").rstrip(".")


def _cards(wanted: Sequence[Wanted], config: ReportConfig) -> dict[str, str]:
    models = model_entries(wanted, Path(config.checkpoints), Path(config.results))
    return {"Model card": model_card(models), "Data card": data_card(data_entries(wanted))}


def _summary(path: Path) -> Any:
    """Content of a summary; None where there is none.

    Raises
    ------
    UserError
        If it is damaged.
    """
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"summary {path} is no JSON ({error}); delete it and write it again") from error
