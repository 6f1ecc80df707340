"""Where the jobs of a plan are carried out: this process, local processes, Dask or Slurm; one file for each.

Every executor calls :func:`~audioxai.experiment.runner.perform` for every job, which writes results into the store in
one step and skips what is there. So a job may be started twice, or by two workers at once, and the results do not
depend on the executor, on the number of workers, or on workers that die.
"""

from audioxai.experiment.executors.here import Here
from audioxai.experiment.executors.protocol import Executor
from audioxai.experiment.study import RunOptions

__all__ = ["Executor", "executor_of"]


def executor_of(options: RunOptions) -> Executor:
    """The executor that the options ask for.

    Raises
    ------
    UserError
        If its settings are wrong or what it needs is not installed.
    """
    if options.dask is not None:
        from audioxai.experiment.executors.dask_cluster import DaskCluster

        return DaskCluster(options.dask, options.workers)
    if options.slurm is not None:
        from audioxai.experiment.executors.slurm import Slurm

        return Slurm.of(options.slurm, options.results / "logs" / "slurm")
    if options.workers > 1:
        from audioxai.experiment.executors.processes import Processes

        return Processes(options.workers)
    return Here()
