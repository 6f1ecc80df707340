"""Models that were made elsewhere: a user's own ``nn.Module`` and its weights as the model of a study."""

import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import InitVar, dataclass
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from audioxai.core import evaluating, logits_of
from audioxai.models.checkpoints import tensors_of
from audioxai.utils.errors import UserError
from audioxai.utils.names import nearest
from audioxai.utils.tensors import interrupted_afterwards

# Suffixes of files that PyTorch reads by unpickling.
PICKLED = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".tar")


@dataclass(frozen=True)
class ExternalModel:
    """A user's own model as the model of a study.

    Attributes
    ----------
    factory, weights : str, str or None
        As in :func:`load_external`.
    takes_waveforms : bool
        Whether it takes waveforms ``(batch, 1, time)``; else what the front end of the study makes of them.
    sample_rate_hz : int or None
        Rate of the waveforms that it takes; that of the data set if None.
    name : str
        Name in results; made of the factory's by default.
    folder : str or Path, optional
        Folder that the factory's file is relative to; the working directory by default. No part of the configuration,
        so that results stay valid when the folder moves.
    """

    factory: str
    weights: str | Path | None = None
    takes_waveforms: bool = False
    sample_rate_hz: int | None = None
    name: str = ""
    folder: InitVar[str | Path | None] = None

    def __post_init__(self, folder: str | Path | None) -> None:
        place, name = _divided(self.factory)
        module = Path(place).stem if _is_file(place) else place
        vars(self)["name"] = self.name or re.sub(r"\W+", "_", f"{module}_{name}")
        vars(self)["weights"] = None if self.weights is None else str(self.weights)
        vars(self)["folder"] = Path("." if folder is None else folder)

    def load(self) -> nn.Module:
        """The model; raises as :func:`load_external` does."""
        return load_external(self.factory, self.weights, vars(self)["folder"])

    def check(self, model: nn.Module, inputs: Tensor, class_names: Sequence[str]) -> None:
        """Check that the model, with its front end, classifies such inputs; raises as :func:`require_classes` does."""
        require_classes(model, inputs, len(class_names))


def load_external(factory: str, weights: str | Path | None = None, folder: str | Path = ".") -> nn.Module:
    """A user's own model, in evaluation mode.

    Parameters
    ----------
    factory : str
        ``"package.module:name"`` or ``"path/to/file.py:name"``, the name being a function without arguments that
        returns the model, a class that can be made without arguments, or the model itself. Files next to the named
        file can be imported by it.
    weights : str or Path, optional
        A safetensors file with the model's state dict. Without it the model is as the factory makes it; whatever the
        factory draws at random it draws from seed 0, so the weights are the same in every run.
    folder : str or Path
        Folder that a file of the factory is relative to, and where packages are looked for first.

    Returns
    -------
    nn.Module
        On the CPU.

    Raises
    ------
    UserError
        If the factory or the weights are missing, need arguments or do not fit, if the result is not an ``nn.Module``,
        or if it has neither parameters nor buffers that identify it.

    Examples
    --------
    >>> model = load_external("torch.nn:Identity")
    Traceback (most recent call last):
    audioxai.utils.errors.UserError: model torch.nn:Identity has neither parameters nor buffers, ...
    """
    return checked(imported(factory, folder), factory, weights)


def imported(factory: str, folder: str | Path = ".", *, functions: bool = False) -> Any:
    """What a factory makes, whatever it draws at random drawn from seed 0.

    Parameters
    ----------
    factory, folder
        As in :func:`load_external`.
    functions : bool
        Whether the name may be a function of one argument, which is returned as it is.

    Raises
    ------
    UserError
        If it is missing, or needs arguments.
    """
    place, name = _divided(factory)
    path = Path(folder, place).resolve() if _is_file(place) else None
    with _importable(Path(folder).resolve() if path is None else path.parent), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        thing = _found(_module(place, path), name, factory)
        if functions and inspect.isroutine(thing) and len(_needed(thing)) == 1:
            return thing
        return _made(thing, factory)


def checked(model: Any, factory: str, weights: str | Path | None) -> nn.Module:
    """The module that a factory made, with these weights, in evaluation mode.

    Raises
    ------
    UserError
        If it is no ``nn.Module``, has neither parameters nor buffers, or the weights do not fit.
    """
    if not isinstance(model, nn.Module):
        raise UserError(f"model {factory} is of type {type(model).__name__}; it has to return a torch.nn.Module")
    if not any(True for _ in tensors_of(model)):
        raise UserError(
            f"model {factory} has neither parameters nor buffers, by which its results are recognised; "
            "register what it computes with as a buffer"
        )
    if weights is not None:
        _fill(model, Path(weights), factory)
    return model.eval()


