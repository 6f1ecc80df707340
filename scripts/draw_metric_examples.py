"""Draw what each family of metrics tells apart: one good and one bad case of each, from real scores of one clip.

    python scripts/draw_metric_examples.py

Trains the model of ``audioxai example`` (a few seconds) and writes docs/figures/metrics_FAMILY.png, which
docs/understand_metrics.md shows. Prints every score that stands in a picture.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

from audioxai import example
from audioxai.baselines import Silence
from audioxai.domains import Domain, matching_stft
from audioxai.metrics import METRICS, Batch, SignalNoise
from audioxai.metrics.batch import evaluate
from audioxai.metrics.faithfulness import Deletion, Insertion
from audioxai.metrics.faithfulness.resynthesis import ResynthesisFaithfulness
from audioxai.metrics.randomisation import cascade
from audioxai.models import Classifier
from audioxai.models.loading import load_model
from audioxai.report.canvas import DOUBLE_INCHES, METADATA, PNG_DPI, new_figure, settings
from audioxai.report.style import COLOURS, number
from audioxai.trust import removals_of
from audioxai.utils.commands import OneLineParser, run_command
from audioxai.xai_methods import METHODS

FIGURES = Path(__file__).resolve().parents[1] / "docs" / "figures"
Shares = np.ndarray[Any, np.dtype[np.floating[Any]]]
SEED = 2
GOOD, BAD = COLOURS[0], COLOURS[4]
# A cell belongs to the call where the call alone is louder than this, and louder than all else.
HEARD_DB = -50.0
HEIGHT_INCHES = 2.2


@dataclass(frozen=True, eq=False)
class Scene:
    """One clip, its model, and where the sound is that decides.

    Attributes
    ----------
    front_end, body : Module
        Waveforms ``(1, 1, time)`` → levels in dB → logits.
    waveform, inputs, targets : Tensor
        The clip, its levels ``(1, 1, bands, frames)``, and the class that it is given.
    mask : Tensor
        Cells of the call, bool, shaped like ``inputs``.
    domain : Domain
        What the levels are.
    """

    front_end: nn.Module
    body: nn.Module
    waveform: Tensor
    inputs: Tensor
    targets: Tensor
    mask: Tensor
    domain: Domain

    @cached_property
    def context(self) -> dict[str, Any]:
        """What methods and metrics are given."""
        silence = Silence(self.domain)
        return {
            "baseline": silence,
            "domain": self.domain,
            "gradients": 32,
            "seed": 0,
            "noise": SignalNoise(silence_value=self.domain.silence_value),
            "class_count": len(example.CLASSES),
            "alternatives": len(example.CLASSES) - 1,
        }

    def explainer(self, method: str) -> Callable[..., Tensor]:
        """A method that explains this model."""
        explain: Callable[..., Tensor] = METHODS.bind(method, self.context)
        return explain

    def attributions(self, method: str) -> Tensor:
        """Its map, shaped like ``inputs``."""
        return self.explainer(method)(self.body, self.inputs, self.targets)

    def score(self, metric: str, method: str) -> float:
        """Score of a method."""
        bound = METRICS.bind(metric, {**self.context, "explainer": self.explainer(method)})
        batch = Batch(self.body, self.inputs, self.targets, self.mask)
        return float(evaluate({metric: bound}, batch, self.attributions(method))[metric][0])


def scene(folder: Path) -> Scene:
    """The example's model and a clip that it has not heard."""
    example.write_example(folder)
    module = load_model(folder / example.MODEL).module
    assert isinstance(module, Classifier)
    sounds = example.parts("rising", np.random.default_rng(SEED), example.SITES)
    whole, call, rest = (
        torch.from_numpy(samples).float()[None, None]
        for samples in (sum(sounds.values()), sounds["call"], sounds["rumble"] + sounds["noise"])
    )
    with torch.no_grad():
        inputs, called, other = (module.front_end(waveform) for waveform in (whole, call, rest))
        targets = module.body(inputs).argmax(1)
    mask = (called > HEARD_DB) & (called > other)
    return Scene(module.front_end, module.body, whole, inputs, targets, mask, module.domain)


@dataclass(frozen=True, eq=False)
class Picture:
    """A good and a bad case side by side.

    Attributes
    ----------
    good, bad : str
        What they are called.
    draw : callable
        Draws one of them, given its axes, its method and its colour, and returns what its scores are.
    panels : int
        Axes of each.
    methods : tuple of str
        Method of the good case, and of the bad one.
    """

    good: str
    bad: str
    methods: tuple[str, str]
    panels: int
    draw: Callable[[list[Axes], str, str], Mapping[str, float]]


