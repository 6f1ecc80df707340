"""Damaged result stores: loading gives the true rows or one sentence, running again the true rows or one sentence.

What is refused is deleted, as the sentence says, and the study is run once more: then the rows have to be there.
"""

import contextlib
import json
import os
import random
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from benchmarks.reliability.tally import Outcome, Tally, Verdict, how_many, in_children, refusal, written_outside

from audioxai.utils.errors import UserError

CASES = 1_000
LIMIT_S = 120.0
NOBODY = 65_534
# Files of a finished study, below the folder that holds results and checkpoints.
KINDS = {
    "rows": "results/metrics/sounds/*/*.parquet",
    "attributions": "results/attributions/*/*-*.safetensors",
    "inputs": "results/attributions/*/inputs.safetensors",
    "curves": "results/attributions/*/curves-*.safetensors",
    "manifest": "results/metrics/manifests/*.json",
    "card": "checkpoints/*.json",
    "weights": "checkpoints/*.safetensors",
    "log": "results/logs/*.jsonl",
}
Damage = Callable[[Path, random.Random], None]


def run(scale: float, seed: int, folder: Path) -> Tally:
    """Make a finished study, and damage copies of it."""
    from helpers.tiny_data import write_class_folders

    write_class_folders(folder / "sounds")
    # Whoever must not write has to be able to read.
    for place in (folder, folder.parent):
        place.chmod(0o755)
    (finished,) = in_children(_finish, [str(folder / "base")], LIMIT_S * 5)
    if finished.verdict is not Verdict.USED:
        return Tally.of("stores", [("the store that is copied", finished)])
    chance, cases, names = random.Random(seed), [], []
    for number in range(how_many(CASES, scale)):
        damage = list(DAMAGES)[number % len(DAMAGES)] if number < CASES // 2 else chance.choice(list(DAMAGES))
        kind = chance.choice(list(KINDS))
        names.append(f"{number}: {damage} of {kind}")
        cases.append((str(folder), number, damage, kind, chance.randrange(2**31)))
    changed = written_outside(folder, folder / "work")
    outcomes = list(zip(names, in_children(_judge, cases, LIMIT_S), strict=True))
    outcomes += [("the store that was copied", Outcome(Verdict.OUTSIDE, place)) for place in changed()]
    return Tally.of("stores", outcomes)


def _study(folder: Path) -> Any:
    from helpers.tiny_studies import METRICS, options_in, study_of

    from audioxai.experiment import MetricSpec, Plan
    from audioxai.experiment.models import forget
    from audioxai.experiment.runner import _ensured

    forget()
    _ensured.cache_clear()
    metrics = (*METRICS, "removal_worst", "removal_silence", "removal_noise")
    study = study_of(
        folder.parent / "sounds" if folder.name == "base" else folder.parents[1] / "sounds",
        seeds=(0, 1),
        metrics=tuple(MetricSpec(name) for name in metrics),
        settings={"runs": 6, "draws": 2, "alternatives": 2, "steps": 3},
        references=8,
    )
    return Plan(study, options_in(folder, threads=1))


def _finish(folder: str) -> Outcome:
    from audioxai.experiment import run as carry_out

    carry_out(_study(Path(folder)))
    return Outcome(Verdict.USED)


def _judge(case: tuple[str, int, str, str, int]) -> Outcome:
    """What loading and running again make of one damaged copy."""
    folder, number, damage, kind, seed = Path(case[0]), *case[1:]
    work = folder / "work" / f"{number:05d}"
    shutil.copytree(folder / "base", work)
    chance = random.Random(seed)
    path = chance.choice(sorted(work.glob(KINDS[kind])))
    DAMAGES[damage](path, chance)
    with _without_rights(damage in FORBIDDING):
        outcomes = [_of(lambda: _opened(work, folder / "base")), _of(lambda: _run_again(work, folder / "base"))]
    if outcomes[1].verdict is Verdict.REFUSED:
        outcomes.append(_of(lambda: _repaired(work, folder / "base")))
    _allow(work)
    shutil.rmtree(work)
    faults = [outcome for outcome in outcomes if outcome.verdict not in (Verdict.USED, Verdict.REFUSED)]
    refused = [outcome for outcome in outcomes if outcome.verdict is Verdict.REFUSED]
    if len(outcomes) == 3 and outcomes[2].verdict is Verdict.REFUSED:
        faults.append(Outcome(Verdict.WRONG, f"still refused when what was damaged is gone: {outcomes[2].said}"))
    return next(iter([*faults, *refused, *outcomes]))


def _of(act: Callable[[], str]) -> Outcome:
    try:
        wrong = act()
    except UserError as error:
        return refusal(str(error))
    except OSError as error:
        # The command lines make a sentence of these; all else is for the caller.
        from audioxai.utils.commands import storage_errors

        try:
            with storage_errors():
                raise error
        except UserError as sentence:
            return refusal(str(sentence))
    return Outcome(Verdict.WRONG, wrong) if wrong else Outcome(Verdict.USED)


