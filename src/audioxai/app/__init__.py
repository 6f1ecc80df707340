"""The live app: a page of this machine that explains sounds, and an eraser that shows what a model listens to.

``decoding`` reads uploads in processes with limits; ``answers`` is what a model's process computes; ``work`` runs such
processes; ``sessions`` keeps what pages opened, within limits; ``guard`` decides who may ask; ``server`` joins them.
"""
