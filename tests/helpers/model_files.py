"""Tiny models as files: TorchScript, programs of torch.export, ONNX and TensorFlow Lite."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

SAMPLES = 400
WEIGHTS = np.random.default_rng(0).standard_normal((3, SAMPLES)).astype(np.float32)
Dimension = int | str


def linear(waveforms: Tensor) -> Tensor:
    """Scores ``(batch, 3)`` of waveforms ``(batch, …)`` of 400 samples, as all fixed files here have them."""
    return waveforms.flatten(1) @ torch.from_numpy(WEIGHTS).T


def write_torchscript(path: Path, module: nn.Module, *, frozen: bool = False) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted = torch.jit.script(module)
        (torch.jit.freeze(scripted) if frozen else scripted).save(str(path))
    return path


def write_exported(path: Path, module: nn.Module, example: Tensor, *, any_batch: bool = True) -> Path:
    shapes = ({0: torch.export.Dim("batch", min=1, max=64)},) if any_batch else None
    torch.export.save(torch.export.export(module, (example,), dynamic_shapes=shapes), path)
    return path


def write_onnx(
    path: Path,
    shape: Sequence[Dimension] = ("batch", SAMPLES),
    *,
    kind: int = 1,
    others: Sequence[tuple[str, int, Sequence[Any]]] = (),
    second_output: bool = False,
    state: bool = False,
    name: str = "waveform",
    metadata: dict[str, str] | None = None,
) -> Path:
    """``linear`` of 400 samples; with a state the scores are those plus the state, which comes back one larger."""
    import onnx
    from onnx import TensorProto, helper

    def info(name: str, kind: int, shape: Sequence[Dimension]) -> Any:
        return helper.make_tensor_value_info(name, kind, list(shape))

    single = TensorProto.FLOAT
    constants = [
        helper.make_tensor("weights", single, [3, SAMPLES], WEIGHTS.flatten().tolist()),
        helper.make_tensor("flat", TensorProto.INT64, [2], [-1, SAMPLES]),
        helper.make_tensor("one", single, [], [1.0]),
    ]
    nodes = [
        helper.make_node("Cast", [name], ["single"], to=single),
        helper.make_node("Reshape", ["single", "flat"], ["rows"]),
        helper.make_node("Gemm", ["rows", "weights"], ["scores"], transB=1),
    ]
    inputs = [info(name, kind, shape), *(info(*other) for other in others)]
    outputs = [info("logits" if second_output else "result", single, ["batch", 3])]
    if state:
        inputs.append(info("state", single, ["batch", 3]))
        nodes += [helper.make_node("Add", ["scores", "state"], ["summed"])]
        nodes += [helper.make_node("Add", ["state", "one"], ["stateN"])]
        outputs.append(info("stateN", single, ["batch", 3]))
    nodes += [helper.make_node("Identity", ["summed" if state else "scores"], [outputs[0].name])]
    if second_output:
        nodes += [helper.make_node("Neg", ["scores"], ["embedding"])]
        outputs.append(info("embedding", single, ["batch", 3]))
    # What an input of another kind is for does not matter here, but that it is used does.
    for other, _, _ in others:
        nodes += [helper.make_node("Identity", [other], [f"{other}_seen"])]
    graph = helper.make_graph(nodes, "linear", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    for key, value in (metadata or {}).items():
        model.metadata_props.append(onnx.StringStringEntryProto(key=key, value=value))
    onnx.save(model, str(path))
    return path


def write_tflite(path: Path, shape: Sequence[int] = (1, SAMPLES)) -> Path:
    """``linear`` as one fully connected layer."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    def tensor(name: str, size: Sequence[int], buffer: int) -> Any:
        made = schema.TensorT()
        made.name, made.shape, made.buffer, made.type = name.encode(), list(size), buffer, schema.TensorType.FLOAT32
        return made

    def buffer(data: np.ndarray | None = None) -> Any:
        made = schema.BufferT()
        made.data = None if data is None else np.frombuffer(data.tobytes(), np.uint8)
        return made

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    layer = schema.OperatorT()
    layer.opcodeIndex, layer.inputs, layer.outputs = 0, [0, 1, 2], [3]
    layer.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    layer.builtinOptions = schema.FullyConnectedOptionsT()
    graph = schema.SubGraphT()
    graph.tensors = [
        tensor("waveform", shape, 1),
        tensor("weights", WEIGHTS.shape, 2),
        tensor("bias", (3,), 3),
        tensor("scores", (1, 3), 4),
    ]
    graph.inputs, graph.outputs, graph.operators = [0], [3], [layer]
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [buffer(), buffer(), buffer(WEIGHTS), buffer(np.zeros(3, np.float32)), buffer()]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path
