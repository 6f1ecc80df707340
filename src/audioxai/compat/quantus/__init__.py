"""Quantus: the definitions of its version 0.6.0, for published numbers, and an adapter for its other metrics.

The definitions are frozen and have the reference's names; see the modules. :class:`FromQuantus` makes any metric of the
installed Quantus a metric here.
"""

from audioxai.compat.quantus.adapter import FromQuantus

__all__ = ["FromQuantus"]
