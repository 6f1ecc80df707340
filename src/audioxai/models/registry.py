"""The registry of architectures; every architecture adds itself in its own module."""

from audioxai.registry import ArchitectureEntry, Registry

ARCHITECTURES = Registry("architecture", ArchitectureEntry, "audioxai.models")
