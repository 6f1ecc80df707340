"""Documents, galleries and explained clips as HTML files that need nothing else.

``page`` makes the report of studies; ``shell`` and ``packing`` are what every page is made with, and load quickly.
"""
