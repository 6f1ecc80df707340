"""The two verbs of the field for any clip and model: explain a prediction, and evaluate explanation methods."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from audioxai.baselines import Baseline, Silence
from audioxai.core import Explainer, configuration_of, evaluating, logits_of, require_precision
from audioxai.domains import Domain, LogMel, Waveform
from audioxai.experiment.plan import MOST_ALTERNATIVES
from audioxai.listening import Heard, SoftMask, loudness_matched, separate
from audioxai.listening.sounds import write_heard
from audioxai.metrics import METRICS, THESIS_METRICS, Batch, SignalNoise, setting_types
from audioxai.metrics.batch import begin
from audioxai.metrics.engine import run as run_scorings
from audioxai.models import build, checkpoints
from audioxai.models.external import load_external
from audioxai.models.front_end import Classifier, LogitsOfProbabilities
from audioxai.registry import MethodEntry, nearest
from audioxai.utils.errors import UserError
from audioxai.utils.files import write_bytes, write_json
from audioxai.xai_methods import METHODS
from audioxai.xai_methods.path_integral import Integrating

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AUTO = "auto"
SPECTROGRAM_METHOD, WAVEFORM_METHOD = "ordered", "pullback"
# Metrics judge maps in the domain of the inputs, which pulled-back maps are not in.
EVALUATED_WAVEFORM_METHOD = "silence"
DEFAULT_GRADIENTS = 32
Sound = str | Path | np.ndarray[Any, Any] | Tensor
Outputs = Literal["logits", "softmax", "sigmoid"]
Part = Literal["original", "kept", "removed"]


@dataclass(frozen=True, eq=False)
class Model:
    """A classifier of sounds, with what has to be known to explain it.

    Attributes
    ----------
    module : nn.Module
        Takes waveforms ``(batch, 1, time)`` in [−1, 1] and returns logits ``(batch, classes)``.
    sample_rate_hz : int
        Rate of the waveforms.
    duration_s : float or None
        Length of the waveforms; None where any length is taken.
    class_names : tuple of str
        Name of every logit; empty where they are not known.
    """

    module: nn.Module
    sample_rate_hz: int
    duration_s: float | None = None
    class_names: tuple[str, ...] = ()

    def name_of(self, class_index: int) -> str:
        """Name of a class, its index where it has none."""
        return self.class_names[class_index] if self.class_names else str(class_index)

    def index_of(self, target: int | str, class_count: int) -> int:
        """Index of a class that is given by index or name.

        Raises
        ------
        UserError
            If there is no such class.
        """
        if isinstance(target, str):
            if target not in self.class_names:
                known = ", ".join(self.class_names) or "unnamed; give an index"
                close = nearest(target, dict.fromkeys(self.class_names))
                raise UserError(f"there is no class {target!r}{close}; the classes are {known}")
            return self.class_names.index(target)
        if not 0 <= int(target) < class_count:
            raise UserError(f"target is {target} but the model has {class_count} classes; give 0…{class_count - 1}")
        return int(target)


def load_model(
    model: "str | Path | nn.Module | Model",
    *,
    sample_rate: int | None = None,
    duration_s: float | None = None,
    class_names: Sequence[str] = (),
    weights: str | Path | None = None,
    outputs: Outputs = "logits",
) -> Model:
    """A model that can be explained.

    Parameters
    ----------
    model : str, Path, nn.Module or Model
        A checkpoint of ours (``.safetensors`` with its card); ``package.module:factory`` or ``file.py:factory``, which
        is called without arguments; or a module that takes waveforms ``(batch, 1, time)``.
    sample_rate : int, optional
        Rate of its waveforms in Hz; needed unless the checkpoint states it.
    duration_s : float, optional
        Length of its waveforms, where it takes one length only.
    class_names : sequence of str, optional
        Name of every logit.
    weights : str or Path, optional
        Weights of a factory's module as safetensors.
    outputs : {"logits", "softmax", "sigmoid"}
        What a module or factory's model returns; probabilities of a softmax or of sigmoids are made logits, and are
        refused where they are given as logits.

    Raises
    ------
    UserError
        If it cannot be read, is in half precision, or its rate is not known.

    Examples
    --------
    >>> import torch
    >>> module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(8000, 2))
    >>> load_model(module, sample_rate=8000, duration_s=1.0, class_names=["dog", "rain"]).name_of(1)
    'rain'
    """
    if isinstance(model, Model):
        return model
    if isinstance(model, nn.Module):
        module = model
    elif str(model).endswith(".safetensors"):
        return _checkpoint(Path(model))
    elif ":" in str(model):
        module = load_external(str(model), weights)
    else:
        raise UserError(
            f"model is {str(model)!r}; give a checkpoint (.safetensors), package.module:factory, file.py:factory or a "
            "torch module"
        )
    require_precision(module)
    if isinstance(module, Classifier):
        return _of_classifier(module, class_names)
    if outputs != "logits":
        module = LogitsOfProbabilities(module, outputs)
    if sample_rate is None:
        raise UserError("the model's sample rate is not known; give sample_rate in Hz")
    return Model(module, sample_rate, duration_s, tuple(class_names))


def _of_classifier(module: Classifier, class_names: Sequence[str]) -> Model:
    domain: Any = module.domain
    if not hasattr(domain, "sample_rate_hz"):
        raise UserError("the model takes images; give a model of sounds, or use it in a study")
    return Model(module, domain.sample_rate_hz, domain.duration_s, tuple(class_names))


def _checkpoint(path: Path) -> Model:
    from audioxai.results import domain_from

    card = checkpoints.read_card(path)
    module = build(card.architecture, domain_from(card.domain), len(card.class_names), card.seed)
    checkpoints.load_weights(path, module, card)
    return _of_classifier(module.eval(), card.class_names)


@dataclass(frozen=True, eq=False)
class Explanation:
    """Attributions of one clip with what they explain.

    Attributes
    ----------
    model : Model
        The explained model.
    waveform : Tensor
        ``(1, 1, time)``, at the model's sample rate.
    inputs, attributions : Tensor
        ``(1, 1, *domain.shape)``, in the explanation's domain.
    domain : Domain
        Meaning of their axes.
    target, prediction : int
        The explained and the predicted class.
    logits : Tensor
        ``(classes,)``.
    method : str
        Registered method.
    explainer : Explainer
        The method with its settings.
    change : float or None
        What the attributions should add up to, in logits; None where the method does not claim to be complete.
    """

    model: Model
    waveform: Tensor
    inputs: Tensor
    attributions: Tensor
    domain: Domain
    target: int
    prediction: int
    logits: Tensor
    method: str
    explainer: Explainer
    change: float | None = None

    @property
    def label(self) -> str:
        """Name of the explained class."""
        return self.model.name_of(self.target)

    @property
    def score(self) -> float:
        """Probability of the explained class by softmax, by sigmoid where there is one logit, in [0, 1]."""
        return float(self._probabilities()[self.target])

    def _probabilities(self) -> Tensor:
        return self.logits.sigmoid() if len(self.logits) == 1 else self.logits.softmax(0)

    @property
    def completeness_gap(self) -> float | None:
        """|ΣA − ΔF| / |ΔF|; None where the method does not claim to be complete or nothing changes."""
        if self.change is None or self.change == 0.0:
            return None
        return abs(float(self.attributions.double().sum()) - self.change) / abs(self.change)

    @cached_property
    def sounds(self) -> Heard:
        """The clip, what the explanation keeps of it and what it removes, equally loud."""
        return loudness_matched(separate(self.waveform, self.attributions, SoftMask(self.domain)))

    def listen(self, part: Part = "kept") -> Any:
        """Player for a notebook.

        Raises
        ------
        UserError
            If IPython is not installed.
        """
        try:
            from IPython.display import Audio
        except ImportError as error:
            raise UserError("playing needs IPython; install audioxai[notebook], or use save()") from error
        waveform = getattr(self.sounds.sounds, part)[0, 0].numpy()
        return Audio(waveform, rate=self.model.sample_rate_hz, normalize=False)  # type: ignore[no-untyped-call]

    def plot(self) -> "Figure":
        """Attributions over the input, axes in seconds and hertz."""
        from audioxai.report.canvas import DOUBLE_INCHES
        from audioxai.report.overlays import attribution_overlay, overlay_of
        from audioxai.report.style import Style

        maps = {self.method: self.attributions[0, 0].numpy()}
        shown = overlay_of(self.domain, self._title(), self.inputs[0, 0].numpy(), maps)
        return attribution_overlay(shown, Style({self.method: METHODS[self.method]}, {}), DOUBLE_INCHES)

    def save(self, folder: str | Path) -> list[Path]:
        """Write picture, sounds, arrays and facts into a folder: PNG, FLAC, NPZ and JSON; the places of all files."""
        folder = Path(folder)
        picture, arrays = BytesIO(), BytesIO()
        self.plot().savefig(picture, format="png", dpi=200)
        np.savez_compressed(
            arrays,
            attributions=self.attributions[0, 0].numpy(),
            inputs=self.inputs[0, 0].numpy(),
            waveform=self.waveform[0, 0].numpy(),
        )
        write_json(folder / "explanation.json", self.facts())
        return [
            folder / "explanation.json",
            write_bytes(folder / "explanation.png", picture.getvalue()),
            write_bytes(folder / "explanation.npz", arrays.getvalue()),
            *dict.fromkeys(write_heard(folder, self.sounds, ["clip"], self.method)),
        ]

    def facts(self) -> dict[str, Any]:
        """What was explained and how, as plain data."""
        probabilities = self._probabilities().tolist()
        return {
            "target": self.label,
            "prediction": self.model.name_of(self.prediction),
            "probabilities": {self.model.name_of(index): value for index, value in enumerate(probabilities)},
            "method": METHODS[self.method].facts(),
            "configuration": configuration_of(self.explainer),
            "domain": configuration_of(self.domain),
            "completeness_gap": self.completeness_gap,
        }

    def _title(self) -> str:
        return f"{METHODS[self.method].label}: why {self.label} (probability {self.score:.2f})"

    def _repr_png_(self) -> bytes:
        content = BytesIO()
        self.plot().savefig(content, format="png", dpi=150)
        return content.getvalue()

    def __repr__(self) -> str:
        return f"<Explanation of {self.label} ({self.score:.2f}) by {self.method} in {self.domain.name}>"


def explain(
    sound: Sound,
    model: "str | Path | nn.Module | Model",
    *,
    sample_rate: int | None = None,
    target: int | str | None = None,
    method: str = AUTO,
    gradients: int = DEFAULT_GRADIENTS,
    references: Tensor | None = None,
    seed: int = 0,
    **options: Any,
) -> Explanation:
    """Explain why a model gives a clip its class.

    Parameters
    ----------
    sound : path, array or tensor
        A sound file, or a waveform ``(time,)`` or ``(channels, time)`` in [−1, 1]; channels are averaged, and the rate
        becomes the model's.
    model : str, Path, nn.Module or Model
        As :func:`load_model` takes it.
    sample_rate : int, optional
        Rate of an array in Hz, and of the model where it states none.
    target : int or str, optional
        Class to explain, by index or name; the predicted one by default.
    method : str
        Registered method; by default Ordered IG where the model sees spectrograms, else IG of the waveform pulled back
        to its spectrogram.
    gradients : int
        Gradients that the method may take.
    references : Tensor, optional
        Waveforms ``(clips, 1, time)`` from which baselines are learnt; the clip itself by default.
    seed : int
        Seed of everything random.
    **options
        Other fields of the method.

    Returns
    -------
    Explanation
        Attributions with their axes, sounds and facts.

    Raises
    ------
    UserError
        If the clip cannot be read or does not fit the model, or class or method are not known.

    Examples
    --------
    >>> import torch
    >>> from audioxai.domains import LogMel
    >>> from audioxai.models import build
    >>> model = build("small_cnn", LogMel(8000, 1.0, bands=32, frames=32), class_count=3, seed=0)
    >>> explain(torch.rand(8000) - 0.5, model, sample_rate=8000, target=2, method="silence").domain.name
    'log_mel'
    """
    known = load_model(model, sample_rate=sample_rate)
    entry = _method(method, known)
    waveform = _waveform(sound, sample_rate, known)
    view = _view(known, entry, waveform)
    explainer = _bound(entry, view, references, gradients, seed, options)
    logits = _logits(known.module, waveform)[0]
    prediction = int(logits.argmax())
    chosen = prediction if target is None else known.index_of(target, len(logits))
    targets = torch.tensor([chosen])
    change: float | None = None
    if isinstance(explainer, Integrating):
        integral = explainer.attribute(view.module, view.inputs, targets)
        attributions, change = integral.attributions, float(integral.change[0])
    else:
        attributions = explainer(view.module, view.inputs, targets)
    lives_in: Domain = getattr(explainer, "domain", view.domain) if entry.domains == ("waveform",) else view.domain
    return Explanation(
        model=known,
        waveform=waveform,
        inputs=view.inputs if lives_in == view.domain else lives_in.analysis(waveform).abs(),
        attributions=attributions.detach(),
        domain=lives_in,
        target=chosen,
        prediction=prediction,
        logits=logits.clone(),
        method=entry.name,
        explainer=explainer,
        change=change,
    )


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of several methods by several metrics.

    Attributes
    ----------
    rows : DataFrame
        One row per clip, method and metric: ``sample``, ``target``, ``method``, ``metric``, ``score``.
    """

    rows: pd.DataFrame

    def means(self) -> pd.DataFrame:
        """Mean score, methods down and metrics across."""
        table = self.rows.pivot_table(index="method", columns="metric", values="score", sort=False)
        return table[list(dict.fromkeys(self.rows["metric"]))]

    def _repr_html_(self) -> str:
        return self.means().to_html(float_format="{:.3f}".format)

    def __repr__(self) -> str:
        return self.means().to_string(float_format="{:.3f}".format)


