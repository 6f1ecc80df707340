"""Training: it learns, it is a function of its seed, it stops early and it goes on as if never stopped."""

import math
import random

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from audioxai.domains import Pixels, Waveform
from audioxai.models import build, training
from audioxai.models.training import Epoch, Labelled, TrainingConfig, accuracy, one_cycle, shifted, train
from audioxai.utils.errors import UserError

CPU = torch.device("cpu")
DOMAIN = Pixels(16, 16)


def toy(samples: int, seed: int) -> Labelled:
    """Three classes: a bright bar in the upper, middle or lower third, under noise."""
    noise = torch.Generator().manual_seed(seed)
    labels = torch.arange(samples) % 3
    inputs = 0.3 * torch.rand((samples, 1, 16, 16), generator=noise)
    for row, label in enumerate(labels.tolist()):
        inputs[row, 0, 2 + 5 * label : 4 + 5 * label, 3:13] = 1.0
    return Labelled(inputs, labels)


TRAINING, VALIDATION = toy(60, 1), toy(30, 2)


def trained(config, state, data: tuple[Labelled, Labelled] = (TRAINING, VALIDATION)):
    """Weights and history of a model freshly built from the recipe's seed."""
    model = build("small_cnn", DOMAIN, 3, config.seed)
    history = train(model, data[0], data[1], config, CPU, state)
    assert not model.training
    return {name: value.clone() for name, value in model.state_dict().items()}, history


def identical(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


RECIPE = TrainingConfig(epochs=5, batch_size=16, largest_shift=0.2, seed=3)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return trained(RECIPE, tmp_path_factory.mktemp("undisturbed") / "run.training")


def test_a_separable_problem_is_learnt(tmp_path):
    model = build("small_cnn", DOMAIN, 3, 0)
    assert accuracy(model, VALIDATION, CPU) < 0.9
    history = train(model, TRAINING, VALIDATION, TrainingConfig(epochs=8, batch_size=16), CPU, tmp_path / "a.training")
    assert accuracy(model, toy(90, 3), CPU) == 1.0
    assert history[-1].loss < 0.5 * history[0].loss
    # Three classes at first look alike: about log 3 nats.
    assert abs(history[0].loss - math.log(3)) < 0.6


def test_the_seed_decides_everything(undisturbed, tmp_path):
    torch.manual_seed(99)  # what the global generator holds is of no matter
    weights, history = trained(RECIPE, tmp_path / "same.training")
    assert identical(weights, undisturbed[0])
    assert history == undisturbed[1]
    other, _ = trained(TrainingConfig(epochs=5, batch_size=16, largest_shift=0.2, seed=4), tmp_path / "other.training")
    assert not identical(other, undisturbed[0])


def test_seed_decides_order_dropout_and_shifts_beyond_the_first_weights(tmp_path):
    """The same first weights under two seeds part company."""
    ends = []
    for seed in (0, 1):
        model = build("small_cnn", DOMAIN, 3, 7)
        train(
            model, TRAINING, VALIDATION, TrainingConfig(1, batch_size=16, seed=seed), CPU, tmp_path / f"{seed}.training"
        )
        ends.append(model.state_dict())
    assert not identical(*ends)


def test_global_random_state_is_untouched(tmp_path):
    torch.manual_seed(5)
    before = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"].copy(), random.getstate()  # noqa: NPY002
    trained(TrainingConfig(epochs=1, batch_size=16, largest_shift=0.2), tmp_path / "a.training")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state(legacy=False)["state"]["key"] == before[1]).all()  # noqa: NPY002
    assert random.getstate() == before[2]


class StoppedHereError(Exception):
    pass


def stop_in(monkeypatch, name, call):
    """Let the given call (counted from 1) of a function of the training module raise."""
    original = getattr(training, name)
    calls: list[None] = []

    def stopping(*arguments):
        calls.append(None)
        if len(calls) == call:
            raise StoppedHereError
        return original(*arguments)

    monkeypatch.setattr(training, name, stopping)


# Steps are 4 an epoch; `shifted` is called once a step, `accuracy` once an epoch.
@pytest.mark.parametrize(
    ("where", "calls"),
    [
        ("accuracy", [1]),  # before anything was saved
        ("accuracy", [3]),
        ("accuracy", [5]),  # in the last epoch
        ("shifted", [7]),  # in the middle of an epoch
        ("_save", [2]),
        ("accuracy", [2, 2, 2]),  # again and again
    ],
)
def test_stopped_and_resumed_is_undisturbed(where, calls, undisturbed, tmp_path, monkeypatch):
    state = tmp_path / "run.training"
    for call in calls:
        with monkeypatch.context() as patch:
            stop_in(patch, where, call)
            with pytest.raises(StoppedHereError):
                trained(RECIPE, state)
    weights, history = trained(RECIPE, state)
    assert history == undisturbed[1]
    assert identical(weights, undisturbed[0])