def require_classes(model: nn.Module, inputs: Tensor, class_count: int) -> None:
    """Check by one forward pass that a model takes inputs of this kind and returns one logit per class.

    Parameters
    ----------
    model : nn.Module
        Left in the mode that it was in.
    inputs : Tensor
        ``(batch, 1, …)``; the first is enough.
    class_count : int
        Number of classes of the data.

    Raises
    ------
    UserError
        If the model does not take such inputs, or returns anything but finite logits of ``class_count`` classes.
    """
    first = inputs[:1]
    try:
        with evaluating(model), torch.no_grad():
            logits = logits_of(model, first, torch.zeros(1, dtype=torch.int64, device=first.device))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"the model does not take inputs of shape {tuple(first.shape)} ({reason}); give it a front end or data "
            "of the shape that it was made for"
        ) from error
    if logits.shape[1] != class_count:
        raise UserError(
            f"the model returns {logits.shape[1]} logits but the data have {class_count} classes; "
            "choose the data that it was trained on or a model for these classes"
        )


def _is_file(place: str) -> bool:
    return place.endswith(".py")


def _divided(factory: str) -> tuple[str, str]:
    """Module or file, and the name in it."""
    place, _, name = factory.rpartition(":")
    if not place or not name:
        raise UserError(f"model is {factory!r}; write package.module:name or path/to/file.py:name")
    return place, name


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Search a folder for modules inside."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _module(place: str, path: Path | None) -> ModuleType:
    if path is None:
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            raise UserError(_missing(place, error)) from error
    if not path.is_file():
        raise UserError(f"model file {path} does not exist; correct the place of the factory")
    # A name of its own, so that two files called model.py are two modules, and dataclasses find their module.
    name = f"audioxai_external_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        specification.loader.exec_module(module)
    except ModuleNotFoundError as error:
        raise UserError(_missing(place, error)) from error
    return module


def _missing(place: str, error: ModuleNotFoundError) -> str:
    if error.name is not None and (place == error.name or place.startswith(f"{error.name}.")):
        return f"there is no module {place!r} to load a model from; install it or give the place of its file"
    return f"model {place} needs {error.name}, which is not installed; install it"


def _found(module: ModuleType, name: str, factory: str) -> Any:
    try:
        return attrgetter(name)(module)
    except AttributeError as error:
        raise UserError(
            f"there is no {name!r} in {factory.rpartition(':')[0]}{nearest(name, vars(module))}; "
            "name a function or a class of it"
        ) from error


def _made(thing: Any, factory: str) -> Any:
    if isinstance(thing, nn.Module) or not callable(thing):
        return thing
    needed = _needed(thing)
    if needed:
        raise UserError(
            f"model {factory} needs {', '.join(needed)}; name a function without arguments that returns the model"
        )
    return thing()


def _needed(thing: Any) -> list[str]:
    """Names of the arguments without which it cannot be called."""
    return [
        parameter.name
        for parameter in inspect.signature(thing).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]


def _fill(model: nn.Module, weights: Path, factory: str) -> None:
    if weights.suffix in PICKLED:
        converted = weights.with_suffix(".safetensors").name
        raise UserError(
            f"weights {weights} are a pickle, which can run any code when it is read; if you trust them, load them "
            f"into the model yourself and write them with safetensors.torch.save_model(model, {converted!r})"
        )
    if not weights.is_file():
        raise UserError(f"weights {weights} do not exist; give the place of a safetensors file")
    try:
        with interrupted_afterwards():
            tensors = load_file(weights)
    except SafetensorError as error:
        raise UserError(f"weights {weights} are unreadable ({error}); give a safetensors file") from error
    try:
        missing, unexpected = model.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise UserError(f"weights {weights} do not fit the model {factory} ({reason}); give its own weights") from error
    # Of tensors that share their memory the file may hold one.
    own = model.state_dict()
    filled = {own[name].data_ptr() for name in tensors.keys() & own.keys()}
    missing = [name for name in missing if own[name].data_ptr() not in filled]
    if missing or unexpected:
        differing = [f"lack {', '.join(missing)}"] * bool(missing) + [f"add {', '.join(unexpected)}"] * bool(unexpected)
        raise UserError(
            f"weights {weights} do not fit the model {factory}: they {' and '.join(differing)}; give its own weights"
        )
