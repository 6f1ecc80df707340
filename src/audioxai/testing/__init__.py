"""Contract suites, for the methods and metrics of this package and for users' own."""

from audioxai.testing.methods import check_method
from audioxai.testing.metrics import check_metric

__all__ = ["check_method", "check_metric"]
