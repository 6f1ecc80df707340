"""The results store: Parquet shards of scores, safetensors, manifests and a JSON-lines log, each written in one step.

A shard is one unit of work, named by a hash of everything that decides its content; a unit whose shard exists is done.
So a study that was stopped at any moment, by ``kill -9`` too, goes on where it stopped and ends with the same numbers.
Every shard says what it is: the configuration, the revisions and the code that made it. It holds its own place and a
digest of its content, so that one that was damaged, or put in the place of another, is noticed.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.compute
import pyarrow.parquet
from torch import Tensor

from audioxai.utils import tensors as tensor_files
from audioxai.utils.errors import UserError
from audioxai.utils.files import plain, replacing, storable
from audioxai.utils.tensors import DamagedError, require_regular

ROW_SCHEMA = pyarrow.schema(
    [
        ("study", pyarrow.string()),
        ("material", pyarrow.string()),
        ("modality", pyarrow.string()),
        ("dataset", pyarrow.string()),
        ("stand_in_for", pyarrow.string()),
        ("split", pyarrow.string()),
        ("group", pyarrow.string()),
        ("sample", pyarrow.string()),
        ("label", pyarrow.int64()),
        ("prediction", pyarrow.int64()),
        ("model", pyarrow.string()),
        ("training_seed", pyarrow.int64()),
        ("checkpoint", pyarrow.string()),
        ("domain", pyarrow.string()),
        ("resolution", pyarrow.int64()),
        ("method", pyarrow.string()),
        ("gradients", pyarrow.int64()),
        ("map_passes", pyarrow.int64()),
        ("metric", pyarrow.string()),
        ("baseline", pyarrow.string()),
        ("seed", pyarrow.int64()),
        ("score", pyarrow.float64()),
        ("passes", pyarrow.int64()),
        ("seconds", pyarrow.float64()),
        # How far a metric's random draws may have moved the score; null where it does not say.
        ("standard_error", pyarrow.float64()),
    ]
)
# That of shards from before standard errors were stored.
EARLIER_SCHEMA = ROW_SCHEMA.remove(len(ROW_SCHEMA) - 1)
ROW_COLUMNS = tuple(ROW_SCHEMA.names)
DESCRIPTION, DIGEST = b"audioxai", b"audioxai digest"
# What a shard's description calls its own path below the results folder.
PLACE = "place"


@dataclass(frozen=True)
class Store:
    """Results of one study below one folder.

    Attributes
    ----------
    root : Path
        The ``results`` folder.
    study : str
        Name of the study; its scores, figures and log lie below that name.
    """

    root: Path
    study: str

    def tensors_path(self, *unit: str) -> Path:
        """Place of a safetensors shard; its name says what decides its content, so studies share it."""
        return self.root.joinpath("attributions", *unit[:-1], f"{unit[-1]}.safetensors")

    def rows_path(self, *unit: str) -> Path:
        """Place of a Parquet shard."""
        return self.root.joinpath("metrics", self.study, *unit[:-1], f"{unit[-1]}.parquet")

    @property
    def summaries(self) -> Path:
        """Folder of summaries."""
        return self.root / "summaries"

    @property
    def figures(self) -> Path:
        """Folder of the study's figures."""
        return self.root / "visualizations" / self.study

    def save_tensors(self, path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
        """Write tensors and JSON-able metadata in one step."""
        tensor_files.save_tensors(path, tensors, {**metadata, PLACE: self._place(path)})

    def load_tensors(self, path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and metadata of a shard; raises as :func:`load_tensors` does."""
        return load_tensors(path)

    def save_rows(self, path: Path, rows: Sequence[Mapping[str, Any]], description: Mapping[str, Any]) -> None:
        """Write result rows and what made them in one step; every row has the columns ``ROW_COLUMNS`` and no other."""
        for row in rows:
            if row.keys() != set(ROW_COLUMNS):
                raise ValueError(f"row has columns {sorted(row)}; a result row has {sorted(ROW_COLUMNS)}")
        values = [{name: plain(one) if isinstance(one, str) else one for name, one in row.items()} for row in rows]
        table = pyarrow.Table.from_pylist(values, schema=ROW_SCHEMA)
        text = storable(json.dumps({**description, PLACE: self._place(path)}, ensure_ascii=False))
        described = {DESCRIPTION: text.encode(), DIGEST: digest_of_rows(table, text).encode()}
        with replacing(path) as temporary:
            pyarrow.parquet.write_table(table.replace_schema_metadata(described), temporary, write_page_checksum=True)

    def _place(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def log(self, event: str, **details: Any) -> None:
        """Append one JSON line to the study's log, in one write, so that lines of several processes never mix."""
        path = self.root / "logs" / f"{self.study}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = json.dumps({"time": stamp, "event": event, **details}, ensure_ascii=False, default=str) + "\n"
        with path.open("ab", buffering=0) as file:
            file.write(storable(line).encode())


def digest_of_rows(rows: pyarrow.Table, text: str) -> str:
    """Hexadecimal hash of a table's names, types and values, and of a text that belongs to them."""
    total = hashlib.blake2b(text.encode(), digest_size=16)
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        total.update(repr((name, str(column.type), len(column))).encode())
        total.update(column.is_null().to_numpy().tobytes())
        if pyarrow.types.is_string(column.type):
            words = column.fill_null("").to_pylist()
            total.update(repr([len(word) for word in words]).encode() + "".join(words).encode())
        else:
            total.update(column.fill_null(0).to_numpy().tobytes())
    return total.hexdigest()


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata of a shard.

    Raises
    ------
    UserError
        If the shard is missing, unreadable, not what was written, or that of another place.
    """
    with _refused(path):
        tensors, metadata = tensor_files.load_tensors(path)
        _require_own_place(path, metadata)
        return tensors, metadata


def read_rows(path: Path) -> tuple[pyarrow.Table, dict[str, Any]]:
    """Rows of a shard and what made them.

    Raises
    ------
    UserError
        If the shard is missing, unreadable, of other columns, not what was written, or that of another place.
    """
    with _refused(path):
        require_regular(path)
        try:
            with pyarrow.parquet.ParquetFile(path, page_checksum_verification=True) as file:
                rows = file.read()
            known = rows.schema.metadata or {}
            text = known.get(DESCRIPTION, b"").decode()
            if not any(map(rows.schema.equals, (ROW_SCHEMA, EARLIER_SCHEMA))) or DESCRIPTION not in known:
                raise DamagedError("has other columns than a result row")
            damaged = digest_of_rows(rows, text).encode() != known.get(DIGEST)
            description = json.loads(text)
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise DamagedError(f"is unreadable ({error})") from error
        if damaged:
            raise DamagedError("is damaged: its digest is not that of its content")
        _require_own_place(path, description)
        rows = rows.replace_schema_metadata(None)
        if rows.schema == EARLIER_SCHEMA:
            rows = rows.append_column(ROW_SCHEMA.field("standard_error"), pyarrow.nulls(len(rows), pyarrow.float64()))
        return rows, description


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    """What is wrong with a shard, as a sentence for the user."""
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"result {path} does not exist; run the study with the same options") from error
    except DamagedError as error:
        raise UserError(f"result {path} {error}; delete it and run the study again") from error


def _require_own_place(path: Path, description: dict[str, Any]) -> None:
    """Take the place out of a description, and refuse a shard that lies in another."""
    place = Path(description.pop(PLACE, ""))
    if not place.parts or path.parts[-len(place.parts) :] != place.parts:
        raise DamagedError(f"was written as {place}")