def evaluate(
    sounds: "Sequence[Sound] | str | Path | Tensor",
    model: "str | Path | nn.Module | Model",
    *,
    sample_rate: int | None = None,
    targets: "Sequence[int | str] | None" = None,
    methods: Sequence[str] = (AUTO, "energy", "random"),
    metrics: Sequence[str] = THESIS_METRICS,
    gradients: int = DEFAULT_GRADIENTS,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Scores:
    """Judge explanation methods on clips of one model.

    Parameters
    ----------
    sounds : sequence, folder or tensor
        Clips as :func:`explain` takes them, a folder of sound files, or a tensor ``(clips, 1, time)``.
    model, sample_rate, gradients, seed
        As in :func:`explain`.
    targets : sequence of int or str, optional
        Class to explain of every clip; the predicted ones by default.
    methods, metrics : sequence of str
        Registered names; by default the best method for the model with loudness and random as controls, and the
        thesis' five metrics.
    settings : mapping, optional
        Fields of the metrics, such as ``runs`` and ``draws``.

    Returns
    -------
    Scores
        Tidy rows and a table of means.

    Raises
    ------
    UserError
        As :func:`explain`, or if a metric does not suit clips without masks; before anything is explained.

    Examples
    --------
    >>> import torch
    >>> from audioxai.domains import LogMel
    >>> from audioxai.models import build
    >>> model = build("small_cnn", LogMel(8000, 1.0, bands=32, frames=32), class_count=3, seed=0)
    >>> scores = evaluate(torch.rand(2, 1, 8000) - 0.5, model, sample_rate=8000, metrics=["sparseness"])
    >>> list(scores.rows.columns)
    ['sample', 'target', 'method', 'metric', 'score']
    """
    known = load_model(model, sample_rate=sample_rate)
    entries = [_method(name, known, EVALUATED_WAVEFORM_METHOD) for name in methods]
    for entry in entries:
        if entry.domains == (Waveform.name,):
            raise UserError(f"maps of method {entry.name} are not in the domain of its inputs; choose another method")
    for kind, wanted in (("methods", methods), ("metrics", metrics)):
        if not wanted:
            raise UserError(f"no {kind} were given; give at least one")
    setting_types(metrics, settings or {})
    for name in metrics:
        if METRICS[name].needs_masks or METRICS[name].needs_change or "stft" in METRICS[name].parameters:
            raise UserError(f"metric {name} needs more than clips and a model; use it in a study")
    names, waveforms = _clips(sounds, sample_rate, known)
    logits = torch.cat([_logits(known.module, waveforms[row : row + 1]) for row in range(len(waveforms))])
    chosen = logits.argmax(1).clone()
    if targets is not None:
        if len(targets) != len(waveforms):
            raise UserError(f"there are {len(targets)} targets for {len(waveforms)} clips; give one per clip")
        chosen = torch.tensor([known.index_of(target, logits.shape[1]) for target in targets])
    # Everything is bound first, so that what cannot be scored is refused before anything is explained.
    judged: list[tuple[MethodEntry, _View, Explainer, dict[str, Any]]] = []
    for entry in entries:
        view = _view(known, entry, waveforms)
        explainer = _bound(entry, view, None, gradients, seed, {})
        context = {
            "alternatives": min(MOST_ALTERNATIVES, logits.shape[1] - 1),
            **(settings or {}),
            "explainer": explainer,
            "baseline": view.baseline,
            "noise": SignalNoise(silence_value=view.domain.silence_value),
            "class_count": logits.shape[1],
            "seed": seed,
        }
        judged.append((entry, view, explainer, {name: METRICS.bind(name, context) for name in metrics}))
    rows: list[dict[str, Any]] = []
    for entry, view, explainer, bound in judged:
        attributions = explainer(view.module, view.inputs, chosen)
        batch = Batch(view.module, view.inputs, chosen)
        for name, metric in bound.items():
            (outcome,) = run_scorings([begin(metric, batch, attributions)])
            rows += [
                {
                    "sample": sample,
                    "target": known.name_of(target),
                    "method": entry.name,
                    "metric": name,
                    "score": score,
                }
                for sample, target, score in zip(names, chosen.tolist(), outcome.scores.tolist(), strict=True)
            ]
    return Scores(pd.DataFrame(rows))


@dataclass(frozen=True, eq=False)
class _View:
    """A model as a method sees it, and what it is given there."""

    module: nn.Module
    inputs: Tensor
    domain: Domain
    baseline: Baseline = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "baseline", Silence(self.domain))


