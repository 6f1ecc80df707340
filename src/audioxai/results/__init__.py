"""Stored results: the shards, and a study read from its results folder alone."""

from audioxai.results.remote import Remote
from audioxai.results.result_set import (
    ANY_PROFILE,
    Attributions,
    ExplainedCell,
    Results,
    ResultSet,
    manifest_path,
    read_manifest,
    write_manifest,
)
from audioxai.results.store import ROW_COLUMNS, ROW_SCHEMA, Store, load_tensors, read_rows

__all__ = [
    "ANY_PROFILE",
    "ROW_COLUMNS",
    "ROW_SCHEMA",
    "Attributions",
    "ExplainedCell",
    "Remote",
    "ResultSet",
    "Results",
    "Store",
    "load_tensors",
    "manifest_path",
    "read_manifest",
    "read_rows",
    "write_manifest",
]
