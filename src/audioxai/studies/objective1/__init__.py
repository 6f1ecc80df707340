"""Objective 1: post-hoc explanations on audio spectrograms beside images, and what resolution changes.

Four stages, each of which goes on where it was stopped: models and explanations of images, the same of audio, metrics,
comparison.
"""
