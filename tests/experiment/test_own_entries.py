"""What a study brings with it: methods and metrics that nothing else finds, cells that use some, borrowed weights."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from helpers.tiny_studies import METHODS, METRICS, model_of, options_in, study_of

from audioxai.baselines import Constant
from audioxai.compat.quantus.faithfulness import FaithfulnessCorrelation
from audioxai.domains import LogMel, PeakLogMel
from audioxai.experiment import Cell, MetricSpec, Plan, results_of, run
from audioxai.experiment.models import ensure_model, weights_path
from audioxai.experiment.plan import methods_of, units_of
from audioxai.metrics import METRICS as ALL_METRICS
from audioxai.metrics.registry import entry_of
from audioxai.registry import MethodEntry
from audioxai.utils.errors import UserError
from audioxai.xai_methods import METHODS as ALL_METHODS
from audioxai.xai_methods.integrated_gradients import IntegratedGradients

OWN = MethodEntry(
    name="from_minus_40", make=partial(IntegratedGradients, Constant(-40.0)), label="IG from −40 dB", complete=True
)
FEW = MetricSpec(
    entry_of("few_runs", FaithfulnessCorrelation, partial(FaithfulnessCorrelation, nr_runs=4, subset_size=20))
)


def test_entries_of_a_study_are_run_and_described_and_nowhere_else(sounds_folder: Path, tmp_path: Path) -> None:
    study = study_of(sounds_folder, methods=(*METHODS, OWN), metrics=(MetricSpec("sparseness"), FEW))
    plan = Plan(study, options_in(tmp_path, threads=1))
    run(plan)
    results = results_of(plan)
    rows = results.rows
    assert set(rows["method"]) == {*METHODS, "from_minus_40"}
    assert set(rows["metric"]) == {"sparseness", "few_runs"}
    assert len(rows) == 4 * 2 * 3
    assert results.methods["from_minus_40"].label == "IG from −40 dB"
    assert "from_minus_40" not in ALL_METHODS
    assert "few_runs" not in ALL_METRICS
    (cell,) = results.cells
    own = cell.attributions("from_minus_40")
    model = ensure_model(plan.cells[0].model, plan.options.checkpoints, torch.device("cpu"))[0]
    tensors = cell.inputs()
    expected = IntegratedGradients(Constant(-40.0))(model.body, tensors["inputs"], tensors["targets"])
    torch.testing.assert_close(own.values, expected)


def test_an_entry_of_the_same_name_is_refused(sounds_folder: Path) -> None:
    with pytest.raises(UserError, match="each once"):
        study_of(sounds_folder, methods=("saliency", replace(OWN, name="saliency")))


def test_a_cell_uses_what_it_names_and_all_by_default(sounds_folder: Path) -> None:
    study = study_of(sounds_folder)
    (whole,) = study.cells
    part = replace(whole, methods=("random", "saliency"), metrics=("sparseness",))
    assert [use.name for use in methods_of(study, whole)] == list(METHODS)
    assert [unit.name for unit in units_of(study, whole)] == list(METRICS)
    # In the study's order.
    assert [use.name for use in methods_of(study, part)] == ["saliency", "random"]
    assert [unit.name for unit in units_of(study, part)] == ["sparseness"]
    for changes, words in (({"methods": ("silent",)}, "'silent'"), ({"metrics": ("sparsity",)}, "'sparsity'")):
        with pytest.raises(UserError, match=words):
            replace(study, cells=(replace(whole, **changes),))  # type: ignore[arg-type]


def test_a_model_takes_the_weights_of_another_and_keeps_its_own_front_end(sounds_folder: Path, tmp_path: Path) -> None:
    lender = model_of(sounds_folder)
    plain = lender.domain
    assert isinstance(plain, LogMel)
    peak = PeakLogMel(plain.sample_rate_hz, plain.duration_s, plain.bands, plain.frames)
    borrower = replace(lender, front_end=peak, weights_of=lender)
    assert len({weights_path(spec, tmp_path) for spec in (lender, borrower, replace(lender, front_end=peak))}) == 3
    model, card = ensure_model(borrower, tmp_path, torch.device("cpu"))
    trained, own = ensure_model(lender, tmp_path, torch.device("cpu"))
    assert (model.domain, trained.domain) == (peak, plain)
    assert card.config == {"weights_of": weights_path(lender, tmp_path).stem}
    assert (card.epochs_run, own.epochs_run) == (0, 1)
    for one, other in zip(model.body.state_dict().values(), trained.body.state_dict().values(), strict=True):
        assert torch.equal(one, other)


@dataclass(frozen=True)
class _Unstated:
    label: ClassVar[str] = "no facts"


def test_a_metric_that_states_no_facts_has_no_entry() -> None:
    with pytest.raises(UserError, match="does not state"):
        MetricSpec(entry_of("unstated", _Unstated))


def test_a_cell_of_one_method_is_a_cell_of_its_own(sounds_folder: Path) -> None:
    (whole,) = study_of(sounds_folder).cells
    both = (replace(whole, methods=("saliency",)), replace(whole, methods=("random",)))
    assert isinstance(both[0], Cell)
    assert [len(methods_of(study_of(sounds_folder, cells=both), cell)) for cell in both] == [1, 1]
