"""Answers of the reference library, Quantus 0.6.0, over this engine: for published numbers, not for new ones."""
