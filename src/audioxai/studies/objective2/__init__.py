"""Objective 2: how Integrated Gradients can be improved for sound.

Two stages, each of which goes on where it was stopped: adapted attributions with their completeness, cost and sounds;
then their scores under two removals, on ground truth and against controls, at equal numbers of gradients.
"""
