"""The results store: Parquet shards of scores, safetensors, manifests and a JSON-lines log, each written in one step.

A shard is one unit of work, named by a hash of everything that decides its content; a unit whose shard exists is done.
So a study that was stopped at any moment, by ``kill -9`` too, goes on where it stopped and ends with the same numbers.
Every shard says what it is: the configuration, the revisions and the code that made it.
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from audioxai.utils.errors import UserError
from audioxai.utils.files import replacing

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
    ]
)
ROW_COLUMNS = tuple(ROW_SCHEMA.names)
DESCRIPTION = b"audioxai"


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
        """Write tensors, JSON-able metadata and a digest of the tensors in one step."""
        plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        stored = {"json": json.dumps(dict(metadata), ensure_ascii=False), "digest": digest_of(plain)}
        with replacing(path) as temporary:
            save_file(plain, temporary, stored)

    def load_tensors(self, path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and metadata of a shard; raises as :func:`load_tensors` does."""
        return load_tensors(path)

    def save_rows(self, path: Path, rows: Sequence[Mapping[str, Any]], description: Mapping[str, Any]) -> None:
        """Write result rows and what made them in one step; every row has the columns ``ROW_COLUMNS`` and no other."""
        for row in rows:
            if row.keys() != set(ROW_COLUMNS):
                raise ValueError(f"row has columns {sorted(row)}; a result row has {sorted(ROW_COLUMNS)}")
        described = ROW_SCHEMA.with_metadata({DESCRIPTION: json.dumps(dict(description), ensure_ascii=False).encode()})
        table = pyarrow.Table.from_pylist([dict(row) for row in rows], schema=described)
        with replacing(path) as temporary:
            pyarrow.parquet.write_table(table, temporary, write_page_checksum=True)

    def log(self, event: str, **details: Any) -> None:
        """Append one JSON line to the study's log, in one write, so that lines of several processes never mix."""
        path = self.root / "logs" / f"{self.study}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = json.dumps({"time": stamp, "event": event, **details}, ensure_ascii=False, default=str) + "\n"
        with path.open("ab", buffering=0) as file:
            file.write(line.encode())


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """Hexadecimal hash of tensors on the CPU: their names, types, shapes and bytes."""
    total = hashlib.blake2b(digest_size=16)
    for name in sorted(tensors):
        values = tensors[name].contiguous()
        total.update(repr((name, str(values.dtype), tuple(values.shape))).encode())
        total.update(values.resolve_conj().reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata of a shard.

    Raises
    ------
    UserError
        If the shard is missing, unreadable or not what was written.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
            stored = file.metadata()
            metadata, digest = json.loads(stored["json"]), stored["digest"]
    except FileNotFoundError as error:
        raise UserError(f"result {path} does not exist; run the study with the same options") from error
    except (SafetensorError, TypeError, KeyError, json.JSONDecodeError) as error:  # also without our metadata
        raise UserError(f"result {path} is unreadable ({error}); delete it and run the study again") from error
    if digest_of(tensors) != digest:
        raise UserError(f"result {path} is damaged: its digest is not that of its content; delete it and run again")
    return tensors, metadata


def read_rows(path: Path) -> tuple[pyarrow.Table, dict[str, Any]]:
    """Rows of a shard and what made them.

    Raises
    ------
    UserError
        If the shard is missing, unreadable or of other columns.
    """
    try:
        with pyarrow.parquet.ParquetFile(path, page_checksum_verification=True) as file:
            rows = file.read()
    except FileNotFoundError as error:
        raise UserError(f"result {path} does not exist; run the study with the same options") from error
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the system's own; damage comes without a number
            raise
        raise UserError(f"result {path} is unreadable ({error}); delete it and run the study again") from error
    described = (rows.schema.metadata or {}).get(DESCRIPTION)
    if not rows.schema.equals(ROW_SCHEMA) or described is None:
        raise UserError(f"result {path} has other columns than a result row; delete it and run the study again")
    return rows.replace_schema_metadata(None), json.loads(described)
