"""Models as they are given, made one kind of thing: a classifier of waveforms with what explaining it needs."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import torch
from torch import Tensor, nn

from audioxai.core import Activation, require_precision
from audioxai.domains import domain_from
from audioxai.models import build, checkpoints, external
from audioxai.models.adapted import Pool
from audioxai.models.black_box import NO_GRADIENT, BlackBox
from audioxai.models.checkpoints import tensors_of, weights_digest
from audioxai.models.front_end import Classifier, Labels, LogitsOfProbabilities
from audioxai.models.layouts import MONO, OF_FUNCTIONS, Key
from audioxai.models.onnx import open_onnx
from audioxai.models.opened import SHORT, Opened
from audioxai.models.similarity import SIMILARITY, Similarity
from audioxai.models.tflite import open_tflite
from audioxai.models.torch_files import of_module, of_program, open_exported, open_torchscript
from audioxai.models.trials import Candidate, Finding, NotTakenError, Trial
from audioxai.utils.errors import UserError
from audioxai.utils.names import nearest

Outputs = Literal["logits", "softmax", "sigmoid"]
# Length of the clip on which a model is tried that takes any.
TRIAL_S = 1.0
CHECKPOINT = ".safetensors"
OPENERS: Mapping[str, Callable[[Path, int | None], Opened]] = {
    ".pt": open_torchscript,
    ".ts": open_torchscript,
    ".pth": open_torchscript,
    ".jit": open_torchscript,
    ".torchscript": open_torchscript,
    ".pt2": open_exported,
    ".onnx": open_onnx,
    ".tflite": open_tflite,
}
"""Who reads a file, by its suffix."""
# Other files, and what to make of them.
_TO_ONNX = "convert it to ONNX or TensorFlow Lite"
CONVERTED = {
    **dict.fromkeys((".h5", ".keras", ".pb", ".hdf5", ".mlmodel", ".mlpackage", ".pdmodel"), _TO_ONNX),
    **dict.fromkeys(
        (".ckpt", ".bin", ".pkl", ".tar"),
        "it may be a pickle, which can run any code: write its weights with safetensors.torch.save_model and give the "
        "factory of the model",
    ),
}
KINDS = (
    "a checkpoint (.safetensors), TorchScript (.pt), a program of torch.export (.pt2), .onnx, .tflite, a folder or an "
    "id of Hugging Face"
)


class Fitting(Protocol):
    """What has to be found out of a model with the clip that is to be explained."""

    def run(self, waveform: Tensor) -> Finding:
        """Try the model on a clip ``(1, 1, time)``."""
        ...


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
    activation : {"softmax", "sigmoid"}
        What makes the logits probabilities: a softmax over classes that exclude each other, or one sigmoid per label.
    gradient : bool
        Whether the gradient of a logit reaches the waveform.
    gradient_refused : str
        Why not, in one sentence; empty where it does.
    name : str
        What was given: an id, a path, a factory or the name of a class.
    revision : str
        Digest of the weights or of the file, hexadecimal.
    notes : tuple of str
        What a reader of an explanation has to know of the model.
    freeze : callable, optional
        ``freeze(waveform (1, 1, time))`` returns the module for this clip, with the clip's statistics as constants;
        None where nothing depends on them.
    padding_share : callable, optional
        ``padding_share(samples)`` is the share of the model's input that is padding for a clip of so many samples.
    longest_s : float or None
        Longest clip of which the model sees all, for models that take shorter ones as well; None where any is taken.
    trial : Fitting, optional
        What has to be found out with a clip that the model takes, see :meth:`fitted`; None once it was.
    """

    module: nn.Module
    sample_rate_hz: int
    duration_s: float | None = None
    class_names: tuple[str, ...] = ()
    activation: Activation = "softmax"
    gradient: bool = True
    gradient_refused: str = ""
    name: str = ""
    revision: str = ""
    notes: tuple[str, ...] = ()
    freeze: Callable[[Tensor], nn.Module] | None = None
    padding_share: Callable[[int], float] | None = None
    longest_s: float | None = None
    trial: Fitting | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.sample_rate_hz < 1:
            raise UserError(f"sample_rate is {self.sample_rate_hz} Hz; give a positive rate")
        if self.duration_s is not None and not 0.0 < self.duration_s < math.inf:
            raise UserError(f"duration_s is {self.duration_s}; give a positive number of seconds")

    def fitted(self, waveform: Tensor) -> "Model":
        """The model after a trial on a clip ``(1, 1, time)``.

        A model of Hugging Face is compared with its own extractor on every clip, so the loaded model is to be fitted
        again for the next one. Others are tried where they took none of the clips that they were loaded with.

        Raises
        ------
        UserError
            If it does not take the clip either, or is refused (see :mod:`audioxai.models.trials`).
        """
        if self.trial is None:
            return self
        found = self.trial.run(waveform)
        return replace(
            self,
            module=found.module,
            activation=found.activation,
            gradient=found.gradient,
            gradient_refused=found.gradient_refused,
            notes=(*self.notes, *found.notes),
            # It holds statistics of the front end that the gradient takes.
            freeze=self.freeze if found.gradient else None,
            trial=None,
        )

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
    model: "str | Path | nn.Module | torch.export.ExportedProgram | Callable[[Any], Any] | Model",
    *,
    sample_rate: int | None = None,
    duration_s: float | None = None,
    class_names: Sequence[str] = (),
    weights: str | Path | None = None,
    outputs: Outputs | None = None,
    activation: Activation | None = None,
    output: Key = None,
    pool: Pool | None = None,
    frame_axis: int | None = None,
    similar_to: Tensor | Callable[[int], Tensor] | None = None,
    prompts: Sequence[str] = (),
    revision: str | None = None,
    trust_remote_code: bool = False,
    pickled_weights: bool = False,
) -> Model:
    """A model that can be explained.

    How it takes waveforms is found out by one trial each of ``(batch, 1, time)``, ``(batch, time)``, ``(batch, 2,
    time)`` (or as many channels as its first convolution takes) and ``(time,)``; of a plain function ``(batch, time)``,
    ``(time,)``, ``(batch, 1, time)`` and ``(batch, 2, time)``, arrays before tensors. Files state the shape of their
    input. What was found is in ``notes``.

    Parameters
    ----------
    model : str, Path, nn.Module, ExportedProgram, callable or Model
        * a checkpoint of ours (``.safetensors`` with its card);
        * ``package.module:name`` or ``file.py:name``, a factory that is called without arguments, a class, a module,
          a function from waveforms to scores, or what this function returns;
        * a TorchScript file (``.pt``), a program of ``torch.export`` (``.pt2``), and as black boxes ONNX and
          TensorFlow Lite files;
        * a folder or an id of Hugging Face, see :func:`~audioxai.models.hugging_face.load_hugging_face`;
        * a module, or any function from waveforms to scores as a black box.
    sample_rate : int, optional
        Rate of its waveforms in Hz; needed unless the model states it.
    duration_s : float, optional
        Length of its waveforms, where it takes one length only and does not state it.
    class_names : sequence of str, optional
        Name of every logit.
    weights : str or Path, optional
        Weights of a factory's module as safetensors.
    outputs : {"logits", "softmax", "sigmoid"}, optional
        What the model returns; probabilities of a softmax or of sigmoids are made logits, and are refused where
        nothing was said.
    activation : {"softmax", "sigmoid"}, optional
        What makes its logits probabilities: a softmax over classes that exclude each other, or one sigmoid per label.
        By default as ``outputs`` says, or the module by an attribute ``activation``, else a softmax.
    output : str or int, optional
        Key or position of the scores where the model returns several tensors; by default ``logits``, else the only
        one that is shaped like scores.
    pool : {"mean", "max"}, optional
        What becomes of the logits of all frames where it returns scores per frame; their mean by default.
    frame_axis : int, optional
        Axis of its scores ``(batch, …)`` that is time, 1 or 2; by default the one that is none of the classes', or
        that grows with the clip.
    similar_to : Tensor or callable, optional
        Another clip ``(1, 1, time)`` at the model's rate, or a function from that rate in Hz to the clip. What the
        model returns is then taken for embeddings, and its one score is their
        :class:`~audioxai.models.similarity.Similarity` to that clip's.
    prompts, revision, trust_remote_code, pickled_weights
        Of a Hugging Face model, as :func:`~audioxai.models.hugging_face.load_hugging_face` takes them.

    Returns
    -------
    Model
        Tried on a clip of ``duration_s``, else of one second. Where it takes no such clip it is tried on the first
        that it is to explain.

    Raises
    ------
    UserError
        If it cannot be read, is in half precision, its rate is not known, which of its outputs are scores is not
        known, or the trial finds that it cannot be explained.

    Examples
    --------
    >>> import torch
    >>> module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(8000, 2))
    >>> load_model(module, sample_rate=8000, duration_s=1.0, class_names=["dog", "rain"]).name_of(1)
    'rain'
    >>> def levels(waveforms):
    ...     return waveforms.std(-1, keepdims=True) * [1.0, -1.0]
    >>> load_model(levels, sample_rate=8000).gradient
    False
    """
    if isinstance(model, Model):
        return model
    if isinstance(model, str | Path) and _of_hugging_face(str(model)):
        from audioxai.models.hugging_face import load_hugging_face

        return load_hugging_face(
            model,
            revision=revision,
            trust_remote_code=trust_remote_code,
            pickled_weights=pickled_weights,
            prompts=prompts,
            similar_to=similar_to,
            activation=activation,
            class_names=class_names,
        )
    if similar_to is not None:
        embedding = load_model(
            model,
            sample_rate=sample_rate,
            duration_s=duration_s,
            weights=weights,
            output=output,
            pool=pool,
            frame_axis=frame_axis,
        )
        similar_to = similar_to(embedding.sample_rate_hz) if callable(similar_to) else similar_to
        embedding = embedding.fitted(similar_to)
        alike = Similarity.to_clip(embedding.module, similar_to)
        return replace(embedding, module=alike, class_names=(SIMILARITY,), activation=alike.activation)
    if isinstance(model, str | Path) and str(model).endswith(CHECKPOINT):
        return _checkpoint(Path(model))
    opened, name = _opened(model, sample_rate, weights)
    if isinstance(opened, Model):
        return replace(opened, name=opened.name or name)
    module = opened.candidates[0].module
    if isinstance(module, Classifier):
        return _of_classifier(module, class_names, name, opened.revision, outputs, activation)
    rate_hz = _rate(opened, sample_rate)
    trial = Trial(
        candidates=opened.candidates,
        outputs=outputs,
        activation=activation,
        output=output,
        pool=pool,
        frame_axis=frame_axis,
        class_count=len(class_names) or None,
        given=opened.given,
        any_length=opened.samples is None and duration_s is None,
        one_by_one=opened.one_by_one,
    )
    untried = Model(
        module,
        rate_hz,
        duration_s if opened.samples is None else _stated_duration(opened.samples, rate_hz, duration_s),
        tuple(class_names),
        gradient=not isinstance(module, BlackBox),
        gradient_refused=NO_GRADIENT if isinstance(module, BlackBox) else "",
        name=name,
        revision=opened.revision,
        notes=opened.notes,
        trial=trial,
    )
    try:
        return untried.fitted(trial_clip(rate_hz, untried.duration_s))
    except NotTakenError:
        if untried.duration_s is not None:
            raise
        return untried


