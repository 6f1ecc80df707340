"""Jobs in this process, one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from audioxai.experiment.plan import Plan
from audioxai.experiment.runner import Job, perform
from audioxai.utils.hardware import keep_freed_memory
from audioxai.utils.progress import Progress


@dataclass(frozen=True)
class Here:
    """The process that runs the study."""

    def carry_out(self, plan: Plan, jobs: Sequence[Job], progress: Progress) -> None:
        """Carry out all jobs in their order; see :class:`~audioxai.experiment.executors.protocol.Executor`."""
        keep_freed_memory()
        if plan.options.threads is not None:
            torch.set_num_threads(plan.options.threads)
        for job in jobs:
            progress.set_postfix_str(job.label)
            perform(plan, job, progress.update)
