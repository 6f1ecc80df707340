"""Copies with cheaper passes stand for a model where they agree with it and are not slower, and nowhere else."""

import copy
import threading

import pytest
import torch
from helpers.graph_recorder import GraphRecorder
from helpers.tiny_models import tiny_cnn
from torch import nn
from torch.nn import functional
from torch.nn.modules.module import register_module_forward_hook

from audioxai import cuda_graphs, fused
from audioxai.baselines import Constant
from audioxai.core import logits_in
from audioxai.domains import LogMel
from audioxai.fused import FOLDED, ONEDNN, ORIGINAL, REORDERED, Copies, FusedModel, agrees, fastest_copies
from audioxai.metrics.randomisation import ModelParameterRandomisation
from audioxai.models import build
from audioxai.utils.errors import UserError
from audioxai.xai_methods.deep_lift import DeepLift
from audioxai.xai_methods.gradients import Saliency
from audioxai.xai_methods.guided_grad_cam import GuidedGradCam
from audioxai.xai_methods.integrated_gradients import IntegratedGradients
from audioxai.xai_methods.lrp import Lrp

BOTH: Copies = {"forward": ONEDNN, "gradient": FOLDED}
INPUTS = torch.rand(5, 1, 32, 32, generator=torch.Generator().manual_seed(0))
TARGETS = torch.tensor([0, 1, 2, 1, 0])


def trained(model):
    """The model in evaluation mode, with statistics and weights of batch norm that are not the initial ones."""
    random = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            assert module.running_mean is not None
            assert module.running_var is not None
            for values in (module.running_mean, module.weight.data, module.bias.data):
                values.copy_(torch.randn(values.shape, generator=random))
            module.running_var.copy_(0.5 + torch.rand(module.running_var.shape, generator=random))
    return model.eval().requires_grad_(False)


def copy_of(model: nn.Module, name: str) -> nn.Module:
    """A copy, which there is."""
    made = fused._copy_of(model, name)
    assert made is not None
    return made


def called(model: nn.Module, kind: str) -> list[str]:
    """Modules or methods that a traced model calls, in order."""
    assert isinstance(model, torch.fx.GraphModule)
    return [str(node.target) for node in model.graph.nodes if node.op == kind]


