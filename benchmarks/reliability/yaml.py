"""Hostile and mutated study and option files: each is read as it is written, or refused, well under a second."""

import contextlib
import io
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from benchmarks.reliability.tally import Outcome, Tally, Verdict, how_many, in_children, of_exit, written_outside

# Of every kind at scale 1, besides the special ones.
VALUES, MUTATIONS = 1_200, 600
MOST_CPU_SECONDS = 1.0
LIMIT_S = 60.0
STUDY = """\
name: my_sounds
title: Four sounds
question: Which method?
data: {folder: sounds, seed: 0}
model: {architecture: small_cnn, bands: 32, frames: 24, epochs: 2, learning_rate: 0.001, batch_size: 16}
seeds: [0]
samples: 4
methods: [saliency, silence, random]
metrics: [faithfulness_correlation, sparseness, random_logit]
gradients: [8]
settings: {runs: 6, alternatives: 2}
seed: 0
references: 64
results: results
checkpoints: checkpoints
device: cpu
threads: 1
"""
OBJECTIVE_1 = """\
profile: quick
images: digits_8x8
audio: spoken_digits
image_resolutions: [28]
audio_resolutions: [32]
image_epochs: [2]
audio_epochs: [1]
samples_per_seed: 4
methods: [saliency, random]
metrics: [faithfulness_correlation, random_logit]
faithfulness_runs: 6
sensitivity_draws: 1
alternatives: 2
results: results
checkpoints: checkpoints
device: cpu
threads: 1
"""
OBJECTIVE_2 = """\
datasets: [spoken_digits]
resolution: 32
epochs: 1
clips_per_seed: 3
ground_truth_per_seed: 2
ground_truth: [cues, mixtures]
adaptations: [silence, energy]
gradients: [8]
ground_truth_gradients: 8
references: 6
removal_snr_db: 10.0
curve_steps: 3
faithfulness_runs: 6
faithfulness_patches: [1, 8]
device: cpu
threads: 1
"""
GOOD = {"study": STUDY, "objective1": OBJECTIVE_1, "objective2": OBJECTIVE_2}
# Keys that the files above leave out.
MORE_KEYS = {
    "study": (
        *(f"data/{name}" for name in ("name", "table", "file_column", "label_column", "group_pattern", "split")),
        *(f"data/{name}" for name in ("sample_rate_hz", "duration_s", "trim_below_peak_db", "limit")),
        *(f"model/{name}" for name in ("factory", "weights", "input")),
        *("profile", "settings/draws", "settings/fraction", "settings/features", "settings/patch"),
    ),
    "objective1": (
        "audio_split",
        "architecture",
        "image_limit",
        "audio_limit",
        "training_seeds",
        "metric_seed",
        "part",
    ),
    "objective2": ("split", "architectures", "limit", "training_seeds", "metric_seed", "part", "results"),
}
HOSTILE_VALUES = (
    *(
        "null",
        "~",
        "''",
        "x",
        "-1",
        "0",
        "1",
        "2",
        "5",
        "0.25",
        "[5]",
        "[1, 2]",
        "1.5",
        "1e5",
        "-0",
        "+3",
        "032",
        "0x1f",
        "0b1",
        "1_000",
        "1:30",
        "08",
    ),
    *("yes", "no", "on", "off", "true", "false", "True", ".nan", ".inf", "-.inf", "1e400", "2020-01-01", "=", "<<"),
    *(
        "[]",
        "{}",
        "[[1]]",
        "[null]",
        "[1, 1]",
        "[-1]",
        "[1.5]",
        "['6']",
        "'6'",
        '"6"',
        "[x, x]",
        "{a: 1}",
        "{a: {b: 1}}",
    ),
    *(
        "..",
        "../..",
        "/dev/null",
        "'a/b'",
        "'a\\0b'",
        '"a\\0b"',
        '"\\e[31mred"',
        '"\\u202eabc"',
        '"a\\nb"',
        '"\\ud800"',
    ),
    *(
        "|\n  several\n  lines",
        ">\n  folded\n  text",
        "'übung'",
        "💥",
        "*x",
        "&x 1",
        "!!int 3",
        "!!python/name:os.system",
    ),
    *(f"{10**17}", f"{2**63}", "9" * 5_000, "a" * 300, "a" * 50_000, "[" * 50 + "]" * 50, "0/0", "1/0", "3/12", "-1/3"),
)
PYTHON_TAG = '!!python/object/apply:os.system ["touch PWNED"]'
SPECIAL: dict[str, str | bytes] = {
    "tag of a call": f"{PYTHON_TAG}\n",
    "tag of a call in a key": f"name: {PYTHON_TAG}\n",
    "tag of a module": "name: !!python/module:os\n",
    "tag of bytes": "name: !!binary aGk=\n",
    "tag of a set": "methods: !!set {occlusion}\n",
    "tag of our own": "name: !mine x\n",
    "bomb of aliases": 'a: &a ["x","x","x","x","x","x","x","x","x"]\n'
    + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)),
    "bomb in a known key": "methods: &a [&b [&c [x,x,x,x,x,x,x,x,x,x],*c,*c,*c,*c,*c,*c,*c,*c],*b,*b,*b,*b,*b,*b]\n",
    "alias of itself": "methods: &a [*a]\n",
    "map of itself": "data: &a {b: *a}\n",
    "merge key": "<<: {samples: 3}\n",
    "alias that is not there": "name: *x\n",
    "deep lists": f"methods: {'[' * 3_000}{']' * 3_000}\n",
    "deep maps": f"methods: {'{a: ' * 2_000}1{'}' * 2_000}\n",
    "deep indentation": "".join(f"{' ' * depth}a:\n" for depth in range(300)),
    "deep sequences": "- " * 2_000 + "x\n",
    "20,000 unknown keys": "".join(f"k{number}: 1\n" for number in range(20_000)),
    "1,900 unknown keys": "".join(f"k{number}: 1\n" for number in range(900)),
    "long key": f"{'k' * 900}: 1\n",
    "longer key": f"? {'k' * 50_000}\n: 1\n",
    "key twice": "samples: 3\nsamples: 4\n",
    "key twice in a section": "data: {folder: a, folder: b}\n",
    "key twice, quoted": "samples: 3\n'samples': 4\n",
    "two documents": "name: a\n---\nname: b\n",
    "document end": "name: a\n...\nsamples: 5\n",
    "directive": "%YAML 9.9\n---\nname: a\n",
    "empty": "",
    "blank": " \n\n",
    "comment only": "# nothing\n",
    "null": "null\n",
    "list": "- a\n",
    "text": "42\n",
    "NUL": "name: quick\0\n",
    "byte order mark": "\ufeffname: quick\nsampels: 3\n",
    "byte order mark, good": b"BOM",
    "UTF-16": "name: quick\n".encode("utf-16"),
    "UTF-32": "name: quick\n".encode("utf-32"),
    "Latin-1": "name: caf\xe9\n".encode("latin-1"),
    "lone surrogate": b"name: \xed\xa0\x80\n",
    "control characters": b"name: \x01\x02\x7f\n",
    "bytes": bytes(range(256)) * 20,
    "gzip": b"\x1f\x8b\x08\x00" + bytes(500),
    "tabs": "name:\tquick\n\tsamples: x\n",
    "carriage returns": "name: quick\rsamples: 3\r",
    "line separators": "name: a\u2028samples: 3\u2029",
    "long comment": f"#{'#' * 99_000}\n",
    "too long comment": f"#{'#' * 5_000_000}\n",
    "100,000 spaces": " " * 99_000 + "\n",
    "long text": f"name: {'a' * 99_000}\n",
    "long quoted text": f'name: "{"a " * 40_000}"\n',
    "open quote": f'name: "{"a" * 50_000}\n',
    "open list": f"methods: [{'a, ' * 30_000}\n",
    "commas": f"methods: [{',' * 50_000}]\n",
    "question marks": "? " * 20_000 + "\n",
    "dashes": "-\n" * 40_000,
    "colons": ": " * 30_000,
    "percent signs": "%" * 50_000,
    "braces": "{" * 50_000,
    "exclamation marks": f"name: {'!' * 50_000} x\n",
    "ampersands": f"name: {'&' * 50_000} x\n",
    "block text": f"name: |\n{'  x' * 20_000}\n",
    "empty key": "'': 1\n",
    "number as key": "1: 2\n",
    "truth as key": "true: 2\n",
    "null as key": "null: 1\n",
    "list as key": "[a, b]: 2\n",
    "map as key": "{a: b}: 2\n",
    "its own configuration": "config: itself.yaml\n",
    "help": "help: true\n",
    "print_config": "print_config: true\n",
    "debug": "debug: true\n",
    "class_path": "class_path: os.system\ninit_args: {command: touch PWNED}\n",
    "dotted key": "data.folder: sounds\n",
    "attribute of Python": "__class__: int\n__init__: 3\n",
    "format string": "name: '{0.__class__} %s %n ${HOME} $(touch PWNED) `touch PWNED`'\n",
}
Case = tuple[str, str]