def pictures(of: Scene) -> dict[str, Picture]:
    """Every family's picture by name."""
    return {
        "faithfulness": Picture(
            "Integrated Gradients from silence",
            "Integrated Gradients from 0 dB",
            ("integrated_gradients", "plain"),
            2,
            partial(_faithfulness, of),
        ),
        "sounds": Picture(
            "Integrated Gradients from silence",
            "Input × gradient in dB",
            ("silence", "input_x_gradient"),
            2,
            partial(_sounds, of),
        ),
        "robustness": Picture(
            "Occlusion", "Input × gradient", ("occlusion", "input_x_gradient"), 2, partial(_robustness, of)
        ),
        "complexity": Picture(
            "Integrated Gradients", "Random numbers", ("integrated_gradients", "random"), 2, partial(_complexity, of)
        ),
        "randomisation": Picture(
            "Saliency", "Edges of the input", ("saliency", "edges"), 2, partial(_randomisation, of)
        ),
        "localisation": Picture(
            "Integrated Gradients", "Loudness alone", ("integrated_gradients", "energy"), 1, partial(_localisation, of)
        ),
        "axioms": Picture(
            "Integrated Gradients",
            "Input × gradient",
            ("integrated_gradients", "input_x_gradient"),
            1,
            partial(_axioms, of),
        ),
    }


def _map(axes: Axes, of: Scene, attributions: Tensor, title: str) -> None:
    """A map over time and frequency, red for and blue against the class."""
    values = attributions[0, 0].detach().double().numpy()
    size = np.quantile(np.abs(values), 0.995) or 1.0
    rows, columns = (np.asarray(axis.coordinates) for axis in of.domain.axes())
    axes.pcolormesh(columns, np.arange(len(rows)), values / size, cmap="RdBu_r", vmin=-1, vmax=1, rasterized=True)
    ticks = [500, 1000, 2000]
    axes.set_yticks(np.interp(ticks, rows, np.arange(len(rows))), [f"{tick}" for tick in ticks])
    axes.set(title=title, xlabel="time (s)", ylabel="frequency (Hz)")


def _outlined(axes: Axes, of: Scene) -> None:
    """The call's cells within a line."""
    rows, columns = (np.asarray(axis.coordinates) for axis in of.domain.axes())
    axes.contour(columns, np.arange(len(rows)), of.mask[0, 0].numpy(), levels=[0.5], colors="black", linewidths=0.8)


def _curves(axes: Axes, shares: Shares, kept: Tensor, removed: Tensor, colour: str) -> None:
    """Probability while features go in, a full line, and while they go out, a dashed one."""
    axes.plot(shares, kept, color=colour, label="inserted")
    axes.plot(shares, removed, color=colour, linestyle="--", label="deleted")
    axes.set(xlim=(0, 1), ylim=(0, 1.03), xlabel="share of the features", ylabel="probability")


def _faithfulness(of: Scene, axes: list[Axes], method: str, colour: str) -> Mapping[str, float]:
    attributions, silence = of.attributions(method), of.context["baseline"]
    given = (of.body, of.inputs, of.targets, attributions)
    _map(axes[0], of, attributions, "map")
    kept, removed = Insertion(silence).curve(*given)[0], Deletion(silence).curve(*given)[0]
    _curves(axes[1], np.linspace(0, 1, len(kept)), kept, removed, colour)
    axes[1].legend()
    names = ("insertion", "deletion", "faithfulness_correlation")
    return {name: of.score(name, method) for name in names}


def _sounds(of: Scene, axes: list[Axes], method: str, colour: str) -> Mapping[str, float]:
    attributions = of.attributions(method)
    _map(axes[0], of, attributions, "map")
    metric = ResynthesisFaithfulness(of.domain, matching_stft(of.domain), removals_of(of.waveform, of.domain, 0))
    model = nn.Sequential(of.front_end, of.body)
    scores = {}
    curves = metric.curves(model, of.waveform, of.targets, attributions)
    for found, name, shade in zip(curves, ("silence", "noise"), (colour, "#999999"), strict=True):
        kept, removed = found.insertion[0], found.deletion[0]
        _curves(axes[1], found.fractions.numpy(), kept, removed, shade)
        scores[f"insertion − deletion, {name}"] = float(torch.trapezoid(kept - removed, found.fractions))
    lines = axes[1].get_lines()
    axes[1].legend([lines[0], lines[2]], ["silence", "noise"])
    return scores


