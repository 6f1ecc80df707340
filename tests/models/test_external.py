"""A user's own module and weights as a model: loaded and recognised, or refused in one sentence."""

import pickle
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.tiny_models import layers_of, tiny_cnn
from safetensors.torch import save_file, save_model
from torch import nn

from audioxai.core import configuration_of
from audioxai.domains import Pixels
from audioxai.models import build
from audioxai.models.checkpoints import Card, load_weights, save_weights, weights_digest
from audioxai.models.external import ExternalModel, load_external, require_classes
from audioxai.models.front_end import Classifier
from audioxai.utils.errors import UserError

SOURCE = """
from dataclasses import dataclass
from my_layers import Scale
import torch
from torch import nn

@dataclass
class Size:
    classes: int = 3

class Net(nn.Module):
    def __init__(self, classes=Size().classes):
        super().__init__()
        self.scale = Scale()
        self.head = nn.Linear(8, classes)
        self.tied = self.head.weight

    def forward(self, inputs):
        return self.scale(self.head(inputs.flatten(1)))

def with_five():
    return Net(5)

def sized(classes, *, width=3):
    return Net(classes)

def nothing():
    return None

ready = Net(4)
number = 3
"""
LAYERS = """
import torch
from torch import nn

class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("by", torch.tensor(2.0))

    def forward(self, inputs):
        return self.by * inputs
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "net.py").write_text(SOURCE)
    (folder / "my_layers.py").write_text(LAYERS)
    (folder / "broken.py").write_text("import no_such_package\n")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "my_layers", raising=False)
    return folder / "net.py"


def test_a_class_a_function_and_a_model_are_loaded(file: Path) -> None:
    before, state = list(sys.path), torch.get_rng_state()
    for name, classes in {"Net": 3, "with_five": 5, "ready": 4}.items():
        model = load_external(f"{file}:{name}")
        assert not model.training
        assert model(torch.zeros(2, 1, 2, 4)).shape == (2, classes)
    assert sys.path == before
    assert torch.equal(torch.get_rng_state(), state)


def test_the_weights_are_the_same_in_every_run(file: Path) -> None:
    first = load_external(f"{file}:Net")
    torch.manual_seed(99)
    assert weights_digest(load_external(f"{file}:Net")) == weights_digest(first)


def test_a_package_in_the_working_directory_is_found(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    monkeypatch.delitem(sys.modules, "net", raising=False)
    assert isinstance(load_external("net:Net"), nn.Module)
    monkeypatch.delitem(sys.modules, "net")


def test_two_files_of_one_name_are_two_modules(file: Path) -> None:
    other = file.parent / "other"
    other.mkdir()
    (other / "net.py").write_text(
        "from torch import nn\nclass Net(nn.Linear):\n    def __init__(self): super().__init__(2, 7)\n"
    )
    assert load_external(f"{other}/net.py:Net")(torch.rand(1, 2)).shape == (1, 7)
    assert load_external(f"{file}:Net")(torch.rand(1, 8)).shape == (1, 3)


@pytest.mark.parametrize("write", [save_model, lambda model, path: save_file(unshared(model), path)])
def test_weights_are_taken_from_safetensors(file: Path, write) -> None:
    trained = layers_of(load_external(f"{file}:Net"))
    with torch.no_grad():
        trained.head.weight += 1.0
        trained.scale.by.fill_(3.0)
    weights = file.parent / "net.safetensors"
    write(trained, weights)
    loaded = load_external(f"{file}:Net", weights)
    assert weights_digest(loaded) == weights_digest(trained) != weights_digest(load_external(f"{file}:Net"))
    inputs = torch.rand(2, 8)
    assert torch.equal(loaded(inputs), trained(inputs))
    assert not loaded.training


def unshared(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("net.py:Nett", "no 'Nett' in .*net.py, did you mean 'Net'"),
        ("net.py:sized", "net.py:sized needs classes; name a function without arguments"),
        ("net.py:nothing", "is of type NoneType; it has to return a torch.nn.Module"),
        ("net.py:number", "is of type int"),
        ("net.py", "write package.module:name or path/to/file.py:name"),
        ("net.py:", "write package.module:name"),
        ("missing.py:Net", r"missing\.py does not exist; correct the place"),
        ("broken.py:Net", "broken.py needs no_such_package, which is not installed"),
    ],
)
def test_what_is_no_model_is_refused(file: Path, name: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        load_external(f"{file.parent}/{name}")


def test_a_module_that_is_not_there_is_refused() -> None:
    for name in ("no_such_package:Net", "torch.no_such_part:Net"):
        with pytest.raises(UserError, match=r"no module '[\w.]+' to load a model from|not a package"):
            load_external(name)


def test_a_model_that_cannot_be_recognised_is_refused() -> None:
    with pytest.raises(UserError, match="ReLU has neither parameters nor buffers"):
        load_external("torch.nn:ReLU")


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt", ".pkl"])
def test_pickles_are_refused_with_the_way_to_convert_them(file: Path, suffix: str) -> None:
    weights = file.parent / f"net{suffix}"
    weights.write_bytes(pickle.dumps({"head.bias": [1.0]}))
    with pytest.raises(UserError, match=r"pickle.*save_model\(model, 'net.safetensors'\)"):
        load_external(f"{file}:Net", weights)


def test_weights_that_do_not_fit_are_refused(file: Path) -> None:
    weights = file.parent / "a.safetensors"
    with pytest.raises(UserError, match=r"a\.safetensors do not exist"):
        load_external(f"{file}:Net", weights)
    weights.write_bytes(pickle.dumps("no tensors"))
    with pytest.raises(UserError, match=r"a\.safetensors are unreadable"):
        load_external(f"{file}:Net", weights)
    save_model(load_external(f"{file}:with_five"), str(weights))
    with pytest.raises(UserError, match=r"do not fit the model .*net.py:Net .*\b5\b"):
        load_external(f"{file}:Net", weights)
    save_file({"head.bias": torch.zeros(3)}, weights)
    with pytest.raises(UserError, match=r"they lack (?=.*head\.weight)(?=.*scale\.by)"):
        load_external(f"{file}:Net", weights)
    save_file({**unshared(load_external(f"{file}:Net")), "more": torch.zeros(3)}, weights)
    with pytest.raises(UserError, match=r"do not fit the model .*: they add more; give"):
        load_external(f"{file}:Net", weights)


def test_the_digest_is_of_names_shapes_and_values_alone() -> None:
    model = tiny_cnn(dtype=torch.float32)
    digest = weights_digest(model)
    assert len(digest) == 64
    assert digest == weights_digest(tiny_cnn(dtype=torch.float32)) == weights_digest(model.train())
    assert digest == weights_digest(layers_of(model).to(memory_format=torch.channels_last))
    for parameter in [*model.parameters(), *model.buffers()]:
        changed = parameter.detach().clone()
        parameter.data[...] += 1
        assert weights_digest(model) != digest
        parameter.data.copy_(changed)
    assert weights_digest(model) == digest
    assert weights_digest(model.double()) != digest


def test_the_digest_tells_shapes_names_and_layers() -> None:
    def with_weight(layer: nn.Module, *shape: int) -> nn.Module:
        layer.register_buffer("weight", torch.arange(6.0).reshape(shape))
        return layer

    models = [with_weight(nn.ReLU(), 2, 3), with_weight(nn.ReLU(), 3, 2), with_weight(nn.GELU(), 2, 3)]
    models += [nn.Sequential(models[0]), nn.Sequential(nn.Identity(), models[0])]
    assert len({weights_digest(model) for model in models}) == len(models)


def test_the_digest_knows_every_type_of_number() -> None:
    digests = set()
    for kind in (torch.float32, torch.bfloat16, torch.float16, torch.complex64, torch.int8, torch.bool):
        for fill in (0, 1):
            for shape in ((), (2,)):
                model = nn.ReLU()
                model.register_buffer("values", torch.full(shape, fill, dtype=kind), persistent=False)
                digests.add(weights_digest(model))
    assert len(digests) == 6 * 2 * 2


def test_the_class_count_has_to_be_the_datas() -> None:
    model = build("small_cnn", Pixels(16, 16), 10, seed=0)
    inputs = torch.rand(3, 1, 16, 16)
    model.train()
    require_classes(model, inputs, 10)
    assert model.training
    assert layers_of(model.body)[2].num_batches_tracked == 0
    with pytest.raises(UserError, match="the model returns 10 logits but the data have 4 classes"):
        require_classes(model, inputs, 4)
    with pytest.raises(UserError, match=r"does not take inputs of shape \(1, 3, 16, 16\)"):
        require_classes(model.body, torch.rand(3, 3, 16, 16), 10)
    with pytest.raises(UserError, match="NaN"):
        require_classes(model, torch.full((1, 1, 16, 16), torch.nan), 10)


def test_a_study_can_name_it(file: Path) -> None:
    trained = layers_of(load_external(f"{file}:Net"))
    with torch.no_grad():
        trained.head.bias += 1.0
    weights = file.parent / "net.safetensors"
    save_model(trained, str(weights))
    external = ExternalModel("mine/net.py:Net", weights=weights, folder=file.parents[1])
    assert weights_digest(external.load()) == weights_digest(trained)
    # Where it lies is no part of what it is, and everything else is plain data.
    assert external.name == "net_Net"
    stated = {"name": "net_Net", "factory": "mine/net.py:Net", "weights": str(weights)}
    assert configuration_of(external) == {**stated, "takes_waveforms": False, "sample_rate_hz": None}
    assert external == ExternalModel("mine/net.py:Net", weights=str(weights))
    assert ExternalModel("pack.age.models:build").name == "pack_age_models_build"
    with pytest.raises(UserError, match=r"write package\.module:name"):
        ExternalModel("net.py")
    classifier = Classifier(Pixels(2, 4), external.load())
    external.check(classifier, torch.rand(2, 1, 2, 4), ("a", "b", "c"))
    with pytest.raises(UserError, match="returns 3 logits but the data have 2 classes"):
        external.check(classifier, torch.rand(2, 1, 2, 4), ("a", "b"))


def test_tied_weights_are_kept_as_a_checkpoint(file: Path) -> None:
    model = Classifier(Pixels(2, 4), load_external(f"{file}:Net"))
    weights = file.parent / "kept.safetensors"
    sha256 = save_weights(weights, model)
    other = Classifier(Pixels(2, 4), load_external(f"{file}:Net"))
    with torch.no_grad():
        layers_of(other.body).head.weight.zero_()
    load_weights(weights, other, card_of(sha256))
    assert weights_digest(other) == weights_digest(model)
    assert layers_of(other.body).tied is layers_of(other.body).head.weight


def card_of(sha256: str) -> Card:
    plain: dict[str, Any] = dict.fromkeys(("dataset", "split", "architecture", "data_fingerprint", "git_commit"), "x")
    numbers: dict[str, Any] = {"resolution": 2, "seed": 0, "epochs_run": 0, "seconds": 0.0}
    empty: dict[str, Any] = {"accuracy": {}, "samples": {}, "class_names": [], "domain": {}, "config": {}}
    return Card(**plain, **numbers, **empty, stand_in_for=None, weights_sha256=sha256)
