"""The results store: tidy Parquet shards, safetensors, YAML and a JSON-lines log, each written in one step.

A shard is one unit of work and its name says which; a unit whose shard exists is done. So a study that was stopped at
any moment, by ``kill -9`` too, goes on where it stopped and ends with the same numbers.
"""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from audioxai.utils.configuration import save_yaml
from audioxai.utils.errors import UserError
from audioxai.utils.files import replacing

# In a folder of figures: what they were made from and, a line each after that, which they are.
MADE_FROM = ".made-from"
ROW_SCHEMA = pyarrow.schema(
    [
        ("study", pyarrow.string()),
        ("modality", pyarrow.string()),
        ("dataset", pyarrow.string()),
        ("stand_in_for", pyarrow.string()),
        ("split", pyarrow.string()),
        ("speaker", pyarrow.string()),
        ("sample", pyarrow.string()),
        ("label", pyarrow.int64()),
        ("prediction", pyarrow.int64()),
        ("model", pyarrow.string()),
        ("training_seed", pyarrow.int64()),
        ("checkpoint", pyarrow.string()),
        ("domain", pyarrow.string()),
        ("resolution", pyarrow.int64()),
        ("method", pyarrow.string()),
        ("map_passes", pyarrow.int64()),
        ("metric", pyarrow.string()),
        ("baseline", pyarrow.string()),
        ("seed", pyarrow.int64()),
        ("score", pyarrow.float64()),
        ("passes", pyarrow.int64()),
        ("seconds", pyarrow.float64()),
    ]
)


@dataclass(frozen=True)
class Store:
    """Results of one study below one folder.

    Attributes
    ----------
    root : Path
        The ``results`` folder.
    study : str
        Name of the study; its shards lie in folders of that name.
    """

    root: Path
    study: str

    def tensors_path(self, *unit: str) -> Path:
        """Place of a safetensors shard."""
        return self.root.joinpath("attributions", self.study, *unit).with_suffix(".safetensors")

    def rows_path(self, *unit: str) -> Path:
        """Place of a Parquet shard."""
        return self.root.joinpath("metrics", self.study, *unit).with_suffix(".parquet")

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
        plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        with replacing(path) as temporary:
            save_file(plain, temporary, {"json": json.dumps(dict(metadata), ensure_ascii=False)})

    def load_tensors(self, path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and metadata of a shard.

        Raises
        ------
        UserError
            If the shard is missing or unreadable.
        """
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
                return tensors, json.loads(file.metadata()["json"])
        except FileNotFoundError as error:
            raise UserError(
                f"result {path} does not exist; run the scripts of experiments/{self.study} with the same options"
            ) from error
        except (SafetensorError, TypeError, KeyError, json.JSONDecodeError) as error:  # also without our metadata
            raise UserError(f"result {path} is unreadable ({error}); delete it and run the script again") from error

    def save_rows(self, path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write result rows in one step; every row has every column of ``ROW_SCHEMA`` and no other."""
        for row in rows:
            if row.keys() != set(ROW_SCHEMA.names):
                raise ValueError(f"row has columns {sorted(row)}; a result row has {sorted(ROW_SCHEMA.names)}")
        table = pyarrow.Table.from_pylist([dict(row) for row in rows], schema=ROW_SCHEMA)
        with replacing(path) as temporary:
            pyarrow.parquet.write_table(table, temporary, write_page_checksum=True)

    def load_rows(self, paths: Iterable[Path]) -> pd.DataFrame:
        """Rows of several shards in one tidy frame, in the order of the paths.

        Raises
        ------
        UserError
            If a shard is missing, unreadable or of another schema.
        """
        shards = (_rows_of(path, self.study) for path in paths)
        frame: pd.DataFrame = pyarrow.concat_tables([ROW_SCHEMA.empty_table(), *shards]).to_pandas()
        return frame

    def save_config(self, name: str, config: Mapping[str, Any]) -> Path:
        """Write a configuration as YAML and return its place."""
        path = self.root / "configs" / f"{self.study}-{name}.yaml"
        save_yaml(path, config)
        return path

    def log(self, event: str, **details: Any) -> None:
        """Append one JSON line to the study's log, in one write, so that lines of several processes never mix."""
        path = self.root / "logs" / f"{self.study}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = json.dumps({"time": stamp, "event": event, **details}, ensure_ascii=False, default=str) + "\n"
        with path.open("ab", buffering=0) as file:
            file.write(line.encode())


def _rows_of(path: Path, study: str) -> pyarrow.Table:
    try:
        with pyarrow.parquet.ParquetFile(path, page_checksum_verification=True) as file:
            rows = file.read()
    except FileNotFoundError as error:
        raise UserError(
            f"result {path} does not exist; run the scripts of experiments/{study} with the same options"
        ) from error
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the system's own; damage comes without a number
            raise
        raise UserError(f"result {path} is unreadable ({error}); delete it and run the script again") from error
    if not rows.schema.equals(ROW_SCHEMA):
        raise UserError(f"result {path} has other columns than a result row; delete it and run the script again")
    return rows