def _opened(work: Path, base: Path) -> str:
    """What is wrong with rows and tensors as they are loaded; empty if nothing is."""
    from audioxai.results import ResultSet

    results, (rows, tensors) = ResultSet.open(work / "results", "sounds"), _truth(base)
    found = _sorted(results.rows)
    if results.missing:
        due = rows.merge(found[_KEYS].drop_duplicates(), on=_KEYS)
        if len(due) != len(found) or len(found) == len(rows):
            return f"{len(found)} rows and {results.missing} missing shards"
        rows = due
    if not found.equals(_sorted(rows)):
        return "other rows are loaded"
    for name, values in _tensors(results).items():
        if values != tensors[name]:
            return f"other {name} are loaded"
    return ""


def _run_again(work: Path, base: Path) -> str:
    """What is wrong with the rows after another run; empty if nothing is."""
    from audioxai.experiment import results_of
    from audioxai.experiment import run as carry_out

    plan = _study(work)
    carry_out(plan)
    if not _sorted(results_of(plan).rows).equals(_truth(base)[0]):
        return "other rows after another run"
    return "" if not list(work.rglob("*.partial")) else "a half-written file is left"


def _repaired(work: Path, base: Path) -> str:
    """What is wrong after all that differs from the undamaged copy was deleted."""
    _allow(work)
    for place in sorted(work.rglob("*"), reverse=True):
        twin, link = base / place.relative_to(work), place.is_symlink()
        same = not link and place.is_file() and twin.is_file() and place.read_bytes() == twin.read_bytes()
        if not same and (link or not place.is_dir() or not twin.is_dir()):
            _remove(place)
    return _run_again(work, base)


_KEYS = ["training_seed", "method", "gradients", "metric"]


