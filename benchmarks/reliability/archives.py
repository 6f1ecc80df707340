"""Hostile and damaged archives: what ``audioxai prepare --source`` makes of them.

An accepted archive has to leave every recording that was put into it, bit for bit, and nothing that was not; a refused
one leaves nothing. Damage is of kinds that can be known: a plain tar has no checksum of its content, so that bits are
flipped and blocks are zeroed in its headers only.
"""

import bz2
import contextlib
import copy
import gzip
import io
import json
import lzma
import os
import random
import shutil
import stat
import struct
import tarfile
import warnings
import wave
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from benchmarks.reliability.tally import (
    Outcome,
    Tally,
    Verdict,
    how_many,
    in_children,
    of_main,
    written_outside,
)

from audioxai.datasets.supply import option_parser, prepare_as_asked

# A machine may be busy, and bombs take seconds to be made.
LIMIT_S = 60.0
DAMAGED = 1_000
FOLDER = "fsdd/recordings/"
MEGABYTE = 1 << 20

Members = Sequence[tuple[str, bytes]]


@dataclass(frozen=True)
class Made:
    """A source as it is made for a case.

    Attributes
    ----------
    content : bytes
        The archive.
    further : tuple of bytes
        Contents of files that may come besides the recordings.
    is_whole : bool
        Whether it still holds all recordings.
    fill : callable or None
        What writes a folder instead.
    """

    content: bytes = b""
    further: tuple[bytes, ...] = ()
    is_whole: bool = True
    fill: Callable[[Path], None] | None = None


@dataclass(frozen=True)
class Case:
    """A hostile archive by its name, or a seeded damage of a container."""

    folder: Path
    hostile: str = ""
    container: str = ""
    damage: str = ""
    seed: int = 0

    @property
    def name(self) -> str:
        """What it is called where it goes wrong."""
        return self.hostile or f"{self.container}, {self.damage}, {self.seed}"

    def make(self) -> Made:
        """The archive, the same for the same case."""
        if self.hostile:
            return hostile(self.folder)[self.hostile]()
        whole = container(self.container)
        damaged = DAMAGES[self.damage](self.container, whole, random.Random(f"{self.name}"))
        return Made(damaged, is_whole=damaged == whole or self.damage in HARMLESS)


