"""Explanations of audio classifiers, in any domain, measured beside those of image classifiers."""

__version__ = "0.1.0"