def trial_clip(sample_rate_hz: int, duration_s: float | None) -> Tensor:
    """A harmonic sound with four syllables a second and some noise, ``(1, 1, time)``, one second by default."""
    samples = round((TRIAL_S if duration_s is None else duration_s) * sample_rate_hz)
    time_s = torch.arange(samples, dtype=torch.float64) / sample_rate_hz
    tone = sum(torch.sin(2.0 * torch.pi * 220.0 * partial * time_s) / partial for partial in range(1, 6))
    noise = torch.randn(samples, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    syllables = 0.5 - 0.5 * torch.cos(2.0 * torch.pi * 4.0 * time_s)
    return (0.1 * syllables * tone + 0.01 * noise).float()[None, None]


def _of_hugging_face(name: str) -> bool:
    """Whether it is a folder, or may be an id: what other models are named by has a suffix or a colon."""
    suffix = Path(name).suffix.lower()
    return Path(name).is_dir() or ("/" in name and ":" not in name and suffix not in (CHECKPOINT, *OPENERS, *CONVERTED))


def _opened(model: Any, sample_rate: int | None, weights: str | Path | None) -> "tuple[Opened | Model, str]":
    """What is known of a model before it is tried, or a model that a factory tried, and its name."""
    if isinstance(model, torch.export.ExportedProgram):
        return of_program(model), type(model).__name__
    if isinstance(model, nn.Module):
        return _of_module(model, sample_rate), type(model).__name__
    if callable(model):
        return _of_function(model), getattr(model, "__name__", type(model).__name__)
    if not isinstance(model, str | Path):
        raise UserError(f"model is of type {type(model).__name__}; give a file, a torch module or a function")
    name = str(model)
    suffix = Path(name).suffix.lower()
    if suffix in OPENERS:
        path = Path(name)
        if not path.is_file():
            raise UserError(f"model file {path} does not exist; give the place of {KINDS}")
        return OPENERS[suffix](path, sample_rate), path.name
    if ":" in name:
        return _of_factory(name, external.imported(name, functions=True), sample_rate, weights), name
    if suffix in CONVERTED:
        raise UserError(f"model file {name} cannot be read here; {CONVERTED[suffix]}")
    raise UserError(f"model is {name!r}; give {KINDS}, package.module:factory, file.py:factory or a torch module")


def _of_factory(name: str, made: Any, sample_rate: int | None, weights: str | Path | None) -> "Opened | Model":
    if isinstance(made, nn.Module) or not (callable(made) or isinstance(made, Model)):
        return _of_module(external.checked(made, name, weights), sample_rate)
    if weights is not None:
        raise UserError(f"model {name} is no module that takes weights; leave weights out")
    return made if isinstance(made, Model) else _of_function(made)


def _of_module(module: nn.Module, sample_rate: int | None) -> Opened:
    require_precision(module)
    digest = weights_digest(module)[:SHORT] if any(True for _ in tensors_of(module)) else ""
    if isinstance(module, Classifier):
        return Opened((Candidate(module, MONO),), revision=digest)
    return of_module(module, sample_rate, revision=digest)


def _of_function(function: Callable[[Any], Any]) -> Opened:
    if isinstance(function, type):
        raise UserError(f"model is the class {function.__name__}; give an object of it")
    modules = [BlackBox(function, takes_arrays=takes_arrays) for takes_arrays in (True, False)]
    return Opened(tuple(Candidate(module, layout) for module in modules for layout in OF_FUNCTIONS))


def _rate(opened: Opened, sample_rate: int | None) -> int:
    if sample_rate is None and opened.sample_rate_hz is None:
        raise UserError("the model's sample rate is not known; give sample_rate in Hz")
    return cast(int, opened.sample_rate_hz if sample_rate is None else sample_rate)


def _stated_duration(samples: int, sample_rate_hz: int, duration_s: float | None) -> float:
    """Length of the clips of a model that states it in samples."""
    if duration_s is not None and round(duration_s * sample_rate_hz) != samples:
        raise UserError(
            f"duration_s is {duration_s:g} but the model takes {samples} samples, {samples / sample_rate_hz:g} s at "
            f"{sample_rate_hz} Hz; leave duration_s out"
        )
    return samples / sample_rate_hz


def _of_classifier(
    module: Classifier,
    class_names: Sequence[str],
    name: str = "",
    revision: str = "",
    outputs: Outputs | None = None,
    activation: Activation | None = None,
) -> Model:
    domain: Any = module.domain
    if not hasattr(domain, "sample_rate_hz"):
        raise UserError("the model takes images; give a model of sounds, or use it in a study")
    if outputs in ("softmax", "sigmoid"):
        module = Classifier(domain, LogitsOfProbabilities(module.body, outputs))
    elif activation == "sigmoid" and module.activation != "sigmoid":
        module = Classifier(domain, Labels(module.body))
    return Model(
        module,
        domain.sample_rate_hz,
        domain.duration_s,
        tuple(class_names),
        module.activation,
        name=name or type(module).__name__,
        revision=revision,
    )


def _checkpoint(path: Path) -> Model:
    card = checkpoints.read_card(path)
    module = build(card.architecture, domain_from(card.domain), len(card.class_names), card.seed)
    checkpoints.load_weights(path, module, card)
    loaded = _of_classifier(module.eval(), card.class_names, path.name, card.weights_sha256[:SHORT])
    form = card.data.get("form") if card.data else None
    # A sound that was recorded more quietly than the training's is another one to the model.
    note = f"The model was trained on recordings made to one form ({form}); the explained sound is taken as it is."
    return replace(loaded, notes=(note,)) if form else loaded
