"""A GPU that is not there: tensors that are said to be on it refuse what tensors on a real one would refuse."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

CUDA = torch.device("cuda")


class PretendedGpu(TorchFunctionMode):
    """Marks tensors as they go to CUDA and everything made of them, while all is computed on the CPU.

    Raises where tensors of both places meet, a marked one becomes an array, or a CPU generator is to draw on CUDA.
    Numbers (tensors without dimensions) may be anywhere, and so may indices into what is marked, as in PyTorch.
    Parameters count as lying where they are needed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.marked = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func == Tensor.device.__get__:
            return CUDA if on_gpu(args[0]) else func(*args)
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        marked = [one for one in tensors if on_gpu(one)]
        if func in (Tensor.numpy, Tensor.__array__) and marked:
            raise TypeError("a tensor on the GPU cannot become an array")
        if func is Tensor.cpu:
            return func(*args, **kwargs).clone() if marked else func(*args, **kwargs)
        if func is Tensor.to:
            return self._moved(args, kwargs)
        if func in (Tensor.copy_, torch._C._nn._parse_to):
            return func(*args, **kwargs)
        to_gpu = any(is_gpu(leaf) for leaf in tree_leaves((args, kwargs)))
        if to_gpu and kwargs.get("generator") is not None:
            raise RuntimeError(f"{func.__name__} was to draw on the GPU with a generator of the CPU")
        self._check(func, args, tensors, marked)
        made = func(*on_cpu(args), **on_cpu(kwargs))
        if func is Tensor.__iter__:
            made = list(made)
        if marked or to_gpu:
            self._mark(made)
        return iter(made) if func is Tensor.__iter__ else made

    def _moved(self, args: Any, kwargs: Any) -> Any:
        before, after = args[0], Tensor.to(*on_cpu(args), **on_cpu(kwargs))
        places = [leaf for leaf in tree_leaves((args[1:], kwargs)) if isinstance(leaf, torch.device | str | Tensor)]
        stays = on_gpu(before) if not places else any(is_gpu(one) or on_gpu(one) for one in places)
        if stays != on_gpu(before):
            after = after.clone() if after is before else after
        if stays:
            self._mark(after)
        return after

    def _check(self, func: Any, args: Any, tensors: list[Tensor], marked: list[Tensor]) -> None:
        elsewhere = [one for one in tensors if not on_gpu(one) and one.dim() > 0 and not isinstance(one, nn.Parameter)]
        if not marked or not elsewhere:
            return
        if func in (Tensor.__getitem__, Tensor.__setitem__) and on_gpu(args[0]):
            value = args[2] if func is Tensor.__setitem__ else None
            if not isinstance(value, Tensor) or on_gpu(value) or value.dim() == 0:
                return
        shapes = [(tuple(one.shape), on_gpu(one)) for one in tensors]
        raise RuntimeError(f"{getattr(func, '__name__', func)} meets tensors of two devices: {shapes}")

    def _mark(self, made: Any) -> None:
        for leaf in tree_leaves(made):
            if isinstance(leaf, Tensor):
                leaf._pretended_gpu = True  # type: ignore[attr-defined]
                self.marked += 1


def on_gpu(thing: Any) -> bool:
    return isinstance(thing, Tensor) and "_pretended_gpu" in vars(thing)


def is_gpu(thing: Any) -> bool:
    return isinstance(thing, torch.device) and thing.type == "cuda"


def on_cpu(things: Any) -> Any:
    return tree_map(lambda leaf: torch.device("cpu") if is_gpu(leaf) else leaf, things)


@contextlib.contextmanager
def pretended_gpu() -> Iterator[PretendedGpu]:
    with PretendedGpu() as mode:
        yield mode
