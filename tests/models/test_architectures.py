"""Architectures: their shapes, their seeds, their two halves."""

import inspect
import math

import numpy as np
import pytest
import torch
from helpers.tiny_models import draw, layers_of
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from audioxai.domains import Domain, LogMel, Pixels, Waveform
from audioxai.models import ARCHITECTURES, Classifier, build
from audioxai.models.alexnet import stem_stride
from audioxai.models.front_end import FrontEnd, Standardise, prepared_for
from audioxai.utils.errors import UserError

# Every architecture at every size that is offered, on recordings and on images.
IMAGES = [Pixels(size, size) for size in (28, 32, 64, 128)]
SOUNDS = [LogMel(16_000, 1.0, size, size) for size in (32, 64, 128)]
DOMAINS: dict[str, list[Domain]] = {
    "small_cnn": [Pixels(16, 16), Pixels(20, 33), *IMAGES, *SOUNDS],
    "alexnet": [Pixels(28, 40), *IMAGES, Pixels(227, 227), *SOUNDS],
    "audionet": [Waveform(64, 1.0), Waveform(8_000, 1.0), Waveform(8_000, 2.0)],
    "tiny_ast": [Pixels(16, 16), Pixels(28, 40), LogMel(16_000, 1.0, 64, 64)],
    "tiny_wav2vec2": [Waveform(450, 1.0), Waveform(8_000, 1.0), Waveform(8_000, 2.0)],
}
CASES = [
    pytest.param(name, domain, id=f"{name}-{domain.name}-{domain.shape}")
    for name in DOMAINS
    for domain in DOMAINS[name]
]
EVERY = pytest.mark.parametrize("name", ARCHITECTURES)


def recording(domain: Domain, batch: int = 2, seed: int = 0) -> Tensor:
    """What the domain's classifier takes."""
    if isinstance(domain, Pixels):
        return draw(batch, 1, *domain.shape, seed=seed, dtype=torch.float32).sigmoid()
    assert isinstance(domain, LogMel | Waveform)
    samples = round(domain.sample_rate_hz * domain.duration_s)
    return (0.1 * draw(batch, 1, samples, seed=seed, dtype=torch.float32)).clamp(-1, 1)


def smallest(name: str) -> Domain:
    """The smallest domain that an architecture takes."""
    side = ARCHITECTURES[name].smallest
    return Waveform(side, 1.0) if ARCHITECTURES[name].dimensions == 1 else Pixels(side, side)


def test_every_architecture_is_tried() -> None:
    assert set(DOMAINS) == set(ARCHITECTURES)


@pytest.mark.parametrize(("name", "domain"), CASES)
def test_gives_logits_that_depend_on_every_part_of_the_input(name: str, domain: Domain) -> None:
    model = build(name, domain, class_count=7, seed=0).eval()
    recorded = recording(domain).requires_grad_(True)
    logits = model(recorded)
    assert logits.shape == (2, 7)
    assert bool(torch.isfinite(logits).all())
    assert not torch.equal(logits[0], logits[1])
    (gradient,) = torch.autograd.grad(logits[:, 3].sum(), recorded)
    assert bool(torch.isfinite(gradient).all())
    # In every quarter along every axis something counts.
    for axis in range(2, gradient.ndim):
        for part in gradient.chunk(4, axis):
            assert bool((part.flatten(1) != 0).any(1).all())


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("small_cnn", LogMel(16_000, 1.0, 32, 32)),
        ("small_cnn", Pixels(32, 32)),
        ("alexnet", LogMel(8_000, 1.0, 64, 64)),
        ("audionet", Waveform(8_000, 1.0)),
        ("tiny_ast", LogMel(8_000, 1.0, 64, 64)),
        ("tiny_wav2vec2", Waveform(8_000, 1.0)),
    ],
)
def test_front_end_and_body_are_the_whole(name: str, domain: Domain) -> None:
    model = build(name, domain, class_count=4, seed=0).eval()
    recorded = recording(domain)
    seen = model.front_end(recorded)
    assert model.domain is domain
    assert seen.shape == (2, 1, *domain.shape)
    assert torch.equal(seen, domain.analysis(recorded))
    assert torch.equal(model(recorded), model.body(seen))