def _view(model: Model, entry: MethodEntry, waveforms: Tensor) -> _View:
    """The body of a model of spectrograms where the method takes them, else the whole model on waveforms."""
    module = model.module
    if isinstance(module, Classifier) and (not entry.domains or module.domain.name in entry.domains):
        with torch.inference_mode():
            inputs = module.front_end(waveforms)
        return _View(module.body, inputs.clone(), module.domain)
    if entry.domains and Waveform.name not in entry.domains:
        raise UserError(
            f"method {entry.name} takes inputs in {' or '.join(entry.domains)} but the model takes waveforms; "
            f"choose another method, such as {WAVEFORM_METHOD}"
        )
    return _View(module, waveforms, Waveform(model.sample_rate_hz, waveforms.shape[-1] / model.sample_rate_hz))


def _bound(
    entry: MethodEntry,
    view: _View,
    references: Tensor | None,
    gradients: int,
    seed: int,
    options: Mapping[str, Any],
) -> Explainer:
    learnt_from = view.inputs if references is None else view.domain.analysis(references)
    context = {
        "domain": view.domain,
        "baseline": view.baseline,
        "training_inputs": learnt_from,
        "gradients": gradients,
        "seed": seed,
    }
    return cast(Explainer, entry.bind(context, **options))


def _method(name: str, model: Model, of_waveforms: str = WAVEFORM_METHOD) -> MethodEntry:
    if name != AUTO:
        return METHODS[name]
    of_spectrograms = isinstance(model.module, Classifier) and isinstance(model.module.domain, LogMel)
    return METHODS[SPECTROGRAM_METHOD if of_spectrograms else of_waveforms]


