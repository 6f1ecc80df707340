"""Every method and metric on models as they are found: right, or refused in one sentence; never anything else."""

import cmath
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
import torch
from helpers.metric_cases import kinds_of, metric_case, registered
from helpers.model_zoo import DOMAINS, METHODS_TRIED, ZOO, inputs_of, of_method, of_metric, plain
from helpers.tiny_models import draw
from torch import Tensor, nn
from torch._dynamo import config as dynamo

from audioxai.api import explain
from audioxai.baselines import Constant, Silence
from audioxai.core import target_scores
from audioxai.domains import LogMel
from audioxai.evaluation import evaluate
from audioxai.metrics import METRICS
from audioxai.models import LogitsOfProbabilities, build
from audioxai.models.loading import Outputs, load_model
from audioxai.utils.errors import UserError
from audioxai.xai_methods import METHODS
from audioxai.xai_methods.gradients import Saliency

CLIP = 0.3 * draw(8_000, dtype=torch.float32)


@pytest.fixture(autouse=True)
def any_number_of_compilations() -> Iterator[None]:
    """Calls of so many sizes are compiled here that PyTorch's limits for a process are reached, of which it warns."""
    with dynamo.patch(recompile_limit=1_000, accumulated_recompile_limit=10_000):
        yield


@pytest.mark.parametrize("model", ZOO)
def test_methods(model: str, capfd: pytest.CaptureFixture[str]) -> None:
    found = ZOO[model]
    outcomes = {name: of_method(name, found) for name in METHODS_TRIED}
    allowed = METHODS_TRIED if found.refusals is None else found.refusals
    expected = {name: ("right", "refused") if name in allowed else ("right",) for name in METHODS_TRIED}
    assert not {name: outcome for name, outcome in outcomes.items() if outcome not in expected[name]}
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("model", ZOO)
def test_metrics(model: str, capfd: pytest.CaptureFixture[str]) -> None:
    found = ZOO[model]
    outcomes = {name: of_metric(name, found) for name in METRICS}
    allowed = METRICS if found.refusals is None else ()
    expected = {name: ("right", "refused") if name in allowed else ("right",) for name in METRICS}
    assert not {name: outcome for name, outcome in outcomes.items() if outcome not in expected[name]}
    assert capfd.readouterr() == ("", "")


def test_half_precision_is_refused_and_not_scored() -> None:
    assert {of_metric(name, ZOO["bfloat16"]) for name in METRICS} == {"refused"}


@pytest.mark.parametrize("model", ["softmax", "sigmoid", "sigmoid, frozen"])
def test_probabilities_are_refused_wherever_the_model_is_used(model: str) -> None:
    free = {name for name, entry in METHODS.items() if entry.role == "control" and name != "grad_x_level"}
    assert {name for name in METHODS_TRIED if of_method(name, ZOO[model]) != "refused"} == free
    used = {name for name in METRICS if registered(name).uses_passes}
    assert {name for name in METRICS if of_metric(name, ZOO[model]) == "refused"} == used


def test_one_logit_is_that_of_two_classes() -> None:
    outcomes = {name: of_metric(name, ZOO["one logit"]) for name in METRICS}
    # There is no other class whose map could be compared.
    assert [name for name, outcome in outcomes.items() if outcome != "right"] == ["random_logit"]
    assert {of_method(name, ZOO["one logit"]) for name in METHODS_TRIED} == {"right"}


@pytest.mark.parametrize("name", METRICS)
def test_the_default_precision_changes_no_score(name: str) -> None:
    before, expected = torch.get_default_dtype(), _scores(name)
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.equal(_scores(name).nan_to_num(-9.0), expected.nan_to_num(-9.0))
    finally:
        torch.set_default_dtype(before)


def _scores(name: str) -> Tensor:
    case = metric_case(kinds_of(name)[0], torch.float32)
    return registered(name, Saliency(), runs=4, draws=2)(
        case.model, case.inputs, case.targets, case.attributions, case.masks, case.change
    )


@pytest.mark.parametrize("name", [name for name in METHODS if METHODS[name].takes("log_mel")])
def test_the_default_precision_changes_no_map(name: str) -> None:
    def attributions() -> Tensor:
        context = {
            "domain": DOMAINS["log_mel"],
            "baseline": Silence(DOMAINS["log_mel"]),
            "training_inputs": inputs_of("log_mel", 6, 3),
            "gradients": 8,
            "seed": 0,
        }
        return METHODS.bind(name, context)(plain("log_mel"), inputs_of("log_mel", 2, 2), torch.tensor([0, 1]))

    before, expected = torch.get_default_dtype(), attributions()
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.equal(attributions(), expected)
    finally:
        torch.set_default_dtype(before)


# --- Complex inputs --------------------------------------------------------------------------------------------------