def test_a_sound_classifier_is_the_same_in_two_domains() -> None:
    domain = LogMel(8_000, 0.5, 32, 32)
    model = build("small_cnn", domain, 3, seed=0).double().eval()
    recorded = recording(domain).double()
    torch.testing.assert_close(model(recorded), model.body(domain.analysis(recorded)), rtol=0, atol=0)
    assert list(model.front_end.parameters()) == []


@EVERY
def test_weights_are_a_function_of_the_seed(name: str) -> None:
    domain = smallest(name)
    state = torch.get_rng_state()
    first = build(name, domain, 3, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(77)
    again, other = build(name, domain, 3, seed=5), build(name, domain, 3, seed=6)
    torch.set_rng_state(state)
    assert all(torch.equal(one, two) for one, two in zip(first.parameters(), again.parameters(), strict=True))
    drawn = [
        torch.equal(one, two)
        for one, two in zip(first.parameters(), other.parameters(), strict=True)
        if len(torch.unique(one)) > 1
    ]
    assert drawn
    assert not any(drawn)


@EVERY
@pytest.mark.parametrize("classes", [2, 10])
def test_one_sample_and_many_give_the_same_logits(name: str, classes: int) -> None:
    model = build(name, smallest(name), classes, seed=0).eval().double()
    recorded = recording(smallest(name), batch=5).double()
    together = model(recorded)
    assert together.shape == (5, classes)
    alone = torch.cat([model(one[None]) for one in recorded])
    torch.testing.assert_close(alone, together, rtol=1e-10, atol=1e-12)


@EVERY
def test_the_smallest_size_is_the_smallest_that_works(name: str) -> None:
    architecture, domain = ARCHITECTURES[name], smallest(name)
    below: Domain = Waveform(architecture.smallest - 1, 1.0)
    if architecture.dimensions == 2:
        below = Pixels(architecture.smallest, architecture.smallest - 1)
    reason = f"{name} takes {architecture.dimensions}-dimensional .*{architecture.smallest} features"
    with pytest.raises(UserError, match=reason):
        build(name, below, 3, seed=0)
    assert build(name, domain, 3, seed=0).eval()(recording(domain)).shape == (2, 3)


@EVERY
def test_inputs_of_another_dimension_are_refused(name: str) -> None:
    other: Domain = Waveform(8_000, 1.0) if ARCHITECTURES[name].dimensions == 2 else Pixels(128, 128)
    with pytest.raises(UserError, match=rf"but the {other.name} domain gives \({other.shape[0]}.*choose another"):
        build(name, other, 3, seed=0)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UserError, match=r"no architecture 'smal_cnn', did you mean 'small_cnn'\?"):
        build("smal_cnn", Pixels(28, 28), 3, seed=0)


def test_an_architecture_is_one_registration() -> None:
    """As in a user's module: registered once, it can be built, and its facts are known."""

    def mean_and_slope(domain: Domain, class_count: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(domain.shape), class_count))

    register = ARCHITECTURES.register("linear", label="Linear", dimensions=2, smallest=2, learning_rate=1e-2)
    try:
        assert register(mean_and_slope) is mean_and_slope
        model = build("linear", Pixels(4, 6), 3, seed=0)
        assert model(torch.rand(2, 1, 4, 6)).shape == (2, 3)
        assert ARCHITECTURES["linear"].learning_rate == 1e-2
        with pytest.raises(UserError, match="at least 2 features"):
            build("linear", Pixels(1, 6), 3, seed=0)
    finally:
        del ARCHITECTURES._entries["linear"]


