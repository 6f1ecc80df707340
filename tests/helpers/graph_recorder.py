"""A stand-in for CUDA graphs on the CPU."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass
class Again:
    """A graph that calls its function again."""

    replay: Callable[[], None]


@dataclass
class GraphRecorder:
    """Records functions, and keeps what it made."""

    graphs: list[Again] = field(default_factory=list)

    def __call__(self, runs: Sequence[Callable[[], None]]) -> Sequence[Again]:
        """A graph for each function."""
        for run in runs:
            run()
        made = [Again(run) for run in runs]
        self.graphs += made
        return made
