"""Carrying out a plan: whatever is not in the store yet, by this process or by workers."""

import time
from collections.abc import Iterable, Sequence

from audioxai.experiment.executors import executor_of
from audioxai.experiment.plan import Kind, Plan, Task
from audioxai.experiment.runner import forget_work, jobs_of, record, results_of
from audioxai.experiment.study import Cell, RunOptions, Study
from audioxai.results import ResultSet
from audioxai.utils.errors import UserError
from audioxai.utils.progress import bar

# Network file systems and listings of object stores show a new file up to a minute late.
SHOWN_WITHIN_S = 90.0


def run(plan: Plan, *kinds: Kind, cells: Iterable[Cell] | None = None) -> list[Task]:
    """Carry out the tasks of these kinds that are not done, all kinds if none is named.

    Every result is written in one step as soon as it is there, so a run that is stopped goes on where it was, and the
    manifest that describes the results is written whenever a run ends well. Where it is computed (``plan.options``)
    decides no number.

    Parameters
    ----------
    plan : Plan
        What is to be done.
    kinds : {"train", "explain", "score"}
        Kinds of tasks.
    cells : iterable of Cell, optional
        Cells whose tasks are carried out; all of the plan's by default.

    Returns
    -------
    list of Task
        All tasks of these kinds, those that were done before included.

    Raises
    ------
    UserError
        If scores are asked for where attributions are missing, if workers write to another place than this process
        reads, or as explaining, scoring and the executor do.
    """
    tasks = list(plan.tasks(*kinds, cells=cells))
    due = [task for task in tasks if not plan.place(task.cell).is_done(task)]
    if "score" in kinds and "explain" not in kinds:
        _require_explained(plan, due)
    jobs = jobs_of(plan, due)
    if jobs:
        executor = executor_of(plan.options)
        with bar(sum(job.passes for job in jobs), plan.study.name, "pass") as progress:
            executor.carry_out(plan, jobs, progress)
        forget_work()
        _require_stored(plan, due)
    record(plan)
    return tasks


def run_study(study: Study, options: RunOptions | None = None) -> ResultSet:
    """Train, explain and score what is missing of a study, and return its results.

    Raises
    ------
    UserError
        As :func:`run` does.
    """
    plan = Plan(study, options or RunOptions())
    run(plan)
    return results_of(plan)


def _require_explained(plan: Plan, due: Sequence[Task]) -> None:
    """Refuse to score what has not been explained; before anything is scored."""
    for task in due:
        place = plan.place(task.cell)
        assert task.method is not None
        if not (place.trained and place.has(place.inputs()) and place.has(place.attributions(task.method))):
            raise UserError(
                f"{task.cell.label} has not been explained by {task.method.name} in profile {plan.study.profile}; "
                "explain it with the same options first"
            )


def _require_stored(plan: Plan, tasks: Sequence[Task]) -> None:
    """Refuse results that workers say are there and that are not; shared folders may show them somewhat late."""
    until = time.monotonic() + SHOWN_WITHIN_S
    left = list(tasks)
    while True:
        left = [task for task in left if not plan.place(task.cell).is_done(task)]
        if not left:
            return
        if time.monotonic() > until:
            raise UserError(
                f"{len(left)} results that workers have made are not in {plan.options.results}; give a results and a "
                "checkpoints folder that all machines share, or an object store"
            )
        time.sleep(1.0)
