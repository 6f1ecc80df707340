"""The registry of data sets: every module of this room that holds one adds its entry."""

from audioxai.registry import DataEntry, Registry

DATASETS: Registry[DataEntry] = Registry("data set", DataEntry, "audioxai.datasets")
