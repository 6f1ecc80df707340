"""TensorFlow Lite files as black boxes, by LiteRT on the CPU."""

from pathlib import Path
from typing import Any

import numpy as np

from audioxai.models.black_box import BlackBox
from audioxai.models.opened import Opened, of_declared, unreadable
from audioxai.utils.errors import UserError


def open_tflite(path: Path, sample_rate: int | None) -> Opened:  # noqa: ARG001 (as all openers)
    """A model from a TensorFlow Lite file; clips go one by one.

    Parameters
    ----------
    path : Path
        The file.
    sample_rate : int or None
        Rate of the waveforms in Hz.

    Raises
    ------
    UserError
        If LiteRT is not installed, the file cannot be read, or it does not take waveforms as its one input.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise UserError(f"reading {path} needs LiteRT; install audioxai[tflite]") from error
    try:
        interpreter = Interpreter(model_path=str(path), num_threads=1)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise unreadable(path, "TensorFlow Lite", error) from error
    inputs = interpreter.get_input_details()
    if len(inputs) != 1 or inputs[0]["dtype"] != np.float32:
        listed = ", ".join(f"{one['name']} of {np.dtype(one['dtype'])} {list(one['shape'])}" for one in inputs)
        raise UserError(f"model {path} has inputs {listed}; export it with one input, a waveform of float32")
    (given,) = inputs
    names = _names_of_outputs(interpreter)

    def scores(waveform: Any) -> Any:
        if tuple(waveform.shape) != tuple(interpreter.get_input_details()[0]["shape"]):
            interpreter.resize_tensor_input(given["index"], waveform.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], waveform)
        interpreter.invoke()
        found = {name: interpreter.get_tensor(index) for name, index in names.items()}
        return found if len(found) > 1 else next(iter(found.values()))

    return of_declared(
        BlackBox(scores, takes_arrays=True), [int(size) for size in given["shape_signature"]], path, one_by_one=True
    )


def _names_of_outputs(interpreter: Any) -> dict[str, int]:
    """Index of every output by its name in the file's signature, else by that of its tensor."""
    signatures = interpreter.get_signature_list()
    if len(signatures) == 1:
        details = interpreter.get_signature_runner(next(iter(signatures))).get_output_details()
        return {name: one["index"] for name, one in details.items()}
    return {one["name"]: one["index"] for one in interpreter.get_output_details()}