def test_resuming_starts_after_the_saved_epochs(tmp_path, monkeypatch):
    state = tmp_path / "run.training"
    with monkeypatch.context() as patch:
        stop_in(patch, "accuracy", 4)
        with pytest.raises(StoppedHereError):
            trained(RECIPE, state)
    measured = []

    def half(*arguments):
        measured.append(arguments)
        return 0.5

    monkeypatch.setattr(training, "accuracy", half)
    _, history = trained(RECIPE, state)
    assert len(history) == 5
    assert len(measured) == 2


def test_a_finished_state_is_not_trained_further(undisturbed, tmp_path, monkeypatch):
    state = tmp_path / "run.training"
    trained(RECIPE, state)
    monkeypatch.setattr(training, "_train_epoch", None)
    weights, history = trained(RECIPE, state)
    assert history == undisturbed[1]
    assert identical(weights, undisturbed[0])


def scripted(monkeypatch, values):
    """Let validation accuracies be these, and keep the weights that each was measured on."""
    seen = []

    def measured(model, *_):
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        return values[len(seen) - 1]

    monkeypatch.setattr(training, "accuracy", measured)
    return seen


@pytest.mark.parametrize(
    ("values", "patience", "epochs_run", "best"),
    [
        ([0.5, 0.7, 0.6, 0.6, 0.6, 0.9], 3, 5, 1),  # the sixth is never reached
        ([0.5, 0.7, 0.7, 0.6, 0.6, 0.6, 0.9], 3, 6, 2),  # of equals the later counts
        ([0.5, 0.4, 0.9], 1, 2, 0),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], 1, 8, 7),
        ([0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1], 8, 8, 0),
        ([0.0] * 8, 2, 8, 7),
    ],
)
def test_early_stopping_and_the_best_weights(values, patience, epochs_run, best, tmp_path, monkeypatch):
    seen = scripted(monkeypatch, values)
    weights, history = trained(TrainingConfig(8, patience, batch_size=32), tmp_path / "run.training")
    assert [epoch.validation_accuracy for epoch in history] == values[:epochs_run]
    assert identical(weights, seen[best])
    assert not any(identical(seen[best], other) for index, other in enumerate(seen) if index != best)


def test_patience_and_best_weights_survive_an_interruption(tmp_path, monkeypatch):
    config, state = TrainingConfig(8, 3, batch_size=32), tmp_path / "run.training"
    with monkeypatch.context() as patch:
        seen = scripted(patch, [0.5, 0.7, 0.6])
        with pytest.raises(IndexError):
            trained(config, state)
    with monkeypatch.context() as patch:
        scripted(patch, [0.6, 0.6, 0.9])
        weights, history = trained(config, state)
    assert [epoch.validation_accuracy for epoch in history] == [0.5, 0.7, 0.6, 0.6, 0.6]
    assert identical(weights, seen[1])


def test_the_loss_is_the_mean_over_samples(tmp_path):
    """At no learning the loss of an epoch is that of the first weights, whatever the size of the last batch."""
    config = TrainingConfig(epochs=1, batch_size=25, learning_rate=1e-12, weight_decay=0.0)
    model = build("audionet", Waveform(64, 1.0), 3, 0)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    inputs = torch.rand((60, 1, 64), generator=torch.Generator().manual_seed(0))
    data = Labelled(inputs, torch.arange(60) % 3)
    expected = torch.nn.functional.cross_entropy(model(data.inputs), data.labels).item()
    history = train(model, data, data, config, CPU, tmp_path / "run.training")
    assert history[0].loss == pytest.approx(expected, rel=1e-5)