def run(scale: float, seed: int, folder: Path) -> Tally:
    """Write the files and have each read by the command that takes it, in a dry run."""
    from helpers.tiny_data import write_class_folders, write_digit_images, write_spoken_digits

    write_class_folders(folder / "sounds")
    write_spoken_digits(folder / "data" / "spoken_digits")
    write_digit_images(folder / "data" / "digits_8x8")
    names, cases = [], []
    for number, (name, kind, content) in enumerate(_files(scale, random.Random(seed))):
        path = folder / f"{number:05d}.yaml"
        path.write_bytes(content)
        names.append(f"{kind}, {name}")
        cases.append((kind, str(path)))
    (folder / "itself").mkdir()
    names, cases = [*names, "folder", "missing"], [*cases, ("study", str(folder / "itself")), ("study", "missing.yaml")]
    changed = written_outside(folder)
    outcomes = list(zip(names, in_children(_read, cases, LIMIT_S), strict=True))
    outcomes += [("a dry run", Outcome(Verdict.OUTSIDE, place)) for place in changed()]
    return Tally.of("yaml", outcomes)


def _files(scale: float, chance: random.Random) -> Iterator[tuple[str, str, bytes]]:
    """Name, kind and content of every file."""
    special = [(name, kind, content) for kind in GOOD for name, content in SPECIAL.items()]
    valued = [
        (f"{key} is {value[:40]}", kind, _with(kind, key, value))
        for kind, good in GOOD.items()
        for key in (*_keys(yaml.safe_load(good)), *MORE_KEYS[kind])
        for value in HOSTILE_VALUES
    ]
    mutated = [(f"mutation {number}", kind) for number in range(MUTATIONS) for kind in [chance.choice(list(GOOD))]]
    yield from (("as it should be", kind, good.encode()) for kind, good in GOOD.items())
    for name, kind, text in _some(special, len(special), scale, chance):
        content = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        yield name, kind, b"\xef\xbb\xbf" + GOOD[kind].encode() if content == b"BOM" else content
    for name, kind, text in _some(valued, VALUES, scale, chance):
        yield name, kind, text.encode()
    for name, kind in mutated[: how_many(MUTATIONS, scale)]:
        yield name, kind, _mutated(GOOD[kind].encode(), chance)