@cache
def _truth(base: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    from audioxai.results import ResultSet

    results = ResultSet.open(base / "results", "sounds")
    return _sorted(results.rows), _tensors(results)


def _sorted(rows: pd.DataFrame) -> pd.DataFrame:
    from helpers.tiny_studies import sorted_rows

    return sorted_rows(rows).reset_index(drop=True)


def _tensors(results: Any) -> dict[str, Any]:
    """Everything that cells hold, as plain values that can be compared."""
    held: dict[str, Any] = {}
    for number, cell in enumerate(results.cells):
        held[f"samples of cell {number}"] = (cell.ids, cell.groups)
        held |= {f"{name} of cell {number}": value.tolist() for name, value in cell.inputs().items()}
        for method in cell.budgets:
            made, curves = cell.attributions(method), cell.curves(method)
            held[f"attributions of {method} of cell {number}"] = (made.values.tolist(), made.domain, made.passes)
            held[f"curves of {method} of cell {number}"] = None if curves is None else [one.tolist() for one in curves]
    return held


def _flip(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def _flip_many(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(chance.randint(2, 60)):
        content[chance.randrange(len(content))] = chance.randrange(256)
    path.write_bytes(content)


def _flip_the_end(path: Path, chance: random.Random) -> None:
    """In the last kilobyte: the footer of Parquet."""
    content = bytearray(path.read_bytes())
    content[-chance.randint(1, min(1_000, len(content)))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def _flip_the_beginning(path: Path, chance: random.Random) -> None:
    """In the first kilobyte: the header of safetensors."""
    content = bytearray(path.read_bytes())
    content[chance.randrange(min(1_000, len(content)))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def _zero_a_block(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    first = 4_096 * chance.randrange(-(-len(content) // 4_096))
    content[first : first + 4_096] = bytes(len(content[first : first + 4_096]))
    path.write_bytes(content)


def _cut(path: Path, chance: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: chance.randrange(len(content))])


def _cut_a_piece_out(path: Path, chance: random.Random) -> None:
    content = path.read_bytes()
    first = chance.randrange(len(content))
    path.write_bytes(content[:first] + content[first + chance.randint(1, 200) :])


def _append(path: Path, chance: random.Random) -> None:
    path.write_bytes(path.read_bytes() + chance.randbytes(chance.randint(1, 5_000)))


def _garbage(path: Path, chance: random.Random) -> None:
    path.write_bytes(
        chance.choice([b"", b"x", b"null", b"[]", b"{}", b"[" * 50_000, b"PAR1" * 9, chance.randbytes(999)])
    )


def _swap(path: Path, chance: random.Random) -> None:
    other = _another(path, chance)
    content = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(content)


def _copy_over(path: Path, chance: random.Random) -> None:
    shutil.copyfile(_another(path, chance), path)


def _another(path: Path, chance: random.Random) -> Path:
    """A file of the same suffix elsewhere in the store, any file if it is the only one."""
    others = [place for place in _root(path).rglob(f"*{path.suffix}") if place != path]
    return chance.choice(sorted(others or [place for place in _root(path).rglob("*.*") if place != path]))


def _root(path: Path) -> Path:
    """Folder that holds results and checkpoints."""
    return next(folder for folder in path.parents if folder.parent.name == "work")


def _remove(path: Path, _: object = None) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _remove_folder(path: Path, _: random.Random) -> None:
    shutil.rmtree(path.parent)


def _no_file(path: Path, chance: random.Random) -> None:
    path.unlink()
    target = chance.choice(["a folder", "a pipe", "/dev/zero", "nowhere", path.name])
    if target == "a folder":
        path.mkdir()
    elif target == "a pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(target)


def _extra(path: Path, chance: random.Random) -> None:
    """Files that nobody asked for, next to it and everywhere."""
    names = (
        "x.parquet",
        "weird.json",
        "a-b-c.json",
        ".x.tmp",
        "x.safetensors",
        "x.training",
        "-.json",
        "sounds-.json",
    )
    for place in (path.parent, *(folder for folder in _root(path).rglob("*") if folder.is_dir())):
        (place / chance.choice(names)).write_bytes(chance.choice([b"", b"{}", b"junk", path.read_bytes()]))
    Path(os.fsdecode(os.fsencode(path.parent) + b"/jos\xe9-x.json")).write_bytes(b"{}")


def _read_only(path: Path, _: random.Random) -> None:
    for place in (*_root(path).rglob("*"), _root(path)):
        place.chmod(0o555 if place.is_dir() else 0o444)


def _unreadable(path: Path, chance: random.Random) -> None:
    chance.choice([path, path.parent]).chmod(0)


def _old_time(path: Path, chance: random.Random) -> None:
    os.utime(path, (chance.choice([0, 2**31, 2**33]),) * 2)


def _edited(path: Path, chance: random.Random) -> None:
    """A word or number of it changed, as by hand; in Parquet by writing the file anew."""
    if path.suffix == ".parquet":
        frame = pd.read_parquet(path)
        column = chance.choice(list(frame.columns))
        frame[column] = frame[column].sample(frac=1.0, random_state=chance.randrange(9)).to_numpy()
        frame.loc[0, "score"] = chance.random()
        frame.to_parquet(path)
        return
    content = path.read_bytes()
    words = [
        word for word in (b"sounds", b"saliency", b"silence", b"random", b"bell", b"sparseness") if word in content
    ]
    word = chance.choice(words or [content[:3]])
    path.write_bytes(content.replace(word, word[::-1], chance.randint(1, 3)))


def _another_version(path: Path, chance: random.Random) -> None:
    """As a past or future version would have written it, its own digest being right."""
    if path.suffix == ".json":
        content = json.loads(path.read_text(encoding="utf-8"))
        change = chance.randrange(4)
        if change == 0:
            content["format"] = chance.choice([0, 99, "1", None])
        elif change == 1:
            del content[chance.choice(sorted(content))]
        elif change == 2:
            content[chance.choice(sorted(content))] = chance.choice([None, [], {}, "x", 3, [[]], [{}]])
        else:
            content["unheard of"] = 1
        from audioxai.utils.files import digest_of_json

        content.pop("digest", None)
        path.write_text(json.dumps({**content, "digest": digest_of_json(content)}), encoding="utf-8")
    elif path.suffix == ".parquet":
        frame = pd.read_parquet(path)
        frame.drop(columns=[chance.choice(list(frame.columns))]).to_parquet(path)
    elif path.suffix == ".safetensors":
        from safetensors.torch import load_file, save_file

        save_file(load_file(path), path, chance.choice([None, {"json": "{}"}, {"json": "[]", "digest": ""}]))


DAMAGES: dict[str, Damage] = {
    "a flipped bit": _flip,
    "a flipped bit in the last kilobyte": _flip_the_end,
    "a flipped bit in the first kilobyte": _flip_the_beginning,
    "many other bytes": _flip_many,
    "a zeroed block": _zero_a_block,
    "a cut": _cut,
    "a piece cut out": _cut_a_piece_out,
    "bytes appended": _append,
    "another content": _garbage,
    "a swap": _swap,
    "a copy over it": _copy_over,
    "a loss": _remove,
    "a loss of the folder": _remove_folder,
    "no file in the place": _no_file,
    "extra files": _extra,
    "a read-only store": _read_only,
    "an unreadable place": _unreadable,
    "another time": _old_time,
    "an edit": _edited,
    "another version": _another_version,
}
FORBIDDING = ("a read-only store", "an unreadable place")


@contextlib.contextmanager
def _without_rights(forbidding: bool) -> Iterator[None]:
    """As somebody whom permissions concern; the superuser may read and write everything."""
    if not forbidding or os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def _allow(folder: Path) -> None:
    for place in (folder, *folder.rglob("*")):
        if not place.is_symlink():
            place.chmod(place.stat().st_mode | (stat.S_IRWXU if place.is_dir() else stat.S_IRUSR | stat.S_IWUSR))