class Turned(nn.Module):
    """A model of complex inputs, which are real ones turned by one radian."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, inputs: Tensor) -> Tensor:
        return self.inner((inputs / TURN).real)


TURN = cmath.exp(1j)
# What these draw depends on the bits of a sample.
OTHER_DRAWS = {name for name in METRICS if name.startswith("faithfulness_correlation")} | {
    *("contribution_infidelity", "random_logit", "positive_deletion"),
}


@pytest.mark.parametrize("name", [name for name in METRICS if "stft" not in METRICS[name].needs])
def test_complex_inputs_score_as_real_ones_or_are_refused(name: str) -> None:
    case = metric_case("image", torch.float32)
    maps, metric = case.attributions, registered(name, Saliency(), Constant(0.0), runs=4, draws=2)
    expected = metric(case.model, case.inputs, case.targets, maps, case.masks, case.change)
    given, model = case.inputs * TURN, Turned(case.model)
    with pytest.raises(UserError, match="one real number per feature"):
        metric(case.model, case.inputs, case.targets, torch.complex(maps, maps), case.masks, case.change)
    if not metric.complex_inputs:
        with pytest.raises(UserError, match="not defined for complex inputs"):
            metric(model, given, case.targets, maps, case.masks, case.change)
        return
    scores = metric(model, given, case.targets, maps, case.masks, case.change)
    if name in OTHER_DRAWS:
        assert bool(scores.isfinite().all())
        return
    torch.testing.assert_close(scores, expected, rtol=1e-3, atol=1e-4, equal_nan=True)


# --- Values outside of a domain --------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [0.5 * draw(2, 1, 12, 10), 32_768.0 * draw(2, 1, 12, 10)])
def test_features_that_are_no_levels_are_refused(values: Tensor) -> None:
    with pytest.raises(UserError, match=r"inputs lie in .* log_mel domain in -80…0"):
        Silence(DOMAINS["log_mel"])(values)


@pytest.mark.parametrize("values", [torch.full((1, 1, 12, 10), -80.0), torch.full((1, 1, 12, 10), -5.0)])
def test_levels_may_be_constant(values: Tensor) -> None:
    assert Silence(DOMAINS["log_mel"])(values).unique().tolist() == [-80.0]


# --- Public functions ------------------------------------------------------------------------------------------------


def test_a_model_in_training_mode_is_explained_and_judged_as_in_evaluation_mode() -> None:
    model = build("small_cnn", LogMel(8_000, 1.0, bands=32, frames=32), class_count=3, seed=0)
    assert not any(module.training for module in model.modules())
    expected = explain(CLIP, model, sample_rate=8_000, method="silence")
    scores = evaluate(CLIP[None, None], model, sample_rate=8_000, metrics=["deletion", "sparseness"]).rows
    model.train()
    found = explain(CLIP, model, sample_rate=8_000, method="silence")
    assert torch.equal(found.attributions, expected.attributions)
    assert torch.equal(found.logits, expected.logits)
    again = evaluate(CLIP[None, None], model, sample_rate=8_000, metrics=["deletion", "sparseness"]).rows
    assert again.equals(scores)
    assert all(module.training for module in model.modules())


def small(classes: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.AvgPool1d(400), nn.Flatten(), nn.Linear(20, 8), nn.Tanh(), nn.Linear(8, classes)).eval()


@pytest.mark.parametrize(("kind", "last"), [("softmax", nn.Softmax(1)), ("sigmoid", nn.Sigmoid())])
def test_probabilities_are_explained_once_they_are_said_to_be_some(kind: Outputs, last: nn.Module) -> None:
    logits = small()
    probabilities = nn.Sequential(logits, last)
    with pytest.raises(UserError, match=f"probabilities of a {kind}"):
        explain(CLIP, probabilities, sample_rate=8_000)
    stated = load_model(probabilities, sample_rate=8_000, outputs=kind)
    found = explain(CLIP, stated, sample_rate=8_000, method="saliency", target=1)
    expected = explain(CLIP, logits, sample_rate=8_000, method="saliency", target=1)
    if kind == "sigmoid":
        torch.testing.assert_close(found.logits, expected.logits, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found.attributions, expected.attributions, rtol=1e-3, atol=1e-6)
    assert found.logits.softmax(0).tolist() == pytest.approx(expected.logits.softmax(0).tolist(), rel=1e-4)


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_certain_probabilities_have_finite_logits(kind: Literal["softmax", "sigmoid"]) -> None:
    certain = LogitsOfProbabilities(nn.Identity(), kind)(torch.tensor([[0.0, 1.0]]))
    assert bool(certain.isfinite().all())
    assert int(certain.argmax()) == 1


def test_logits_that_happen_to_lie_between_0_and_1_are_logits() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU())
    with torch.no_grad():
        model.get_parameter("1.weight").fill_(0.1)
        model.get_parameter("1.bias").zero_()
    inputs = torch.ones(2, 1, 4)
    assert target_scores(model, inputs, torch.tensor([0, 1])).tolist() == pytest.approx([0.4, 0.4])


def test_half_precision_is_refused_when_the_model_is_loaded() -> None:
    with pytest.raises(UserError, match=r"half precision.*model\.float"):
        load_model(small().half(), sample_rate=8_000)


def test_one_logit_has_the_probability_of_its_sigmoid() -> None:
    found = explain(CLIP, small(1), sample_rate=8_000, method="saliency")
    assert found.score == pytest.approx(float(found.logits.sigmoid()))


@pytest.mark.slow
def test_the_table_counts_nothing_wrong() -> None:
    script = Path(__file__).resolve().parents[1] / "benchmarks" / "model_zoo.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1].split()[3::3] == ["0", "0"]
