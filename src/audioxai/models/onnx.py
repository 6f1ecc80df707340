"""ONNX files as black boxes, by ONNX Runtime on the CPU."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audioxai.models.black_box import BlackBox
from audioxai.models.opened import RATE_NAMES, Opened, of_declared, require_rate, unreadable
from audioxai.utils.errors import UserError

FLOATS: dict[str, Any] = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}
INTEGERS: dict[str, Any] = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
WAVEFORM_NAMES = ("waveform", "waveforms", "audio", "wav", "signal", "input", "inputs", "x")
STATE_NAMES = ("state", "h", "c", "h0", "c0", "hx", "cx", "hidden", "cell", "cache", "memory", "buffer")
LENGTH_NAMES = ("length", "lengths", "len", "audio_length", "audio_lengths", "input_length", "input_lengths")
# How the output is called that holds the next value of a state.
NEXT = ("{}n", "{}N", "{}_n", "{}_out", "{}_new", "{}_next", "new_{}", "next_{}", "out_{}", "output_{}", "{}out")
SILENT = 4


def open_onnx(path: Path, sample_rate: int | None) -> Opened:
    """A model from an ONNX file.

    Recurrent states start at zero in every call; an input named as a sample rate gets the rate, one named as a length
    the number of samples.

    Parameters
    ----------
    path : Path
        The file.
    sample_rate : int or None
        Rate of the waveforms in Hz.

    Raises
    ------
    UserError
        If ONNX Runtime is not installed, the file cannot be read, or which input takes the waveform is not known.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(f"reading {path} needs ONNX Runtime; install audioxai[onnx]") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = SILENT
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library's errors have no other common class
        raise unreadable(path, "ONNX", error) from error
    inputs = {one.name: one for one in session.get_inputs()}
    waveform = _waveform_input(path, inputs)
    others = {name: _filling(path, one, sample_rate) for name, one in inputs.items() if name != waveform}
    states = [name for name in others if inputs[name].type in FLOATS]
    ends = {pattern.format(name) for name in states for pattern in NEXT}
    outputs = [one.name for one in session.get_outputs() if one.name not in ends]
    kind = FLOATS[inputs[waveform].type]

    def scores(waveforms: Any) -> Any:
        batch, samples = (1 if waveforms.ndim == 1 else len(waveforms)), max(waveforms.shape)
        feeds = {waveform: waveforms.astype(kind), **{name: fill(batch, samples) for name, fill in others.items()}}
        found = dict(zip(outputs, session.run(outputs, feeds), strict=True))
        return found if len(found) > 1 else found[outputs[0]]

    notes = [f"the state that the model takes as {name!r} is zero at the start of every clip" for name in states]
    if kind == np.float16:
        notes.append("the model computes in half precision, to about three digits")
    rate = session.get_modelmeta().custom_metadata_map.get("sample_rate", "")
    return of_declared(
        BlackBox(scores, takes_arrays=True),
        inputs[waveform].shape,
        path,
        sample_rate_hz=int(rate) if rate.isdecimal() else None,
        notes=tuple(notes),
    )


def _waveform_input(path: Path, inputs: Mapping[str, Any]) -> str:
    """Name of the input that takes the waveform."""
    floats = [name for name, one in inputs.items() if one.type in FLOATS]
    likely = [name for name in floats if not _named(name, STATE_NAMES)]
    named = [name for name in likely if _named(name, WAVEFORM_NAMES)]
    for found in (likely, named):
        if len(found) == 1:
            return found[0]
    listed = ", ".join(f"{name} of {one.type} {one.shape}" for name, one in inputs.items()) or "none"
    raise UserError(
        f"model {path} has inputs {listed}, and which takes the waveform is not known; export it with one input of "
        "floating-point numbers named waveform"
    )


def _filling(path: Path, one: Any, sample_rate: int | None) -> Callable[[int, int], Any]:
    """What is given to another input, from the size of the batch and the number of samples."""
    if one.type in FLOATS and _named(one.name, STATE_NAMES):
        kind = FLOATS[one.type]
        return lambda batch, _: np.zeros([size if isinstance(size, int) else batch for size in one.shape], kind)
    if one.type in INTEGERS and len(one.shape) <= 1:
        kind = INTEGERS[one.type]
        if _named(one.name, RATE_NAMES):
            rate = require_rate(path, one.name, sample_rate)
            return lambda batch, _: np.full(_size(one.shape, batch), rate, kind)
        if _named(one.name, LENGTH_NAMES):
            return lambda batch, samples: np.full(_size(one.shape, batch), samples, kind)
    raise UserError(
        f"model {path} has the input {one.name} of {one.type} {one.shape}, which is neither a waveform, a state, a "
        "sample rate nor a length; export it without, or wrap it in a function from waveforms to scores"
    )


def _size(shape: list[Any], batch: int) -> list[int]:
    return [size if isinstance(size, int) else batch for size in shape]


def _named(name: str, known: tuple[str, ...]) -> bool:
    """Whether a name is a known one, a number or a word in front of it aside."""
    whole = name.lower().split(":")[0]
    plain = whole.rstrip("0123456789_")
    return whole in known or plain in known or any(plain.endswith(f"_{one}") for one in known if len(one) > 2)
