"""TorchScript files and exported programs, read without unpickling anything that can run code."""

import inspect
import io
import json
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from audioxai.core import require_precision
from audioxai.models.layouts import of_modules
from audioxai.models.opened import RATE_NAMES, Opened, of_declared, require_rate, revision_of, unreadable
from audioxai.models.trials import Candidate
from audioxai.utils.errors import UserError


def open_torchscript(path: Path, sample_rate: int | None) -> Opened:
    """A model from a file of ``torch.jit.save``, in evaluation mode.

    Parameters
    ----------
    path : Path
        The file.
    sample_rate : int or None
        Rate of the waveforms in Hz.

    Raises
    ------
    UserError
        If the file cannot be read, or is a pickle.
    """
    members = _members(path, "TorchScript")
    if not any(name.split("/")[1:2] == ["code"] for name in members):
        raise UserError(
            f"model {path} is a pickle, which can run any code when it is read; write its weights with "
            "safetensors.torch.save_model and give the factory of the model, or save it with torch.jit.save"
        )
    try:
        with _no_deprecation():
            module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise unreadable(path, "TorchScript", error) from error
    require_precision(module)
    # Frozen modules have no mode.
    if any(getattr(part, "training", False) for part in module.modules()):
        module.eval()
    return of_module(module, sample_rate, path, revision_of(path))


def open_exported(path: Path, sample_rate: int | None) -> Opened:  # noqa: ARG001 (as all openers)
    """A model from a file of ``torch.export.save``.

    Parameters
    ----------
    path : Path
        The file.
    sample_rate : int or None
        Rate of the waveforms in Hz.

    Raises
    ------
    UserError
        If the file cannot be read, holds pickled objects, or its program takes no waveform.
    """
    _members(path, "a program of torch.export")
    _require_no_objects(path)
    try:
        with _no_deprecation():
            program = torch.export.load(str(path))
    except Exception as error:  # files of other versions raise anything
        raise unreadable(path, "a program of torch.export", error) from error
    return of_program(program, path)


def of_program(program: torch.export.ExportedProgram, path: Path | None = None) -> Opened:
    """A model from an exported program.

    Raises
    ------
    UserError
        If its first input is no waveform, or it has others.
    """
    names = program.graph_signature.user_inputs
    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    if len(names) != 1:
        raise UserError(f"the program has inputs {', '.join(map(str, names))}; export it with one input, a waveform")
    module = program.module()
    require_precision(module)
    shape = list(nodes[str(names[0])].meta["val"].shape)
    sizes = [size if isinstance(size, int) else None for size in shape]
    return of_declared(module, sizes, path)


def of_module(module: nn.Module, sample_rate: int | None, path: Path | None = None, revision: str = "") -> Opened:
    """A module, and a sample rate that its ``forward`` asks for.

    Raises
    ------
    UserError
        If that is not known.
    """
    given = {}
    rate = _rate_argument(module)
    if rate is not None:
        given[rate] = require_rate(path, rate, sample_rate)
    convolution = next((layer for layer in module.modules() if isinstance(layer, nn.Conv1d)), None)
    channels = convolution.in_channels if convolution is not None and convolution.in_channels > 1 else 2
    candidates = tuple(Candidate(module, layout) for layout in of_modules(channels))
    return Opened(candidates, revision=revision, given=given)


def _rate_argument(module: nn.Module) -> str | None:
    """Name of the sample rate among the arguments that ``forward`` needs."""
    if isinstance(module, torch.jit.ScriptModule):
        forward: Any = module.forward
        arguments = forward.schema.arguments[1:]
        needed = [argument.name for argument in arguments if not argument.has_default_value()]
    else:
        needed = [
            parameter.name
            for parameter in inspect.signature(module.forward).parameters.values()
            if parameter.default is parameter.empty
            and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        ]
    return next((name for name in needed[1:] if name in RATE_NAMES), None)


def _members(path: Path, kind: str) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise unreadable(path, kind, error) from error


def _require_no_objects(path: Path) -> None:
    """Refuse programs of which PyTorch would unpickle more than tensors.

    Weights and constants are raw numbers in a file as ``torch.export.save`` writes it; only the example inputs are
    pickled, and those are read here first, in the mode that makes nothing but tensors.
    """
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            folder, file = f"/{name}".rpartition("/")[::2]
            if folder.endswith("/sample_inputs"):
                refused = not _only_tensors(archive.read(name))
            elif folder.endswith(("/weights", "/constants")):
                refused = _names_objects(archive.read(name)) if file.endswith(".json") else file.endswith(".pt")
            else:
                # Of versions of PyTorch before 2.8.
                refused = file.startswith("serialized_") and file.endswith(".pt")
            if refused:
                raise UserError(
                    f"model {path} holds pickled objects ({name}), which can run any code when they are read; export "
                    "it again with PyTorch 2.8 or newer, without custom objects"
                )


def _only_tensors(content: bytes) -> bool:
    if not content:
        return True
    try:
        torch.load(io.BytesIO(content), weights_only=True)
    except Exception:  # noqa: BLE001 (whatever it is, it is not tensors alone)
        return False
    return True


def _names_objects(content: bytes) -> bool:
    """Whether a table of weights or constants names pickled ones."""
    try:
        table: dict[str, Any] = json.loads(content)["config"]
        return any(one["use_pickle"] or "custom_obj" in one["path_name"] for one in table.values())
    except (ValueError, KeyError, TypeError, AttributeError):
        return True


@contextmanager
def _no_deprecation() -> Iterator[None]:
    """PyTorch announces that TorchScript will go; files of it are there nevertheless."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        yield