def _some(cases: list[Any], full: int, scale: float, chance: random.Random) -> list[Any]:
    return chance.sample(cases, min(len(cases), how_many(full, scale)))


def _keys(settings: Mapping[str, Any]) -> list[str]:
    inner = [f"{key}/{own}" for key, value in settings.items() if isinstance(value, dict) for own in value]
    return [*settings, *inner]


def _with(kind: str, key: str, value: str) -> str:
    """A good file with a key of another value, written as it is."""
    settings = yaml.safe_load(GOOD[kind])
    section, _, own = key.rpartition("/")
    place = settings.setdefault(section, {}) if section else settings
    place.pop(own, None)
    # A flow of one line, apart from the key, which stands in its own block.
    blocks = {name: content for name, content in settings.items() if name != section}
    inner = "".join(f"  {name}: {_flow(item)}\n" for name, item in place.items()) if section else ""
    indent = "  " if section else ""
    head = f"{section}:\n{inner}" if section else ""
    return (
        yaml.safe_dump(blocks, sort_keys=False) + head + f"{indent}{own}: {value.replace(chr(10), chr(10) + indent)}\n"
    )


def _flow(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).replace("\n...\n", "").strip()


def _mutated(content: bytes, chance: random.Random) -> bytes:
    """A few bytes, lines or stretches of another content, order or number."""
    own = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        place, length = chance.randrange(len(own) or 1), chance.randint(1, 12)
        what = chance.randrange(5)
        if what == 0 and own:
            own[min(place, len(own) - 1)] = chance.choice(b":[]{}&*!|>'\"%@`#-?,\n\t 09az~=<\xff\x00")
        elif what == 1:
            del own[place : place + length]
        elif what == 2:
            own[place:place] = own[place : place + length]
        elif what == 3:
            own[place:place] = bytes(chance.randrange(256) for _ in range(length))
        else:
            lines = own.splitlines(keepends=True)
            chance.shuffle(lines)
            own = bytearray(b"".join(lines))
    return bytes(own)