class Residual(nn.Module):
    """Convolutions whose outputs are added, rectified by a function and pooled."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.second, self.linear = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 3)
        self.pool = nn.MaxPool2d(2)

    def forward(self, inputs):
        kept = self.pool(functional.relu(self.norm(self.first(inputs))))
        return self.linear(self.pool(torch.relu(kept + self.second(kept))).mean((2, 3)))


class Branching(Residual):
    """The same, with a decision that cannot be traced."""

    def __init__(self):
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1), nn.ReLU(), nn.MaxPool2d(2))

    def forward(self, inputs):
        return {"logits": super().forward(self.head(inputs) if inputs.mean() > 0 else inputs)}


class ReadsWeights(Residual):
    """Uses the weights of a convolution besides calling it: folding a norm into them is wrong."""

    def forward(self, inputs):
        return super().forward(inputs) + self.first.weight.sum()


class CallsTwice(Residual):
    """One convolution before two norms: its weights cannot carry both."""

    def __init__(self):
        super().__init__()
        self.other = nn.BatchNorm2d(8)

    def forward(self, inputs):
        one, two = self.norm(self.first(inputs)), self.other(self.first(inputs))
        return self.linear(self.pool(functional.relu(one + two)).mean((2, 3)))


class TakesAMask(Residual):
    """Has an argument that is not given; a tracer takes it for a tensor."""

    def forward(self, inputs, mask=None):
        return super().forward(inputs if mask is None else inputs * mask)


class CallsOneByOne(Residual):
    """Goes through the layers of a container, which cannot be traced from here."""

    def __init__(self):
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1), nn.ReLU(), nn.MaxPool2d(2))

    def forward(self, inputs):
        if inputs.mean() > 0:
            for layer in self.head:
                inputs = layer(inputs)
        return super().forward(inputs)


class Remembers(Residual):
    """Keeps what it was last given."""

    def forward(self, inputs):
        self.last = inputs
        return super().forward(inputs)


class NormsAnotherAxis(nn.Module):
    """The norm is not over what the linear layer before it returns, so that it cannot be folded."""

    def __init__(self):
        super().__init__()
        self.linear, self.norm, self.head = nn.Linear(32, 8), nn.BatchNorm1d(32), nn.Linear(256, 3)

    def forward(self, inputs):
        return self.head(self.norm(self.linear(inputs[:, 0])).flatten(1))


class CannotBeCopied(Residual):
    """Refuses copies."""

    def __deepcopy__(self, memo):
        raise ValueError("there is one of me")


def waveform_model():
    layers = nn.Conv1d(1, 4, 9, bias=False), nn.BatchNorm1d(4), nn.ReLU(), nn.MaxPool1d(4), nn.AdaptiveAvgPool1d(1)
    return nn.Sequential(nn.Flatten(2), *layers, nn.Flatten(), nn.Linear(4, 6, bias=False), nn.BatchNorm1d(6))


def small_cnn() -> nn.Sequential:
    made = build("small_cnn", LogMel(8000, 1.0, bands=32, frames=32), class_count=3, seed=0).body
    assert isinstance(made, nn.Sequential)
    return made


def alexnet():
    return build("alexnet", LogMel(8000, 1.0, bands=32, frames=32), class_count=3, seed=0).body


MODELS = [small_cnn, alexnet, Residual, Branching, ReadsWeights, CallsTwice, waveform_model]

# Copies of these fail.
REFUSED = [TakesAMask, CallsOneByOne, NormsAnotherAxis, CannotBeCopied]


def gradient(model, inputs, targets):
    leaf = inputs.clone().requires_grad_(True)
    scores = logits_in(model(leaf)).gather(1, targets[:, None]).sum()
    return torch.autograd.grad(scores, leaf)[0]


@pytest.fixture
def copies_made(monkeypatch) -> list[str]:
    """Names of the copies that are made from now on."""
    made: list[str] = []
    original = fused._copy_of

    def noted(model, name):
        made.append(name)
        return original(model, name)

    monkeypatch.setattr(fused, "_copy_of", noted)
    return made


@pytest.mark.parametrize("make", MODELS)
def test_passes_are_those_of_the_model(make):
    model = trained(make())
    found = FusedModel(model, BOTH)
    with torch.no_grad():
        assert torch.allclose(logits_in(found(INPUTS)), logits_in(model(INPUTS)), rtol=0, atol=2e-6)
    expected = gradient(model, INPUTS, TARGETS)
    assert torch.allclose(gradient(found, INPUTS, TARGETS), expected, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("make", [small_cnn, Residual, Branching, CallsTwice, waveform_model])
def test_folding_is_exact(make):
    model = trained(make()).double()
    copied = copy_of(model, FOLDED)
    inputs = INPUTS.double()
    assert torch.allclose(logits_in(copied(inputs)), logits_in(model(inputs)), rtol=1e-12, atol=1e-12)
    expected, found = (gradient(each, inputs, TARGETS) for each in (model, copied))
    assert torch.allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "norms"), [(small_cnn, 0), (Residual, 0), (Branching, 1), (CallsTwice, 2), (waveform_model, 0)]
)
def test_norms_are_folded_where_they_can_be(make, norms):
    copied = copy_of(trained(make()), FOLDED)
    assert sum(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in copied.modules()) == norms


def test_pooling_comes_first_and_keeps_gradients_of_equal_numbers():
    model = trained(
        nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1024, 3))
    )
    copied = copy_of(model, REORDERED)
    assert called(copied, "call_module") == ["0", "2", "1", "3", "4"]
    silent = INPUTS.clone()
    silent[:, :, :, 10:] = 0.0
    assert torch.equal(gradient(copied, silent, TARGETS), gradient(model, silent, TARGETS))


@pytest.mark.parametrize("make", MODELS)
def test_reordered_operations_change_no_bit(make):
    model = trained(make())
    copied = copy_of(model, REORDERED)
    assert torch.equal(logits_in(copied(INPUTS)), logits_in(model(INPUTS)))
    assert torch.equal(gradient(copied, INPUTS, TARGETS), gradient(model, INPUTS, TARGETS))


def test_onednn_layout_lasts_from_the_first_convolution_to_the_last_pooling():
    copied = copy_of(trained(small_cnn()), ONEDNN)
    methods = called(copied, "call_method")
    assert methods.count("to_mkldnn") == methods.count("to_dense") == 1


def test_a_copy_that_is_wrong_is_not_used():
    model = trained(ReadsWeights())
    copied = copy_of(model, FOLDED)
    assert not agrees(model, copied, INPUTS, "forward")
    assert set(fastest_copies(model, INPUTS).values()) <= {ORIGINAL, REORDERED}
    found = FusedModel(model, BOTH)
    with torch.no_grad():
        assert torch.equal(found(INPUTS), model(INPUTS))
    assert torch.equal(gradient(found, INPUTS, TARGETS), gradient(model, INPUTS, TARGETS))


@pytest.mark.parametrize("make", REFUSED)
def test_where_a_copy_fails_the_model_is_called(make, capsys):
    model = trained(make())
    assert set(fastest_copies(model, INPUTS).values()) <= {ORIGINAL, REORDERED}
    found = FusedModel(model, BOTH)
    with torch.no_grad():
        assert torch.equal(found(INPUTS), model(INPUTS))
    assert torch.equal(gradient(found, INPUTS, TARGETS), gradient(model, INPUTS, TARGETS))
    assert capsys.readouterr() == ("", "")


def test_a_forward_of_the_instances_own_is_called():
    model = trained(Residual())
    inner = model.forward
    model.forward = lambda inputs: inner(inputs) if inputs.mean() < 0.6 else 0.0 * inner(inputs)
    found = FusedModel(model, BOTH)
    with torch.no_grad():
        assert torch.allclose(found(INPUTS), model(INPUTS), atol=1e-6)
        assert not bool(found(1.0 + INPUTS).any())


def test_a_model_that_remembers_its_calls_is_called(copies_made):
    model = trained(Remembers())
    found = FusedModel(model, BOTH)
    with torch.no_grad():
        for inputs in (INPUTS, INPUTS + 1, INPUTS + 2):
            found(inputs)
            assert model.last is inputs
    assert copies_made == [ONEDNN]


def test_a_model_in_which_nothing_is_rewritten_is_not_copied():
    model = trained(nn.Sequential(nn.Flatten(), nn.Linear(1024, 8), nn.ReLU(), nn.Linear(8, 3)))
    assert all(fused._copy_of(model, name) is None for name in (REORDERED, FOLDED, ONEDNN))
    assert fastest_copies(model, INPUTS) == {"forward": ORIGINAL, "gradient": ORIGINAL}


def test_wrong_gradients_are_noticed():
    class Shifted(nn.Module):
        def forward(self, inputs):
            steep = (inputs - inputs.detach()).flatten(1)
            return model(inputs) + 0.01 * steep.sum(1, keepdim=True)

    model = trained(small_cnn())
    assert agrees(model, Shifted(), INPUTS, "forward")
    assert not agrees(model, Shifted(), INPUTS, "gradient")


def test_a_copy_that_is_slower_is_not_used(monkeypatch):
    class Slow(nn.Module):
        def forward(self, inputs):
            for _ in range(5):
                logits = model(inputs)
            return logits

    model = trained(small_cnn())
    monkeypatch.setattr(fused, "_copy_of", lambda *_: Slow())
    assert fastest_copies(model, INPUTS) == {"forward": ORIGINAL, "gradient": ORIGINAL}


def test_a_copy_that_is_no_slower_is_used(monkeypatch):
    model = trained(small_cnn())
    monkeypatch.setattr(fused, "is_slower", lambda *_: False)
    assert fastest_copies(model, INPUTS) == BOTH
    assert fastest_copies(model, INPUTS, same_bits=True) == {"forward": REORDERED, "gradient": REORDERED}
    assert fastest_copies(copy.deepcopy(model).double(), INPUTS.double()) == {"forward": FOLDED, "gradient": FOLDED}


@pytest.mark.parametrize(
    "method", [Saliency(), GuidedGradCam(), Lrp(), DeepLift(Constant(0.0)), IntegratedGradients(Constant(0.0), steps=4)]
)
def test_methods_explain_the_same(method):
    model = trained(small_cnn())
    expected, found = (method(each, INPUTS, TARGETS) for each in (model, FusedModel(model, BOTH)))
    assert torch.allclose(found, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))
    if not isinstance(method, Saliency | IntegratedGradients):
        assert torch.equal(found, expected)


def test_hooks_see_the_model():
    model, seen = trained(small_cnn()), []
    found = FusedModel(model, BOTH)
    with torch.no_grad():
        found(INPUTS)
        handle = model[2].register_forward_hook(lambda *call: seen.append(call))
        found(INPUTS)
        handle.remove()
        found(INPUTS)
    assert len(seen) == 1


def test_hooks_of_all_modules_see_the_model():
    model, seen = trained(small_cnn()), []
    found = FusedModel(model, BOTH)
    with torch.no_grad():
        found(INPUTS)
        handle = register_module_forward_hook(lambda module, *_: seen.append(module))
        found(INPUTS)
        handle.remove()
    assert seen == [*model, model, found]


def test_a_model_made_in_inference_mode_is_copied_too():
    with torch.inference_mode():
        model = trained(small_cnn())
    assert set(fastest_copies(model, INPUTS)) == {"forward", "gradient"}
    found = FusedModel(model, BOTH)
    with torch.no_grad():
        before = found(INPUTS)
        assert torch.allclose(before, model(INPUTS), atol=1e-6)
    with torch.inference_mode():
        set_weights(model[1])
        assert not torch.allclose(found(INPUTS), before, atol=1e-3)


def test_under_autocast_the_model_is_called():
    model = trained(small_cnn())
    found = FusedModel(model, BOTH)
    with torch.no_grad():
        found(INPUTS)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(found(INPUTS), model(INPUTS))


@pytest.mark.filterwarnings("ignore:`torch.jit.*is deprecated:DeprecationWarning")
def test_transformed_functions_are_of_the_model():
    model = trained(small_cnn())
    found = FusedModel(model, BOTH)
    with torch.no_grad():
        found(INPUTS)
    gradient(found, INPUTS, TARGETS)
    for transform in (
        lambda each: torch.func.vmap(each)(INPUTS[:, None]),
        lambda each: torch.func.jvp(each, (INPUTS,), (INPUTS,))[1],
        lambda each: torch.func.grad(lambda inputs: each(inputs)[:, 0].sum())(INPUTS),
    ):
        assert torch.equal(transform(found), transform(model))


def test_other_threads_may_call_models_while_copies_are_made():
    model, other, failed = trained(small_cnn()), trained(Residual()), []
    done = threading.Event()

    def call(found):
        try:
            with torch.no_grad():
                while not done.is_set():
                    found(INPUTS[:1])
        except BaseException as error:  # noqa: BLE001 (whatever it is)
            failed.append(error)

    threads = [threading.Thread(target=call, args=(each,)) for each in (other, FusedModel(other, BOTH))]
    for thread in threads:
        thread.start()
    for _ in range(15):
        with torch.no_grad():
            FusedModel(model, BOTH)(INPUTS)
    done.set()
    for thread in threads:
        thread.join()
    assert not failed


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_what_is_no_number_shows_in_the_logits(broken):
    found, inputs = FusedModel(trained(small_cnn()), BOTH), INPUTS.clone()
    inputs[1, 0, 3, 3] = broken
    with torch.no_grad():
        found(INPUTS)
        assert found(inputs).isfinite().all(1).tolist() == [True, False, True, True, True]


@pytest.mark.filterwarnings("ignore:`torch.jit.*is deprecated:DeprecationWarning")
def test_scripted_parts_in_training_mode_are_the_models_own():
    model = trained(nn.Sequential(torch.jit.script(nn.Dropout(0.5).eval()), *small_cnn()))
    found = FusedModel(model, BOTH)
    with torch.no_grad():
        assert torch.equal(found(INPUTS), found(INPUTS))
        model[0].train()
        assert not torch.equal(found(INPUTS), found(INPUTS))


def set_weights(layer):
    with torch.no_grad():
        layer.weight.mul_(2.0)


def set_data(layer):
    layer.weight.data[0] = 1.0


def replace_weights(layer):
    layer.weight = nn.Parameter(torch.zeros_like(layer.weight), requires_grad=False)


@pytest.mark.parametrize("change", [set_weights, set_data, replace_weights])
def test_changed_weights_count_at_once(change):
    model = trained(small_cnn())
    found = FusedModel(model, BOTH)
    with torch.no_grad():
        before = found(INPUTS)
        change(model[1])
        after = found(INPUTS)
        assert torch.allclose(after, model(INPUTS), atol=1e-6)
    assert not torch.allclose(after, before, atol=1e-3)


class Holds(Residual):
    """What it does is decided by what it holds beside parameters and buffers."""

    def __init__(self):
        super().__init__()
        self.mean, self.scales, self.named, self.bend = torch.full((1,), 0.5), [2.0, 3.0], {"shift": (1.0,)}, torch.tanh
        self.smooth = nn.Tanh()

    def forward(self, inputs):
        scaled = (inputs - self.mean) * self.scales[1] + self.named["shift"][0]
        return self.smooth(self.bend(super().forward(scaled)))


CHANGES = {
    "tensor in place": lambda model: model.mean.fill_(0.1),
    "tensor by its data": lambda model: model.mean.data.fill_(0.1),
    "another tensor": lambda model: setattr(model, "mean", torch.full((1,), 0.1)),
    "number in a list": lambda model: model.scales.__setitem__(1, 4.0),
    "number in a tuple in a dictionary": lambda model: model.named.update(shift=(2.0,)),
    "function": lambda model: setattr(model, "bend", torch.sigmoid),
    "module": lambda model: setattr(model, "smooth", nn.Sigmoid().eval()),
    "forward of a layer": lambda model: setattr(model.second, "forward", lambda inputs: 3.0 * inputs),
    "dilation": lambda model: vars(model.second).update(dilation=(2, 2), padding=(2, 2)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_else_a_model_holds_counts_at_once(change):
    model = trained(Holds())
    found = FusedModel(model, BOTH)
    with torch.no_grad():
        before = found(INPUTS)
    gradient(found, INPUTS, TARGETS)
    change(model)
    with torch.no_grad():
        after = found(INPUTS)
        assert torch.allclose(after, model(INPUTS), atol=1e-6)
    assert not torch.allclose(after, before, atol=1e-3)
    expected = gradient(model, INPUTS, TARGETS)
    assert torch.allclose(gradient(found, INPUTS, TARGETS), expected, atol=1e-5 * float(expected.abs().max()))


def test_large_tensors_are_compared_in_part(monkeypatch):
    monkeypatch.setattr(fused, "COMPARED_NUMBERS", 100)
    snapshot = fused._Snapshot.of(model := trained(small_cnn()))
    assert sum(one.numel() for one in snapshot.tensors) < sum(one.numel() for one in model.parameters()) / 4
    assert snapshot.fits(model)
    model[-1].reset_parameters()
    assert not snapshot.fits(model)


def test_training_and_gradients_of_parameters_are_the_models_own():
    model = build("small_cnn", LogMel(8000, 1.0, bands=32, frames=32), class_count=3, seed=0).body
    found = FusedModel(model, BOTH)
    found.train()
    found(INPUTS).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    found.eval()
    model.zero_grad()
    found(INPUTS).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_copies_have_weights_of_their_own():
    model = trained(small_cnn())
    found = FusedModel(model, BOTH)
    with torch.no_grad():
        found(INPUTS)
        other = copy.deepcopy(found)
        set_weights(dict(other.original.named_modules())["1"])
        assert torch.allclose(other(INPUTS), other.original(INPUTS), atol=1e-6)
        assert torch.allclose(found(INPUTS), model(INPUTS), atol=1e-6)
    assert list(found.state_dict()) == [f"original.{name}" for name in model.state_dict()]


def test_randomised_models_are_the_same():
    model, maps = trained(small_cnn()), INPUTS.clone()
    metric = ModelParameterRandomisation(Saliency())
    assert torch.equal(metric(FusedModel(model, BOTH), INPUTS, TARGETS, maps), metric(model, INPUTS, TARGETS, maps))


def test_copies_are_made_once(copies_made):
    found = FusedModel(trained(small_cnn()), BOTH)
    for _ in range(3):
        Saliency()(found, INPUTS, TARGETS)
        with torch.inference_mode():
            found(INPUTS)
    Saliency()(found, torch.cat([INPUTS, INPUTS], 2), TARGETS)
    assert sorted(copies_made) == [FOLDED, ONEDNN]


def test_what_it_says_of_itself_is_the_models():
    model = small_cnn()
    setattr(model, "activation", "sigmoid")  # noqa: B010 (a module's attributes are no texts to mypy)
    assert FusedModel(model, {}).activation == "sigmoid"


def test_no_inputs_are_refused():
    with pytest.raises(UserError, match="at least one"):
        fastest_copies(small_cnn(), INPUTS[:0])


@pytest.mark.parametrize("copies", [{"forward": "compiled"}, {"gradient": ONEDNN}, {"backward": FOLDED}])
def test_unknown_copies_are_refused(copies):
    with pytest.raises(UserError):
        FusedModel(small_cnn(), copies)


def test_copies_are_for_their_device() -> None:
    model = tiny_cnn().eval().requires_grad_(False)
    inputs = torch.randn(4, 1, 16, 16, dtype=torch.float64)
    assert fused.GRAPHED not in fastest_copies(model, inputs).values()
    through = FusedModel(model, {"forward": fused.GRAPHED, "gradient": fused.GRAPHED})
    with torch.no_grad():
        assert torch.equal(through(inputs), model(inputs))
    assert through._made.copies == {}


def test_graphs_stand_for_the_model_until_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    record = GraphRecorder()
    monkeypatch.setattr(fused, "ONLY_ON", {})
    monkeypatch.setattr(cuda_graphs, "cuda_graphs", record)
    model = tiny_cnn().eval().requires_grad_(False)
    through = FusedModel(model, {"forward": fused.GRAPHED, "gradient": fused.GRAPHED})
    for recorded in (3, 6):
        for seed in range(4):
            inputs = torch.randn(8, 1, 16, 16, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
            with torch.no_grad():
                torch.testing.assert_close(through(inputs), model(inputs))
            torch.testing.assert_close(Saliency()(through, inputs, 1), Saliency()(model, inputs, 1))
        assert len(record.graphs) == recorded
        with torch.no_grad():
            next(model.parameters()).mul_(2.0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_on_a_gpu_graphs_stand_for_the_model() -> None:
    model = tiny_cnn(dtype=torch.float32).eval().requires_grad_(False).cuda()
    through = FusedModel(model, {"forward": fused.GRAPHED, "gradient": fused.GRAPHED})
    for seed in range(5):
        inputs = torch.randn(8, 1, 16, 16, generator=torch.Generator().manual_seed(seed)).cuda()
        leaf, twin = inputs.clone().requires_grad_(True), inputs.clone().requires_grad_(True)
        (found,) = torch.autograd.grad(through(leaf)[:, 0].sum(), leaf)
        (expected,) = torch.autograd.grad(model(twin)[:, 0].sum(), twin)
        torch.testing.assert_close(found, expected)