def run(scale: float, seed: int, folder: Path) -> Tally:
    """Hostile archives and folders once each, and damaged ones of every container and kind."""
    cases = [Case(folder, hostile=name) for name in hostile(folder)]
    kinds = [(own, damage) for damage in DAMAGES for own in CONTAINERS if own not in EXCEPT.get(damage, ())]
    cases += [
        Case(folder, container=own, damage=damage, seed=seed * DAMAGED + number)
        for number in range(how_many(DAMAGED, 1) // len(kinds) + 1)
        for own, damage in kinds
    ]
    if scale < 1:
        cases = random.Random(seed).sample(cases, how_many(len(cases), scale))
    outcomes = in_children(try_case, cases, LIMIT_S)
    return Tally.of("archives", zip((case.name for case in cases), outcomes, strict=True))


def try_case(case: Case) -> Outcome:
    """Prepare the data set from the archive and compare what is there with what was put in."""
    place = case.folder / "case"
    shutil.rmtree(place, ignore_errors=True)
    (place / "deep" / "root").mkdir(parents=True)
    (place / "secret").write_bytes(SECRET)
    made = case.make()
    source = place / "source"
    if made.fill is None:
        source.write_bytes(made.content)
    else:
        (source / FOLDER).mkdir(parents=True)
        for name, content in GOOD:
            (source / name).write_bytes(content)
        made.fill(source / FOLDER)
    return outcome_of_source(place, source, made)


def outcome_of_source(place: Path, source: Path, made: Made) -> Outcome:
    """Outcome of preparing the data set in ``place/deep/root`` from the source."""
    root = place / "deep" / "root"
    changes = written_outside(place.parent, root)
    options = option_parser("").parse_args(["--datasets", "fsdd", "--root", str(root), "--source", str(source)])
    outcome = of_main(lambda _: prepare_as_asked(options, place, {}), [])
    outside = changes()
    if outside:
        return Outcome(Verdict.OUTSIDE, f"{outside} ({outcome.said})")
    if outcome.verdict is Verdict.REFUSED and any(root.iterdir()):
        return Outcome(Verdict.OUTSIDE, f"{sorted(os.listdir(root))} were left behind ({outcome.said})")
    if outcome.verdict is Verdict.USED:
        wrong = difference(root / "fsdd", made)
        return outcome if wrong is None else Outcome(Verdict.WRONG, wrong)
    return outcome


def difference(folder: Path, made: Made) -> str | None:
    """What differs between what was installed and what was put into the archive."""
    found: dict[str, bytes] = {}
    for parent, folders, files in os.walk(folder):
        links = [name for name in (*folders, *files) if not stat.S_ISREG(Path(parent, name).lstat().st_mode)]
        odd = [name for name in links if name not in folders or Path(parent, name).is_symlink()]
        if odd:
            return f"{odd} are no regular files"
        found |= {Path(parent, name).relative_to(folder).as_posix(): Path(parent, name).read_bytes() for name in files}
    manifest = json.loads(found.pop("manifest.json"))
    if manifest["dataset"] != "fsdd" or manifest["files"] < len(RECORDINGS):
        return f"the manifest says {manifest}"
    if not made.is_whole:
        lacking = [name for name, content in RECORDINGS if found.get(name.removeprefix("fsdd/")) != content]
        return f"taken for complete; {len(lacking)} recordings lack or differ" if lacking else None
    for name, content in RECORDINGS:
        own = found.pop(name.removeprefix("fsdd/"), None)
        if own != content:
            return f"{name} {'is missing' if own is None else f'has {len(own)} other bytes'}"
    odd = [name for name, content in found.items() if content not in (*made.further, README)]
    return f"{odd} were not put in" if odd else None


def wav(seed: int, samples: int = 700) -> bytes:
    """A recording of noise."""
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(8_000)
        written.writeframes(random.Random(seed).randbytes(2 * samples))
    return file.getvalue()


SECRET = b"not yours " * 9
README = b"Recordings of digits.\n" * 40
RECORDINGS = [
    (f"{FOLDER}{digit}_{speaker}_{index}.wav", wav(100 * digit + 10 * number + index))
    for digit in range(2)
    for number, speaker in enumerate(("ann", "bob", "cat"))
    for index in (0, 5, 10)
]
GOOD: Members = [("fsdd/README.md", README), *RECORDINGS]
ANOTHER = wav(9_999)
EVIL = b"evil"


def zipped(members: Members, compression: int = zipfile.ZIP_DEFLATED, further: "Further" = ()) -> bytes:
    """A zip archive; ``further`` are ``(name or ZipInfo, content)``."""
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", compression) as archive:
        warnings.simplefilter("ignore")
        for name, content in (*members, *further):
            archive.writestr(name, content or b"")
    return file.getvalue()


def tarred(members: Members, kind: int = tarfile.PAX_FORMAT, further: "Further" = ()) -> bytes:
    """A plain tar archive; ``further`` are ``(name or TarInfo, content or None)``."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=kind) as archive:
        for entry, content in (*members, *further):
            entry = tarfile.TarInfo(entry) if isinstance(entry, str) else entry
            if content is not None:
                entry.size = len(content)
            archive.addfile(entry, None if content is None else io.BytesIO(content))
    return file.getvalue()


def _stored(content: bytes) -> bytes:
    """Gzip without compression, so that damage of the content meets the checksum alone."""
    return gzip.compress(content, 0, mtime=0)


CONTAINERS: dict[str, Callable[[], bytes]] = {
    "tar ustar": lambda: tarred(GOOD, tarfile.USTAR_FORMAT),
    "tar gnu": lambda: tarred(GOOD, tarfile.GNU_FORMAT),
    "tar pax": lambda: tarred([*GOOD, ("fsdd/recordings/é.txt", README)], tarfile.PAX_FORMAT),
    "tgz": lambda: gzip.compress(tarred(GOOD), mtime=0),
    "tgz stored": lambda: _stored(tarred(GOOD)),
    "tbz": lambda: bz2.compress(tarred(GOOD)),
    "txz": lambda: lzma.compress(tarred(GOOD)),
    "zip stored": lambda: zipped(GOOD, zipfile.ZIP_STORED),
    "zip deflated": lambda: zipped(GOOD),
    "zip bzip2": lambda: zipped(GOOD, zipfile.ZIP_BZIP2),
    "zip lzma": lambda: zipped(GOOD, zipfile.ZIP_LZMA),
}
PLAIN_TARS = ("tar ustar", "tar gnu", "tar pax")
ZIPS = tuple(name for name in CONTAINERS if name.startswith("zip"))
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "tgz": partial(gzip.compress, mtime=0),
    "tbz": bz2.compress,
    "txz": lzma.compress,
}


@cache
def container(name: str) -> bytes:
    """The undamaged archive."""
    return CONTAINERS[name]()


@cache
def _offsets(name: str) -> tuple[int, ...]:
    """Places of the headers in a plain tar."""
    with tarfile.open(fileobj=io.BytesIO(container(name))) as archive:
        return tuple(member.offset for member in archive.getmembers())


Damage = Callable[[str, bytes, random.Random], bytes]
DAMAGES: dict[str, Damage] = {}
# Containers in which a damage cannot be known, or is none.
EXCEPT: dict[str, tuple[str, ...]] = {}
HARMLESS = ("zeros at the end",)


def damage(name: str, but: Sequence[str] = ()) -> Callable[[Damage], Damage]:
    """Register a kind of damage."""

    def register(made: Damage) -> Damage:
        DAMAGES[name] = made
        EXCEPT[name] = tuple(but)
        return made

    return register


@damage("a flipped bit")
def _flip(name: str, content: bytes, draw: random.Random) -> bytes:
    damaged = bytearray(content)
    place = draw.choice(_offsets(name)) + draw.randrange(500) if name in PLAIN_TARS else draw.randrange(len(damaged))
    damaged[place] ^= 1 << draw.randrange(8)
    return bytes(damaged)


@damage("flipped bits of the directory or head", PLAIN_TARS)
def _flip_head(name: str, content: bytes, draw: random.Random) -> bytes:
    damaged = bytearray(content)
    first = content.find(b"PK\x01\x02") if name in ZIPS else 0
    last = len(content) if name in ZIPS else 40
    for _ in range(draw.choice((1, 1, 2, 8))):
        damaged[draw.randrange(first, last)] ^= 1 << draw.randrange(8)
    return bytes(damaged)


@damage("a run of zeros")
def _zero(name: str, content: bytes, draw: random.Random) -> bytes:
    damaged = bytearray(content)
    length = 512 if name in PLAIN_TARS else draw.choice((1, 16, 512, 4096))
    place = draw.choice(_offsets(name)) if name in PLAIN_TARS else draw.randrange(max(1, len(damaged) - length))
    damaged[place : place + length] = bytes(len(damaged[place : place + length]))
    return bytes(damaged)


@damage("cut anywhere")
def _cut(_: str, content: bytes, draw: random.Random) -> bytes:
    return content[: draw.choice((draw.randrange(len(content)), draw.randrange(1_000), len(content) - 1))]


@damage("cut at a member", tuple(name for name in CONTAINERS if name not in PLAIN_TARS))
def _cut_at_member(name: str, content: bytes, draw: random.Random) -> bytes:
    return content[: draw.choice(_offsets(name)) + draw.choice((0, 0, 512))]


@damage("cut before it was compressed", tuple(name for name in CONTAINERS if not name.startswith("t")))
def _cut_inside(name: str, _: bytes, draw: random.Random) -> bytes:
    plain = container("tar ustar")
    cut = plain[: draw.choice((*_offsets("tar ustar"), draw.randrange(len(plain) - 10_240)))]
    kind = name.split()[0]
    return _stored(cut) if name == "tgz stored" else COMPRESSIONS[kind](cut)


@damage("a piece left out", PLAIN_TARS)
def _left_out(_: str, content: bytes, draw: random.Random) -> bytes:
    length = draw.choice((1, 2, 512, 2_000))
    place = draw.randrange(len(content) - length)
    return content[:place] + content[place + length :]


@damage("a piece twice", PLAIN_TARS)
def _twice(_: str, content: bytes, draw: random.Random) -> bytes:
    place, length = draw.randrange(len(content)), draw.choice((1, 512, 3_000))
    return content[: place + length] + content[place:]


@damage("other bytes at the end", ZIPS)
def _longer(_: str, content: bytes, draw: random.Random) -> bytes:
    return content + bytes(draw.choice((0, 512, 20_000))) + draw.randbytes(600)


@damage("zeros at the end", ZIPS)
def _zeros_after(_: str, content: bytes, draw: random.Random) -> bytes:
    return content + bytes(512 * draw.randrange(1, 30))


@damage("a checksum", (*PLAIN_TARS, "txz"))
def _checksum(name: str, content: bytes, draw: random.Random) -> bytes:
    damaged = bytearray(content)
    if name in ZIPS:
        entries = [place for place in range(len(content)) if content.startswith(b"PK\x01\x02", place)]
        damaged[draw.choice(entries) + 16 + draw.randrange(4)] ^= 1 << draw.randrange(8)
    elif name.startswith("tgz"):
        damaged[-8 + draw.randrange(8)] ^= 1 << draw.randrange(8)
    else:
        damaged[10 + draw.randrange(4)] ^= 1 << draw.randrange(8)
    return bytes(damaged)


@damage("numbers at their limits", tuple(name for name in CONTAINERS if name not in ZIPS))
def _limits(_: str, content: bytes, draw: random.Random) -> bytes:
    damaged = bytearray(content)
    ends = [place for place in range(len(content)) if content[place : place + 4] in (b"PK\x01\x02", b"PK\x05\x06")]
    place = draw.choice(ends) + draw.randrange(4, 44, 2)
    number = draw.choice((0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF))
    width = 2 if number <= 0xFFFF else 4
    damaged[place : place + width] = number.to_bytes(width, "little")
    return bytes(damaged[: len(content)])


def hostile(folder: Path) -> dict[str, Callable[[], Made]]:
    """Sources that somebody made to do harm, by what they hold."""
    cases: dict[str, Callable[[], Made]] = {}
    for name in (*LEADING_OUTSIDE, f"{folder}/evil"):
        cases |= _in_both(f"leads outside, {name!a}", [(name, EVIL)])
    for own, name in NAMES.items():
        cases |= _in_both(f"name, {own}", [(name, ANOTHER)])
    for own, further in CLASHES.items():
        cases |= _in_both(f"clash, {own}", further)
    for own, entries in _tar_entries(folder).items():
        plain = _archive(tarred, entries)
        for kind, compress in COMPRESSIONS.items():
            cases[f"{kind}, {own}"] = lambda made=plain, compress=compress: _repacked(made, compress)  # type: ignore[misc]
    for own, further in _zip_links(folder).items():
        cases[f"zip, {own}"] = _archive(zipped, further)
    cases |= {f"zip, {own}": make for own, make in ZIP_STRUCTURES.items()}
    cases |= {f"tar, {own}": make for own, make in TAR_STRUCTURES.items()}
    cases |= {f"no archive, {own}": partial(Made, content, (), False) for own, content in NO_ARCHIVES.items()}
    contents = (ANOTHER, *(content for _, content in RECORDINGS))
    cases |= {f"folder, {own}": partial(Made, further=contents, fill=fill) for own, fill in FOLDERS.items()}
    return cases


# Names, or entries with all that archives tell about a member, and its content.
Further = Sequence[tuple[Any, bytes | None]]


def _archive(make: Callable[..., bytes], further: Further) -> Callable[[], Made]:
    """What makes the archive with these entries besides the recordings."""
    contents = tuple(content for _, content in further if content is not None)
    # Entries are changed while they are written.
    return lambda: Made(make(GOOD, further=copy.deepcopy(further)), (*contents, *(own for _, own in GOOD)))


def _repacked(make: Callable[[], Made], compress: Callable[[bytes], bytes]) -> Made:
    made = make()
    return replace(made, content=compress(made.content))


def _in_both(what: str, further: Further) -> dict[str, Callable[[], Made]]:
    """The case as a zip and as tars of the two kinds of long names; those that cannot be written fall away."""
    cases = {}
    makers: dict[str, Callable[..., bytes]] = {
        "zip": zipped,
        "tar": tarred,
        "tar gnu": partial(tarred, kind=tarfile.GNU_FORMAT),
    }
    for kind, make in makers.items():
        case = _archive(make, further)
        with contextlib.suppress(UnicodeError, ValueError, IndexError):
            case()
            cases[f"{kind}, {what}"] = case
    return cases


LEADING_OUTSIDE = (
    "../evil.wav",
    "../../evil.wav",
    "fsdd/../../evil.wav",
    "..\\evil.wav",
    "C:\\evil.wav",
    "C:evil.wav",
    "c:/evil",
    "fsdd/recordings/../../../evil.wav",
    "\\\\server\\share\\evil",
    "//server/share/evil",
    "/evil",
    "fsdd/./../../evil.wav",
    "..",
    "./../evil",
    "fsdd/recordings/..\\..\\..\\evil.wav",
    "fsdd//../..//evil",
    "....//evil.wav",
    "\u2025/evil.wav",
    "~/evil.wav",
    "%2e%2e/evil.wav",
)
NAMES = {
    "300 bytes": f"{FOLDER}0_{'a' * 300}_0.wav",
    "255 bytes": f"{FOLDER}0_{'a' * 247}_0.wav",
    "256 bytes": f"{FOLDER}0_{'a' * 248}_0.wav",
    "100 wide characters": f"{FOLDER}0_" + "\u97f3" * 100 + "_0.wav",
    "a path of 5,000": "fsdd/" + "/".join(["d" * 100] * 50) + "/x.wav",
    "2,000 folders deep": "fsdd/" + "/".join(["d"] * 2_000) + "/x.wav",
    "500 folders deep": "fsdd/" + "/".join(["d"] * 500) + "/x.wav",
    "a line's end": f"{FOLDER}0_a\nb_0.wav",
    "an escape": f"{FOLDER}0_a\x1b[31mb_0.wav",
    "right to left": f"{FOLDER}0_a\u202eb_0.wav",
    "nothing": "",
    "a dot": ".",
    "a slash at its end": f"{FOLDER}x/",
    "no UTF-8": f"{FOLDER}0_jos\udce9_0.wav",
    "half a pair": f"{FOLDER}0_\ud800_0.wav",
    "hidden": f"{FOLDER}.0_ann_0.wav",
    "a device of Windows": f"{FOLDER}NUL",
    "a blank at its end": f"{FOLDER}0_eve_0.wav ",
    "a null": f"{FOLDER}0_e\0ve_0.wav",
    "two slashes": "fsdd//recordings//0_eve_0.wav",
    "a digit of another script": f"{FOLDER}\u0663_eve_0.wav",
    "a long index": f"{FOLDER}0_eve_{'9' * 200}.wav",
    "a star": f"{FOLDER}0_*_0.wav",
}
FIRST = RECORDINGS[0][0]
CLASHES: dict[str, Further] = {
    "the same name twice": [(FIRST, ANOTHER)],
    "the same name and content twice": [RECORDINGS[0]],
    "the same name written otherwise": [("fsdd/recordings/./0_ann_0.wav", ANOTHER)],
    "the same name with two slashes": [("fsdd//recordings/0_ann_0.wav", ANOTHER)],
    "the same name by a way round": [("fsdd/x/../recordings/0_ann_0.wav", ANOTHER)],
    "capital letters": [(f"{FOLDER}0_ANN_0.wav", ANOTHER)],
    "composed and decomposed": [(f"{FOLDER}0_\u00e9_0.wav", ANOTHER), (f"{FOLDER}0_e\u0301_0.wav", ANOTHER)],
    "a file that is a folder": [(f"{FIRST}/x", EVIL)],
    "a folder that is a file": [("fsdd/q/", b""), ("fsdd/q", EVIL)],
    "the recordings' folder is a file": [("fsdd/recordings", EVIL)],
    "a manifest": [("fsdd/manifest.json", b'{"dataset": "x"}')],
    "a folder for the manifest": [("fsdd/manifest.json/x", EVIL)],
    "a folder for the manifest's other name": [("fsdd/.manifest.json.tmp/x", EVIL)],
    "a placeholder": [("fsdd/.gitkeep", EVIL)],
    "a folder called as a recording": [(f"{FOLDER}0_dir_0.wav/inner.txt", EVIL)],
    "an archive in it": [("fsdd/inner.zip", zipped(GOOD))],
    "a second data set": [("also/recordings/0_eve_0.wav", ANOTHER)],
}


def _entry(name: str, kind: bytes, link: str = "", **fields: object) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, link
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry


def _tar_entries(folder: Path) -> dict[str, Further]:
    """Links, devices and extended headers."""
    eve, other = f"{FOLDER}9_eve_0.wav", f"{FOLDER}9_eve_1.wav"
    soft, hard = tarfile.SYMTYPE, tarfile.LNKTYPE
    regular = tarfile.REGTYPE
    deep = [(_entry(f"{FOLDER}9_eve_{n}.wav", soft, f"9_eve_{n + 1}.wav"), None) for n in range(2_000)]
    return {
        "link to a place": [(_entry(eve, soft, f"{folder}/case/secret"), None)],
        "link upwards": [(_entry(eve, soft, "../../../../../secret"), None)],
        "link inside": [(_entry(eve, soft, "0_ann_0.wav"), None)],
        "link to nothing": [(_entry(eve, soft, "nope.wav"), None)],
        "link without a target": [(_entry(eve, soft, ""), None)],
        "links in a loop": [(_entry(eve, soft, "9_eve_1.wav"), None), (_entry(other, soft, "9_eve_0.wav"), None)],
        "link to itself": [(_entry(eve, soft, "9_eve_0.wav"), None)],
        "links in a row": [(_entry(eve, soft, "9_eve_1.wav"), None), (_entry(other, soft, "0_ann_0.wav"), None)],
        "2,000 links in a row": [*deep, (f"{FOLDER}9_eve_2000.wav", ANOTHER)],
        "link to a folder, and a file in it": [(_entry("fsdd/l", soft, "recordings"), None), ("fsdd/l/x.wav", EVIL)],
        "link outside, and a file in it": [(_entry("fsdd/l", soft, str(folder)), None), ("fsdd/l/evil.wav", EVIL)],
        "hard link outside": [(_entry(eve, hard, "../../secret"), None)],
        "hard link to a place": [(_entry(eve, hard, f"{folder}/case/secret"), None)],
        "hard link inside": [(_entry(eve, hard, FIRST), None)],
        "hard link to itself": [(_entry(eve, hard, eve), None)],
        "hard link to a folder": [(_entry("fsdd/d", tarfile.DIRTYPE), None), (_entry(eve, hard, "fsdd/d"), None)],
        "hard link to what comes later": [(_entry(eve, hard, other), None), (other, ANOTHER)],
        "link over a recording": [(_entry(FIRST, soft, "../../../secret"), None)],
        "a character device": [(_entry("fsdd/dev", tarfile.CHRTYPE, devmajor=1, devminor=3), None)],
        "a block device": [(_entry("fsdd/dev", tarfile.BLKTYPE, devmajor=1, devminor=3), None)],
        "a pipe": [(_entry("fsdd/dev", tarfile.FIFOTYPE), None)],
        "a pipe for a recording": [(_entry(eve, tarfile.FIFOTYPE), None)],
        "a contiguous file": [(_entry(eve, tarfile.CONTTYPE), ANOTHER)],
        "an unknown kind": [(_entry(eve, b"Z"), ANOTHER)],
        "a path in the extended header": [(_entry("ok.wav", regular, pax_headers={"path": "../../evil.wav"}), EVIL)],
        "a size in the extended header": [(_entry(eve, regular, pax_headers={"size": "-5"}), ANOTHER)],
        "a huge size in the extended header": [(_entry(eve, regular, pax_headers={"size": "9" * 25}), ANOTHER)],
        "a huge extended header": [(_entry(eve, regular, pax_headers={"comment": "A" * 5 * MEGABYTE}), ANOTHER)],
        "no numbers in the extended header": [(_entry(eve, regular, pax_headers={"mtime": "x", "uid": "y"}), ANOTHER)],
        "sparse by its extended header": [
            (_entry(eve, regular, pax_headers={"GNU.sparse.size": str(1 << 50), "GNU.sparse.numblocks": "0"}), ANOTHER)
        ],
        "a long time ago": [(_entry(eve, regular, mtime=-1), ANOTHER)],
        "everybody may write": [(_entry(eve, regular, mode=0o7777), ANOTHER)],
        "nobody may read": [(_entry(eve, regular, mode=0), ANOTHER)],
        "a folder nobody may enter": [(_entry("fsdd/d", tarfile.DIRTYPE, mode=0), None), ("fsdd/d/x", EVIL)],
    }


def _link(name: str, kind: int = stat.S_IFLNK) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr = 3, (kind | 0o777) << 16
    return entry


def _zip_links(folder: Path) -> dict[str, Further]:
    eve, other = f"{FOLDER}9_eve_0.wav", f"{FOLDER}9_eve_1.wav"
    outside = str(folder).encode()
    return {
        "link to a place": [(_link(eve), outside + b"/case/secret")],
        "link upwards": [(_link(eve), b"../../../../../secret")],
        "link inside": [(_link(eve), b"0_ann_0.wav")],
        "link to nothing": [(_link(eve), b"nope.wav")],
        "link without a target": [(_link(eve), b"")],
        "links in a loop": [(_link(eve), b"9_eve_1.wav"), (_link(other), b"9_eve_0.wav")],
        "links in a row": [(_link(eve), b"9_eve_1.wav"), (_link(other), b"0_ann_0.wav")],
        "link to itself": [(_link(eve), b"9_eve_0.wav")],
        "link outside, and a file in it": [(_link("fsdd/l"), outside), ("fsdd/l/evil.wav", EVIL)],
        "link to a folder, and a file in it": [(_link("fsdd/l"), b"recordings"), ("fsdd/l/x.wav", EVIL)],
        "link with a null": [(_link(eve), b"a\0b")],
        "link that is no UTF-8": [(_link(eve), b"jos\xe9.wav")],
        "link of 5 MB": [(_link(eve), b"A" * 5 * MEGABYTE)],
        "a pipe": [(_link(eve, stat.S_IFIFO), ANOTHER)],
        "a device": [(_link(eve, stat.S_IFCHR), ANOTHER)],
    }


def _patched(mark: bytes, place: int, value: bytes, last: bool = False, base: bytes | None = None) -> Made:
    """A zip archive in which the first (or last) structure of a kind has other bytes somewhere."""
    content = bytearray(zipped(GOOD) if base is None else base)
    start = (content.rfind(mark) if last else content.find(mark)) + place
    whole = content[start : start + len(value)] == value
    content[start : start + len(value)] = value
    return Made(bytes(content), is_whole=whole)


METHODS = (1, 6, 9, 12, 14, 93, 95, 98, 99)
ENTRY, LOCAL, END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"


def _raw_zip(name: bytes, compressed: bytes, size: int, checksum: int, copies: int = 1) -> Made:
    """The recordings and ``copies`` entries that share one compressed content and say it has ``size`` bytes."""
    good = zipped(GOOD)
    start = good.rfind(END)
    count, (length, offset) = struct.unpack_from("<H", good, start + 10)[0], struct.unpack_from("<II", good, start + 12)
    sizes = struct.pack("<III", checksum, len(compressed), size)
    local = LOCAL + struct.pack("<HHHHH", 20, 0, 8, 0, 0x21) + sizes + struct.pack("<HH", len(name), 0) + name
    entry = ENTRY + struct.pack("<HHHHHH", 20, 20, 0, 8, 0, 0x21) + sizes
    entry += struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, offset) + name
    directory = good[offset : offset + length] + entry * copies
    total = min(count + copies, 0xFFFF)
    end = END + struct.pack("<HHHHIIH", 0, 0, total, total, len(directory), offset + len(local) + len(compressed), 0)
    return Made(good[:offset] + local + compressed + directory + end)


@cache
def _zeros(megabytes: int) -> tuple[bytes, int]:
    """Zeros as they are compressed in a zip, and their checksum."""
    compress, checksum = zlib.compressobj(9, zlib.DEFLATED, -15), 0
    # Flushed, a piece stands for itself and can be repeated.
    piece = compress.compress(bytes(MEGABYTE)) + compress.flush(zlib.Z_FULL_FLUSH)
    for _ in range(megabytes):
        checksum = zlib.crc32(bytes(MEGABYTE), checksum)
    return piece * megabytes + compress.flush(), checksum


def _bomb(megabytes: int, announced: int | None = None, copies: int = 1) -> Made:
    compressed, checksum = _zeros(megabytes)
    size = megabytes * MEGABYTE if announced is None else announced
    return _raw_zip(f"{FOLDER}9_bomb_0.wav".encode(), compressed, size, checksum, copies)


def _flagged(flag: int, everywhere: bool) -> Made:
    content = bytearray(zipped(GOOD))
    for mark, place in ((ENTRY, 8), (LOCAL, 6)):
        start = content.find(mark)
        while start >= 0:
            content[start + place] |= flag
            start = content.find(mark, start + 4) if everywhere else -1
    return Made(bytes(content))


def _bad_utf8() -> Made:
    good = zipped([*GOOD, (f"{FOLDER}0_jose_0.wav", ANOTHER)])
    content = bytearray(good.replace(b"0_jose_0", b"0_jos\xe9_0"))
    start = content.rfind(ENTRY)
    content[start + 9] |= 8
    content[content.rfind(LOCAL) + 7] |= 8
    return Made(bytes(content), (ANOTHER,))


ZIP_STRUCTURES: dict[str, Callable[[], Made]] = {
    "encrypted": partial(_flagged, 1, True),
    "one member encrypted": partial(_flagged, 1, False),
    "strongly encrypted": partial(_flagged, 0x40, True),
    "patch data": partial(_flagged, 0x20, True),
    "lengths after the content": partial(_flagged, 8, True),
    "names that are no UTF-8": _bad_utf8,
    "a local name that differs": lambda: Made(zipped(GOOD).replace(b"0_ann_0.wav", b"0_anx_0.wav", 1)),
    **{
        f"compressed by method {m}": partial(_patched, ENTRY, 10, bytes([m])) for m in (1, 6, 9, 12, 14, 93, 95, 98, 99)
    },
    "announces 4 GB": partial(_patched, ENTRY, 24, b"\xf0\xff\xff\xff"),
    "announces 10 bytes": partial(_patched, ENTRY, 24, b"\x0a\0\0\0"),
    "announces nothing": partial(_patched, ENTRY, 24, bytes(4)),
    "announces 10 compressed bytes": partial(_patched, ENTRY, 20, b"\x0a\0\0\0"),
    "announces 4 GB of compressed bytes": partial(_patched, ENTRY, 20, b"\xf0\xff\xff\xff"),
    "a wrong checksum": partial(_patched, ENTRY, 16, b"\x01\x02\x03\x04"),
    "65,535 entries": partial(_patched, END, 8, b"\xff\xff\xff\xff", True),
    "no entries": partial(_patched, END, 8, bytes(4), True),
    "one entry less": lambda: _patched(END, 8, struct.pack("<HH", len(GOOD) - 1, len(GOOD) - 1), True),
    "one entry more": lambda: _patched(END, 8, struct.pack("<HH", len(GOOD) + 1, len(GOOD) + 1), True),
    "a directory far away": partial(_patched, END, 16, b"\xff\xff\xff\x7f", True),
    "a long directory": partial(_patched, END, 12, b"\xff\xff\xff\x7f", True),
    "no directory": partial(_patched, END, 12, bytes(4), True),
    "several disks": partial(_patched, END, 4, b"\1\0\1\0", True),
    "a local head far away": partial(_patched, ENTRY, 42, b"\xff\xff\xff\x7f"),
    "a long name": partial(_patched, ENTRY, 28, b"\xff\xff"),
    "a long extra field": partial(_patched, ENTRY, 30, b"\xff\xff"),
    "a long comment": partial(_patched, ENTRY, 32, b"\xff\xff"),
    "needs version 9.0": partial(_patched, ENTRY, 6, b"\x5a"),
    "a date that is none": partial(_patched, ENTRY, 12, b"\xff" * 4),
    "sizes of 64 bits that are not there": partial(_patched, ENTRY, 20, b"\xff" * 8),
    "what it is told with a null": lambda: _patched(ENTRY, 46 + len(FOLDER), b"\0", base=zipped(RECORDINGS)),
    "a bomb that says it is small": partial(_bomb, 100, 1_000),
    "a bomb that says what it is": partial(_bomb, 1_600),
    "a bomb of entries that overlap": partial(_bomb, 100, None, 60_000),
    "4 GB that are none": partial(_bomb, 1, 0xFFFFFFF0),
    "something before it": lambda: Made(b"#!/bin/sh\n" * 50 + zipped(GOOD)),
    "something after it": lambda: Made(zipped(GOOD) + b"x" * 500),
    "a comment": lambda: Made(zipped(GOOD)[:-2] + struct.pack("<H", 500) + b"c" * 500),
    "two of them": lambda: Made(zipped(RECORDINGS[:3]) + zipped(GOOD)),
    "an archive of an archive": lambda: Made(zipped([("fsdd.zip", zipped(GOOD))]), is_whole=False),
    "5,000 empty members": lambda: Made(zipped(GOOD, further=[(f"fsdd/e/{n}", b"") for n in range(5_000)]), (b"",)),
}


def _headed(entry: tarfile.TarInfo, content: bytes = b"", before: Members = GOOD) -> Made:
    """The recordings, then a member by its header alone."""
    good = tarred(before, tarfile.GNU_FORMAT)[:-10_240].rstrip(b"\0")
    good += bytes(-len(good) % 512)
    return Made(good + entry.tobuf(tarfile.GNU_FORMAT) + content + bytes(1_024), (ANOTHER,))


def _sized(size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(f"{FOLDER}9_big_0.wav")
    entry.size = size
    return entry


def _negative() -> Made:
    header = bytearray(_sized(0).tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 12
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + sum(header[156:]) + 8 * 32)
    return Made(tarred(GOOD)[:-10_240] + bytes(header) + bytes(1_024), is_whole=False)


def _compressed_bomb(compress: Callable[[bytes], bytes], megabytes: int, named: bool) -> Made:
    """A tar whose last member, or what follows it, is zeros only; compressed files can be joined."""
    entry = [_sized(megabytes * MEGABYTE).tobuf(tarfile.GNU_FORMAT)] if named else []
    start = compress(b"".join([tarred(GOOD, tarfile.GNU_FORMAT)[: -10_240 if named else None], *entry]))
    return Made(start + compress(bytes(16 * MEGABYTE)) * (megabytes // 16) + compress(bytes(1_024)))


def _extended(kind: bytes, megabytes: int) -> Made:
    """A header of a kind whose content the reader keeps in memory."""
    entry = tarfile.TarInfo("././@LongLink")
    entry.type, entry.size = kind, megabytes * MEGABYTE
    start = gzip.compress(entry.tobuf(tarfile.GNU_FORMAT))
    return Made(start + gzip.compress(b"a" * 16 * MEGABYTE) * (megabytes // 16) + gzip.compress(tarred(GOOD)))


def _sparse() -> Made:
    """A sparse file of the old GNU kind that says it has a petabyte."""
    header = bytearray(_sized(0).tobuf(tarfile.GNU_FORMAT))
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[386:482] = bytes(96)
    header[482:483] = b"\0"
    header[483:495] = b"%011o\0" % ((1 << 33) - 1)
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + sum(header[156:]) + 8 * 32)
    return Made(tarred(GOOD, tarfile.GNU_FORMAT)[:-10_240] + bytes(header) + bytes(1_024))


TAR_STRUCTURES: dict[str, Callable[[], Made]] = {
    "announces a petabyte": lambda: _headed(_sized(1 << 50)),
    "announces more than is there": lambda: _headed(_sized(5_000), ANOTHER[:100]),
    "a negative size": _negative,
    "a sparse petabyte": _sparse,
    "a bomb of a member, gzip": lambda: _compressed_bomb(gzip.compress, 1_600, True),
    "a bomb of a member, bzip2": lambda: _compressed_bomb(bz2.compress, 1_600, True),
    "a bomb of a member, xz": lambda: _compressed_bomb(lzma.compress, 1_600, True),
    "a bomb behind its end": lambda: _compressed_bomb(gzip.compress, 1_600, False),
    "a bomb as a long name": partial(_extended, tarfile.GNUTYPE_LONGNAME, 500),
    "a bomb as an extended header": partial(_extended, tarfile.XHDTYPE, 500),
    "a bomb as a global header": partial(_extended, tarfile.XGLTYPE, 500),
    "a long link": partial(_extended, tarfile.GNUTYPE_LONGLINK, 500),
    "nothing in it": lambda: Made(bytes(10_240), is_whole=False),
    "one zero block at its end": lambda: Made(tarred(GOOD).rstrip(b"\0") + bytes(512), is_whole=False),
    "two archives joined": lambda: Made(tarred(GOOD) + tarred([(f"{FOLDER}9_eve_0.wav", ANOTHER)]), is_whole=False),
    "gzip of two parts": lambda: Made(_split_gzip()),
    "gzip twice": lambda: Made(gzip.compress(gzip.compress(tarred(GOOD)))),
    "gzip with zeros behind": lambda: Made(gzip.compress(tarred(GOOD)) + bytes(5_000)),
    "gzip with bytes behind": lambda: Made(gzip.compress(tarred(GOOD)) + b"x" * 5_000),
    "gzip of a zip": lambda: Made(gzip.compress(zipped(GOOD))),
    "xz without a checksum": lambda: Made(lzma.compress(tarred(GOOD), check=lzma.CHECK_NONE)),
    "the older lzma": lambda: Made(lzma.compress(tarred(GOOD), format=lzma.FORMAT_ALONE)),
    "5,000 empty members": lambda: Made(tarred(GOOD, further=[(f"fsdd/e/{n}", b"") for n in range(5_000)]), (b"",)),
}


def _split_gzip() -> bytes:
    plain = tarred(GOOD)
    return gzip.compress(plain[:5_000]) + gzip.compress(plain[5_000:])


NO_ARCHIVES = {
    "nothing": b"",
    "text": b"not an archive",
    "an empty zip": END + bytes(18),
    "the head of a zip": LOCAL,
    "the head of gzip": b"\x1f\x8b\x08",
    "the head of xz": b"\xfd7zXZ\0",
    "the head of bzip2": b"BZh9",
    "7z": b"7z\xbc\xaf\x27\x1c" + bytes(600),
    "rar": b"Rar!\x1a\x07\x01\0" + bytes(600),
    "zstd": b"\x28\xb5\x2f\xfd" + bytes(600),
    "a page": b"<!DOCTYPE html><title>Log in</title>" * 40,
    "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "a recording": ANOTHER,
    "gzip of no tar": gzip.compress(README),
}


def _unreadable(folder: Path) -> None:
    (folder / "9_eve_0.wav").write_bytes(ANOTHER)
    (folder / "9_eve_0.wav").chmod(0)


def _not_utf8(folder: Path) -> None:
    os.rename(folder / "0_ann_0.wav", os.fsencode(folder) + b"/0_jos\xe9_9.wav")
    (folder / "0_ann_0.wav").write_bytes(RECORDINGS[0][1])


def _loops(folder: Path) -> None:
    for name in ("one", "two"):
        (folder / name).symlink_to("..")


FOLDERS: dict[str, Callable[[Path], None]] = {
    "as it should be": lambda _: None,
    "a pipe": lambda folder: os.mkfifo(folder / "9_eve_0.wav"),
    "a link to a pipe": lambda folder: (os.mkfifo(folder.parents[1] / "pipe"), _to(folder, "../../pipe"))[-1],  # type: ignore[func-returns-value]
    "a link to /dev/zero": lambda folder: _to(folder, "/dev/zero"),
    "a link to /dev/null": lambda folder: _to(folder, "/dev/null"),
    "a link to nothing": lambda folder: _to(folder, "nope"),
    "a link to itself": lambda folder: _to(folder, "9_eve_0.wav"),
    "links that lead upwards": _loops,
    "a folder called as a recording": lambda folder: (folder / "9_eve_0.wav").mkdir(),
    "a name that is no UTF-8": _not_utf8,
    "a file nobody may read": _unreadable,
}


def _to(folder: Path, target: str) -> None:
    (folder / "9_eve_0.wav").symlink_to(target)