def test_one_cycle_by_its_closed_form():
    steps = 100
    rates = [one_cycle(step, steps) for step in range(steps + 1)]
    assert rates[0] == pytest.approx(0.04)
    assert rates[15] == pytest.approx(0.52)
    assert rates[30] == pytest.approx(1.0)
    assert rates[65] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0.0, abs=1e-12)
    assert np.diff(rates[:31]) == pytest.approx(np.full(30, 0.032))
    assert (np.diff(rates[30:]) < 0).all()
    assert rates[30:] == pytest.approx([math.cos(math.pi * step / 140) ** 2 for step in range(71)], abs=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_one_cycle_of_few_steps_stays_a_share(steps):
    assert one_cycle(0, steps) == pytest.approx(0.04)
    assert all(0.0 < one_cycle(step, steps) <= 1.0 for step in range(steps))


def test_the_schedule_spans_all_epochs_and_sets_the_rate(tmp_path, monkeypatch):
    asked = []

    def still(step, steps):
        asked.append((step, steps))
        return 0.0

    monkeypatch.setattr(training, "one_cycle", still)
    config = TrainingConfig(epochs=3, batch_size=25)
    weights, _ = trained(config, tmp_path / "run.training")
    assert asked == [(step, 9) for step in range(9)]
    # A rate of nothing leaves every parameter where it was.
    first = dict(build("small_cnn", DOMAIN, 3, 0).named_parameters())
    assert identical({name: weights[name] for name in first}, {name: value.detach() for name, value in first.items()})


def moved(row, by):
    """Zero-filled shift along the last axis, the slow and obvious way."""
    result, length = torch.zeros_like(row), row.shape[-1]
    for place in range(length):
        if 0 <= place - by < length:
            result[..., place] = row[..., place - by]
    return result


@pytest.mark.parametrize("shape", [(60, 1, 20), (60, 1, 3, 20)])
def test_shifts_are_zero_filled_within_reach_and_seeded(shape):
    inputs = 1.0 + torch.rand(shape, generator=torch.Generator().manual_seed(0))
    original = inputs.clone()
    result = shifted(inputs, 0.15, torch.Generator().manual_seed(1))
    assert torch.equal(inputs, original)
    found = [
        [by for by in range(-20, 21) if torch.equal(moved(row, by), own)]
        for row, own in zip(inputs, result, strict=True)
    ]
    assert all(len(candidates) == 1 for candidates in found)
    assert {by for (by,) in found} == set(range(-3, 4))
    assert torch.equal(result, shifted(inputs, 0.15, torch.Generator().manual_seed(1)))
    assert not torch.equal(result, shifted(inputs, 0.15, torch.Generator().manual_seed(2)))
    # Only the generator decides, not what is moved.
    ones = shifted(torch.ones(shape), 0.15, torch.Generator().manual_seed(1))
    assert torch.equal(ones == 0, result == 0)


@pytest.mark.parametrize("largest_shift", [0.0, 0.049])
def test_shifts_below_one_cell_change_nothing(largest_shift):
    inputs = torch.rand((5, 1, 20), generator=torch.Generator().manual_seed(0))
    assert torch.equal(shifted(inputs, largest_shift, torch.Generator().manual_seed(1)), inputs)


def test_accuracy_counts_by_hand_in_any_batch_size():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.9)).train()
    logits = torch.eye(4)[[0, 1, 2, 3, 3, 3, 0]].reshape(7, 1, 4)
    labelled = Labelled(logits, torch.tensor([0, 1, 2, 3, 0, 0, 0]))
    for batch_size in (1, 2, 3, 7, 100):
        assert accuracy(model.train(), labelled, CPU, batch_size) == pytest.approx(5 / 7)
    assert not model.training


NOTHING = Labelled(torch.zeros((0, 1, 16, 16)), torch.zeros(0, dtype=torch.int64))


def test_an_empty_part_is_refused(tmp_path):
    with pytest.raises(UserError, match="no samples"):
        accuracy(build("small_cnn", DOMAIN, 3, 0), NOTHING, CPU)
    for data in ((NOTHING, VALIDATION), (TRAINING, NOTHING)):
        with pytest.raises(UserError, match="no samples"):
            trained(RECIPE, tmp_path / "run.training", data)


def test_a_state_of_another_recipe_is_refused(tmp_path):
    state = tmp_path / "run.training"
    trained(TrainingConfig(epochs=1, batch_size=32), state)
    content = state.read_bytes()
    with pytest.raises(UserError, match=r"run\.training is of another recipe; delete it"):
        trained(TrainingConfig(epochs=2, batch_size=32), state)
    assert state.read_bytes() == content


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty"])
def test_an_unreadable_state_is_refused(damage, tmp_path):
    state = tmp_path / "run.training"
    trained(TrainingConfig(epochs=1, batch_size=32), state)
    content = state.read_bytes()
    state.write_bytes({"cut": content[: len(content) // 2], "garbage": b"\x80\x04 nothing", "empty": b""}[damage])
    with pytest.raises(UserError, match=r"run\.training is unreadable .*delete it"):
        trained(TrainingConfig(epochs=1, batch_size=32), state)


def test_a_state_that_is_not_ours_is_refused(tmp_path):
    state = tmp_path / "run.training"
    save_file({"weights": torch.zeros(3)}, state)
    with pytest.raises(UserError, match=r"run\.training is unreadable .*delete it"):
        trained(RECIPE, state)


def test_a_flipped_byte_of_a_state_is_noticed(tmp_path):
    state = tmp_path / "run.training"
    trained(TrainingConfig(epochs=1, batch_size=32), state)
    content = bytearray(state.read_bytes())
    content[-1] ^= 1
    state.write_bytes(content)
    with pytest.raises(UserError, match=r"run\.training is damaged.*delete it"):
        trained(TrainingConfig(epochs=1, batch_size=32), state)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", -1),
        ("patience", 0),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("learning_rate", -1e-3),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("weight_decay", -0.1),
        ("largest_shift", -0.1),
        ("largest_shift", 1.0),
        ("largest_shift", math.nan),
    ],
)
def test_recipes_that_cannot_be_are_refused(name, value):
    with pytest.raises(UserError, match=f"{name} is {value}"):
        TrainingConfig(**{"epochs": 3, name: value})


def test_the_history_holds_plain_numbers(undisturbed):
    assert all(type(entry) is Epoch and type(entry.loss) is float for entry in undisturbed[1])
    assert all(0.0 <= entry.validation_accuracy <= 1.0 for entry in undisturbed[1])