def _logits(module: nn.Module, waveforms: Tensor) -> Tensor:
    """Logits ``(batch, classes)`` in evaluation mode, without a gradient."""
    first = torch.zeros(len(waveforms), dtype=torch.int64)
    with torch.inference_mode(mode=False), torch.no_grad(), evaluating(module):
        return logits_of(module, waveforms, first)


def _clips(
    sounds: "Sequence[Sound] | str | Path | Tensor", sample_rate: int | None, model: Model
) -> tuple[list[str], Tensor]:
    found: list[Any]
    if isinstance(sounds, str | Path):
        folder = Path(sounds)
        found = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else [folder]
        if not found:
            raise UserError(f"folder {folder} holds no file; name a folder of sound files")
    else:
        found = list(sounds)
    if not found:
        raise UserError("no clips were given; give at least one")
    waveforms = [_waveform(one, sample_rate, model) for one in found]
    lengths = {waveform.shape[-1] for waveform in waveforms}
    if len(lengths) > 1:
        raise UserError(
            f"clips have {min(lengths)} to {max(lengths)} samples; give clips of one length, or a model with duration_s"
        )
    names = [str(one) if isinstance(one, str | Path) else str(row) for row, one in enumerate(found)]
    return names, torch.cat(waveforms)


def _waveform(sound: Sound, sample_rate: int | None, model: Model) -> Tensor:
    """``(1, 1, time)`` at the model's rate and, where it has one, of its length."""
    from audioxai.datasets.audio_files import read_sound

    if isinstance(sound, str | Path):
        mono, rate_hz = read_sound(Path(sound))
    elif sample_rate is None:
        raise UserError("the array's rate is not known; give sample_rate in Hz")
    else:
        mono, rate_hz = _as_mono(sound), sample_rate
    if rate_hz != model.sample_rate_hz:
        import soxr

        mono = soxr.resample(mono, rate_hz, model.sample_rate_hz, quality="HQ")
    due = len(mono) if model.duration_s is None else round(model.duration_s * model.sample_rate_hz)
    if len(mono) > due:
        raise UserError(
            f"the clip lasts {len(mono) / model.sample_rate_hz:.2f} s but the model takes {model.duration_s:g} s; "
            "give the part that is to be explained"
        )
    missing = due - len(mono)
    padded = np.pad(mono.astype(np.float32), (missing // 2, missing - missing // 2))
    return torch.from_numpy(padded)[None, None]


def _as_mono(sound: "np.ndarray[Any, Any] | Tensor") -> "np.ndarray[Any, Any]":
    values = sound.detach().cpu().numpy() if isinstance(sound, Tensor) else np.asarray(sound)
    if values.ndim not in (1, 2) or values.size == 0:
        raise UserError(f"the waveform has shape {values.shape}; give (time,) or (channels, time)")
    if values.dtype.kind != "f":
        raise UserError(f"the waveform is of {values.dtype}; give floating-point samples in [−1, 1]")
    if not bool(np.isfinite(values).all()):
        raise UserError("the waveform holds NaN or infinite samples; give a clip that can be played")
    mono = values if values.ndim == 1 else values.mean(axis=0)
    if not bool(np.any(mono)):
        raise UserError("the waveform is silent; give a clip with sound")
    return cast("np.ndarray[Any, Any]", mono.astype(np.float32))