def _read(case: Case) -> Outcome:
    """What the command line makes of a file; what it takes is compared with what is written."""
    kind, file = case
    path = Path(file)
    os.chdir(path.parent)
    os.environ["AUDIO_XAI_DATA"] = str(path.parent / "data")
    _warm(path.parent)
    started = time.process_time()
    outcome = _planned(kind, path)
    taken = time.process_time() - started
    if (path.parent / "PWNED").exists():
        return Outcome(Verdict.OUTSIDE, "a file ran a command")
    if taken > MOST_CPU_SECONDS:
        return Outcome(Verdict.HANG, f"{taken:.1f} s of CPU time: {outcome.said[:200]}")
    if outcome.verdict is Verdict.USED:
        other = _misread(kind, path)
        return Outcome(Verdict.WRONG, other) if other else Outcome(Verdict.USED)
    return outcome


@cache
def _warm(folder: Path) -> None:
    """Import and read once what every case needs, and is not the case's."""
    for number, kind in enumerate(GOOD):
        outcome = _planned(kind, folder / f"{number:05d}.yaml")
        if outcome.verdict is not Verdict.USED:
            raise AssertionError(outcome.said)


def _planned(kind: str, path: Path) -> Outcome:
    from audioxai.cli import dispatch
    from audioxai.utils.commands import run_command

    own = [str(path)] if kind == "study" else [kind, "--config", str(path)]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as error:
        code = run_command(dispatch, ["run", *own, "--dry-run"])
    return of_exit(code, out.getvalue() + error.getvalue())


def _misread(kind: str, path: Path) -> str:
    """What was taken for something else than is written; empty where nothing was."""
    from audioxai.experiment.declared import StudySection
    from audioxai.studies.command import declared
    from audioxai.utils.configuration import parse
    from audioxai.utils.strict_yaml import parsed, read_yaml

    node: Any = yaml.compose(path.read_bytes().decode("utf-8"), Loader=yaml.BaseLoader)
    if kind == "study":
        return _differs(parsed(StudySection, read_yaml(path), str(path)), node, "")
    study = declared(kind)
    return _differs(parse(study.options_type, study.profiles, "", (), ["--config", str(path)]), node, "")


def _differs(value: Any, node: Any, where: str) -> str:
    """First place at which a value is not what a node of YAML plainly says."""
    if isinstance(node, yaml.MappingNode):
        found = {
            key.value: value[key.value] if isinstance(value, Mapping) else getattr(value, key.value)
            for key, _ in node.value
        }
        if not (is_dataclass(value) or isinstance(value, Mapping)) or len(found) != len(node.value):
            return f"{where} is {value!r}"
        if isinstance(value, Mapping) and set(value) != set(found):
            return f"{where} has the keys {sorted(value)}"
        return next(
            filter(None, (_differs(found[key.value], own, f"{where}/{key.value}") for key, own in node.value)), ""
        )
    if isinstance(node, yaml.SequenceNode):
        if not isinstance(value, list | tuple) or len(value) != len(node.value):
            return f"{where} is {value!r} for {len(node.value)} items"
        return next(filter(None, (_differs(one, own, where) for one, own in zip(value, node.value, strict=True))), "")
    if is_dataclass(value):  # a data set by its name alone
        stated = [field.name for field in fields(value) if getattr(value, field.name) != field.default]
        return _differs(getattr(value, "name", None), node, where) if stated == ["name"] else f"{where} is {value!r}"
    return (
        ""
        if _plainly(node.value, node.style in ("'", '"', "|", ">"), value)
        else f"{where} is {value!r}: {node.value!r}"
    )


def _plainly(text: str, quoted: bool, value: Any) -> bool:
    """Whether a word of YAML is this value to somebody who knows no YAML 1.1."""
    if quoted or isinstance(value, str):
        return bool(value == text)
    readings: dict[type, Callable[[str], Any]] = {
        bool: {"true": True, "false": False}.get,
        type(None): {"": None, "null": None, "~": None}.__getitem__,
        int: int,
        float: float,
    }
    try:
        return bool(readings[type(value)](text) == value)
    except (KeyError, ValueError):
        return False
