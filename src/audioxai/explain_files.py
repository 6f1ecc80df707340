"""Explain many sound files: one page for each and an index of all, which can be stopped and continued."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from audioxai import __version__
from audioxai.api import explain
from audioxai.clips import sound_files
from audioxai.models.loading import Model
from audioxai.report.clip import PAGE, Entry, index_of
from audioxai.utils.errors import UserError
from audioxai.utils.files import plain, write_bytes, write_json
from audioxai.utils.progress import track
from audioxai.xai_methods import METHODS

# Written last, so a folder that has it is complete.
REQUEST = "request.json"


@dataclass(frozen=True)
class Explained:
    """What became of the files.

    Attributes
    ----------
    index : Path
        Page with a table of all.
    entries : tuple of Entry
        Explained files, in their order.
    refused : mapping of str to str
        File → why it could not be explained.
    kept : int
        Files that had been explained in the same way before.
    """

    index: Path
    entries: tuple[Entry, ...]
    refused: Mapping[str, str] = field(default_factory=dict)
    kept: int = 0


def explain_files(
    sounds: Sequence[str | Path],
    model: Model,
    folder: str | Path,
    *,
    progress: bool = False,
    command: Callable[[str], str] | None = None,
    **options: Any,
) -> Explained:
    """Explain sound files, each into a folder of its own.

    Parameters
    ----------
    sounds : sequence of str or Path
        Files, and folders whose sound files are meant.
    model : Model
        What explains them.
    folder : str or Path
        Where the pages and ``index.html`` go.
    progress : bool
        Whether to show what is done, and the time left.
    command : callable, optional
        Name of a file → the command that explains it again, which its page shows.
    **options
        As of :func:`audioxai.explain`.

    Returns
    -------
    Explained
        The index is written also where the work is interrupted; run it again to continue.

    Raises
    ------
    UserError
        If there is nothing to explain, two files would share a folder, or none can be explained.
    """
    folder, files = Path(folder), sound_files([Path(sound) for sound in sounds])
    places = _places(files, [Path(sound) for sound in sounds])
    entries: list[Entry] = []
    refused: dict[str, str] = {}
    kept = 0
    try:
        for file in track(files, len(files), "sounds", "sound") if progress and len(files) > 1 else files:
            place = folder / places[file]
            request = _request(file, model, options)
            if request is not None and _is_there(place, request):
                kept += 1
            else:
                (place / REQUEST).unlink(missing_ok=True)
                try:
                    made = explain(file, model, progress=progress and len(files) == 1, **options)
                except UserError as error:
                    if len(files) == 1:
                        raise
                    refused[plain(str(file))] = str(error)
                    continue
                made = made if command is None else replace(made, command=command(plain(str(file))))
                made.save(place)
                if request is not None:
                    write_json(place / REQUEST, request)
            facts = json.loads((place / "explanation.json").read_text(encoding="utf-8"))
            entries.append(Entry.of(facts, quote(os.fsencode(places[file] / PAGE))))
    finally:
        if entries:
            write_bytes(folder / PAGE, index_of(entries, refused).encode())
    if not entries:
        raise UserError(f"none of {len(files)} sounds can be explained: {next(iter(refused.values()))}")
    return Explained(folder / PAGE, tuple(entries), refused, kept)


def _places(files: Sequence[Path], given: Sequence[Path]) -> dict[Path, Path]:
    """Folder of every file below the common one: its name without suffix, with it where two would be the same."""
    relative = {
        file: next((file.relative_to(root) for root in given if root in file.parents), Path(file.name))
        for file in files
    }
    stems = Counter(path.with_suffix("") for path in relative.values())
    places = {
        file: path if stems[path.with_suffix("")] > 1 else path.with_suffix("") for file, path in relative.items()
    }
    for file, place in places.items():
        others = [other for other, its in places.items() if its == place and other != file]
        if others:
            raise UserError(
                f"sounds {plain(str(file))} and {plain(str(others[0]))} would be explained into the same folder "
                f"{plain(str(place))}; explain them into different ones"
            )
    return places


def _request(file: Path, model: Model, options: Mapping[str, Any]) -> dict[str, Any] | None:
    """What identifies an explanation; None where the model has no revision that tells it from others."""
    if not model.revision:
        return None
    method = options.get("method", "auto")
    return {
        "version": __version__,
        "sound": hashlib.sha256(file.read_bytes()).hexdigest(),
        "model": [model.name, model.revision],
        "method": [method, None if method == "auto" else METHODS[method].revision],
        "options": {name: value if _is_plain(value) else repr(value) for name, value in sorted(options.items())},
    }


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool | list | tuple)


def _is_there(place: Path, request: Mapping[str, Any]) -> bool:
    """Whether a folder holds the explanation that is asked for."""
    try:
        found = json.loads((place / REQUEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(found == json.loads(json.dumps(request))) and (place / PAGE).is_file()