def _robustness(of: Scene, axes: list[Axes], method: str, _: str) -> Mapping[str, float]:
    noise = torch.randn(of.inputs.shape, generator=torch.Generator().manual_seed(0))
    level = of.inputs - of.domain.silence_value
    noisy = of.inputs + noise * level.square().mean().sqrt() * 0.1
    _map(axes[0], of, of.attributions(method), "map")
    _map(axes[1], of, of.explainer(method)(of.body, noisy, of.targets), "… with noise")
    return {"average_sensitivity": of.score("average_sensitivity", method)}


def _complexity(of: Scene, axes: list[Axes], method: str, colour: str) -> Mapping[str, float]:
    attributions = of.attributions(method)
    _map(axes[0], of, attributions, "map")
    sizes = attributions.abs().flatten().double().sort().values
    axes[1].plot(np.linspace(0, 1, len(sizes)), sizes.cumsum(0) / sizes.sum(), color=colour)
    axes[1].plot([0, 1], [0, 1], color="#777777", linewidth=0.8, linestyle=":")
    axes[1].set(xlim=(0, 1), ylim=(0, 1), xlabel="share of the features", ylabel="share of relevance")
    return {name: of.score(name, method) for name in ("sparseness", "effective_complexity")}


def _randomisation(of: Scene, axes: list[Axes], method: str, _: str) -> Mapping[str, float]:
    randomised = list(cascade(of.body, seed=0))[-1]
    _map(axes[0], of, of.attributions(method), "map")
    _map(axes[1], of, of.explainer(method)(randomised, of.inputs, of.targets), "… random weights")
    return {name: of.score(name, method) for name in ("mprt", "random_logit")}


def _localisation(of: Scene, axes: list[Axes], method: str, _: str) -> Mapping[str, float]:
    _map(axes[0], of, of.attributions(method), "map; the call within the line")
    _outlined(axes[0], of)
    return {name: of.score(name, method) for name in ("relevance_mass", "relevance_rank", "pointing_game")}


def _axioms(of: Scene, axes: list[Axes], method: str, colour: str) -> Mapping[str, float]:
    with torch.no_grad():
        ends = of.body(torch.cat([of.inputs, of.context["baseline"](of.inputs)]))[:, of.targets[0]]
    bars = {"sum of\nthe map": float(of.attributions(method).sum()), "change of\nthe logit": float(ends[0] - ends[1])}
    axes[0].barh(list(bars), list(bars.values()), color=[colour, "#dddddd"], edgecolor="black", linewidth=0.6)
    axes[0].axvline(0, color="black", linewidth=0.6)
    axes[0].set_xlabel("logits")
    axes[0].invert_yaxis()
    return {"completeness": of.score("completeness", method)}


def draw(name: str, picture: Picture, folder: Path) -> list[str]:
    """Write one picture, and return its scores as lines."""
    cases = zip(("good", "bad"), (picture.good, picture.bad), picture.methods, (GOOD, BAD), strict=True)
    lines = []
    with settings():
        figure = new_figure(HEIGHT_INCHES, DOUBLE_INCHES)
        halves: Any = figure.subfigures(1, 2, wspace=0.04)
        for part, (verdict, case, method, colour) in zip(halves, cases, strict=True):
            axes = list(np.atleast_1d(part.subplots(1, picture.panels)))
            scores = picture.draw(axes, method, colour)
            told = [f"{_label(key)} {number(value)}" for key, value in scores.items()]
            part.suptitle("\n".join([f"{verdict}: {case}", *told]), color=colour, fontsize=8)
            lines.append(f"{name:<14} {verdict:<5} {method:<22} {', '.join(told)}")
        figure.savefig(folder / f"metrics_{name}.png", dpi=PNG_DPI, metadata=METADATA["png"])
    return lines


def _label(metric: str) -> str:
    return METRICS[metric].label if metric in METRICS else metric


def main(argv: list[str]) -> None:
    """Draw every picture and print the scores in them."""
    parser = OneLineParser(description=(__doc__ or "").splitlines()[0], formatter_class=argparse.HelpFormatter)
    parser.add_argument("--out", type=Path, default=FIGURES, help="folder for the pictures (docs/figures)")
    folder = parser.parse_args(argv).out
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as made:
        for name, picture in pictures(scene(Path(made) / "example")).items():
            print(*draw(name, picture, folder), sep="\n")


if __name__ == "__main__":
    raise SystemExit(run_command(main))