@pytest.mark.parametrize("name", [name for name, entry in ARCHITECTURES.items() if entry.family == "convolutional"])
def test_every_rectifier_is_a_module_of_its_own(name: str) -> None:
    """Or else neither guided Grad-CAM nor DeepLift could serve our own models."""
    model = build(name, smallest(name), 3, seed=0)
    rectifiers = [module for module in model.modules() if isinstance(module, nn.ReLU)]
    assert rectifiers
    assert not any(module.inplace for module in rectifiers)
    graph, pending, recorded = set(), [model.eval()(recording(smallest(name)).requires_grad_(True)).grad_fn], 0
    while pending:
        node = pending.pop()
        if node is not None and node not in graph:
            graph.add(node)
            recorded += "relu" in node.name().lower()
            pending.extend(parent for parent, _ in node.next_functions)
    assert recorded == len(rectifiers)


@pytest.mark.parametrize("domain", [*IMAGES, Pixels(227, 227)], ids=lambda domain: str(domain.shape))
def test_both_image_architectures_have_so_many_parameters(domain: Domain) -> None:
    counts = {
        name: sum(parameter.numel() for parameter in build(name, domain, 10, seed=0).parameters())
        for name in ("small_cnn", "alexnet")
    }
    # By hand: convolutions of 9 c_in c_out without bias and 2 numbers of batch norm a channel, then 64 · 10 + 10.
    convolutions = 9 * (1 * 16 + 16 * 32 + 32 * 64 + 64 * 64) + 2 * (16 + 32 + 64 + 64)
    assert counts["small_cnn"] == convolutions + 650
    convolutions = 121 * 96 + 25 * 96 * 256 + 9 * (256 * 384 + 384 * 384 + 384 * 256) + (96 + 256 + 384 + 384 + 256)
    assert counts["alexnet"] == convolutions + (1024 + 1) * 1024 * 2 + (1024 + 1) * 10


@pytest.mark.parametrize(("rows", "stride"), [(28, 1), (32, 1), (63, 1), (64, 2), (127, 2), (128, 4), (227, 4)])
def test_alexnets_stem_takes_larger_steps_on_larger_inputs(rows: int, stride: int) -> None:
    assert stem_stride(rows) == stride


def test_alexnet_at_227_has_the_published_maps() -> None:
    model, sizes = build("alexnet", Pixels(227, 227), 10, seed=0).eval(), []
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _, __, output: sizes.append(tuple(output.shape[1:])))
    model(recording(model.domain, batch=1))
    assert sizes == [(96, 56, 56), (256, 27, 27), (384, 13, 13), (384, 13, 13), (256, 13, 13)]


@given(low=st.floats(-100, 99), width=st.floats(0.1, 200), place=st.floats(-0.5, 1.5))
@settings(deadline=None)
def test_standardise_maps_its_range_onto_minus_one_to_one(low: float, width: float, place: float) -> None:
    layer = Standardise(low, low + width)
    inputs = torch.tensor([low, low + width / 2, low + width, low + place * width], dtype=torch.float64)
    expected = [-1.0, 0.0, 1.0, 2 * place - 1]
    np.testing.assert_allclose(layer(inputs).tolist(), expected, rtol=0, atol=1e-9 * (1 + math.fabs(low) / width))


@pytest.mark.parametrize("domain", [Pixels(28, 28), LogMel(16_000, 1.0, 32, 32)], ids=lambda domain: domain.name)
@pytest.mark.parametrize("name", ["small_cnn", "alexnet"])
def test_bodies_begin_by_standardising_their_domain(name: str, domain: Domain) -> None:
    first = layers_of(build(name, domain, 3, seed=0).body)[0]
    low, high = (first(torch.tensor(value)).item() for value in domain.value_range)
    assert (low, high) == (-1.0, 1.0)


def test_preparing_a_model_changes_no_logit() -> None:
    model = build("small_cnn", Pixels(28, 28), 3, seed=0).eval().double()
    recorded = recording(model.domain).double()
    before = model(recorded)
    assert prepared_for(model, torch.device("cpu")) is model
    assert layers_of(model.body)[5].weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(model(recorded), before, rtol=1e-10, atol=1e-12)


def test_a_front_end_refuses_what_its_domain_refuses() -> None:
    with pytest.raises(UserError, match="8000"):
        FrontEnd(LogMel(8_000, 1.0, 32, 32))(torch.zeros(1, 1, 100))
    assert list(inspect.signature(Classifier).parameters) == ["domain", "body"]
