"""A GPU's rules without a GPU: tensors in the host's memory that are said to be on ``cuda:0``.

Torch's FakeTensorMode is not for builds of torch without CUDA, and computes nothing. Here every number is real, but
what a GPU forbids fails, operators on tensors of both devices and arrays of a GPU's memory, and what makes host and GPU
wait for each other is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

GPU, HOST = torch.device("cuda:0"), torch.device("cpu")
aten = torch.ops.aten
# Operators whose results, or the sizes of them, the host reads.
FETCHING = {
    aten._local_scalar_dense,
    aten._unique2,
    aten.equal,
    aten.is_nonzero,
    aten.masked_select,
    aten.nonzero,
    aten.unique_consecutive,
    aten.unique_dim,
}
INDEXING = {aten._index_put_impl_, aten.index, aten.index_put, aten.index_put_}


class PretendedGpu:
    """While this context lasts the thread sees a GPU.

    Attributes:
        waits: what made host and GPU wait for each other, and how often.
    """

    def __init__(self) -> None:
        self.waits: Counter[str] = Counter()
        self._memory: dict[int, StorageWeakRef] = {}  # by address; the references keep addresses from being used again
        self._modes = (_Operators(self), _Functions(self))

    def __enter__(self) -> PretendedGpu:
        for mode in self._modes:
            mode.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        for mode in reversed(self._modes):
            mode.__exit__(*error)

    def holds(self, tensor: Tensor) -> bool:
        """Whether a tensor is on the GPU."""
        return tensor.untyped_storage()._cdata in self._memory

    def place(self, found: Any, on_gpu: bool) -> Any:
        """Say where the memory of the tensors in a result is; returns the result."""
        for tensor in _tensors(found):
            storage = tensor.untyped_storage()
            if not on_gpu:
                self._memory.pop(storage._cdata, None)
            elif storage._cdata not in self._memory:
                if len(self._memory) % 1000 == 999:
                    self._memory = {at: one for at, one in self._memory.items() if not one.expired()}
                self._memory[storage._cdata] = StorageWeakRef(storage)
        return found

    def copying(self, to_gpu: bool, non_blocking: bool) -> None:
        """Between the devices. Nobody waits for a copy to the GPU that need not be there at once."""
        if not to_gpu or not non_blocking:
            self.waits["copy to the GPU" if to_gpu else "copy to the host"] += 1


class _Functions(TorchFunctionMode):
    """What Python calls: devices as they are said to be, and moves between them."""

    def __init__(self, gpu: PretendedGpu) -> None:
        super().__init__()
        self.gpu = gpu

    def __torch_function__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        gpu, kwargs, name = self.gpu, dict(kwargs or {}), getattr(func, "__name__", "")
        own = args[0] if args and isinstance(args[0], Tensor) else None
        if own is not None and gpu.holds(own):
            if name == "__get__":
                said = {"device": GPU, "is_cuda": True, "is_cpu": False}
                field = getattr(func.__self__, "__name__", "")
                if field in said:
                    return said[field]
            if name in ("numpy", "__array__"):
                raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")
            if name == "tolist":
                gpu.copying(to_gpu=False, non_blocking=False)
        if own is not None and name in ("to", "cpu", "cuda"):
            return self._moved(own, name, args[1:], kwargs)
        if kwargs.get("device") is None:
            return func(*args, **kwargs)
        device = torch.device(kwargs["device"])
        if device.type not in ("cpu", "cuda"):
            return func(*args, **kwargs)
        on_gpu = device.type == "cuda"
        if on_gpu and name in ("tensor", "as_tensor", "new_tensor"):
            gpu.copying(to_gpu=True, non_blocking=False)
        return gpu.place(func(*args, **{**kwargs, "device": HOST}), on_gpu)

    def _moved(self, tensor: Tensor, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Tensor:
        """``Tensor.to`` and its like."""
        gpu, here = self.gpu, self.gpu.holds(tensor)
        there, non_blocking = here, bool(kwargs.pop("non_blocking", False))
        rest = list(args)
        if name != "to":
            there, rest = name == "cuda", []
        elif rest and isinstance(rest[0], Tensor):
            there, rest[0] = gpu.holds(rest[0]), rest[0].dtype
        elif rest and isinstance(rest[0], (str, torch.device)):
            there = torch.device(rest.pop(0)).type == "cuda"
        elif kwargs.get("device") is not None:
            there = torch.device(kwargs.pop("device")).type == "cuda"
        kwargs.pop("device", None)
        given = next((one for one in rest if isinstance(one, torch.dtype)), None)
        if len(rest) > 1 and isinstance(rest[1], bool):
            non_blocking = rest[1]
        if given is not None:
            kwargs["dtype"] = given
        if there == here:
            return tensor.to(**kwargs) if kwargs else tensor
        gpu.copying(there, non_blocking)
        return gpu.place(tensor.to(**{**kwargs, "copy": True}), there)


class _Operators(TorchDispatchMode):
    """What is computed, backward passes included: all on one device."""

    def __init__(self, gpu: PretendedGpu) -> None:
        super().__init__()
        self.gpu = gpu

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        gpu, kwargs, operator = self.gpu, kwargs or {}, func.overloadpacket
        if not any(gpu.holds(tensor) for tensor in _tensors((*args, *kwargs.values()))):
            return func(*args, **kwargs)
        if operator is aten.copy_:
            if not (gpu.holds(args[0]) and gpu.holds(args[1])):
                gpu.copying(gpu.holds(args[0]), bool(kwargs.get("non_blocking", args[2:] and args[2])))
            return func(*args, **kwargs)
        for i, argument in enumerate(func._schema.arguments):
            value = args[i] if i < len(args) else kwargs.get(argument.name)
            if value is None or isinstance(value, (bool, int, float)):
                continue
            if operator in INDEXING and argument.name == "indices":
                self._index(func, value)
            else:
                self._check(func, argument, value)
        if operator in FETCHING:
            gpu.waits[str(func)] += 1
        if func is aten.mm.dtype:  # which CPUs do not have
            return gpu.place(torch.mm(args[0].to(args[2]), args[1].to(args[2])), on_gpu=True)
        return gpu.place(func(*args, **kwargs), on_gpu=True)

    def _index(self, func: Any, indices: Any) -> None:
        """Indices may be on the host, from where they are copied; what masks choose is counted on the host."""
        for index in _tensors(indices):
            if not self.gpu.holds(index):
                self.gpu.copying(to_gpu=True, non_blocking=False)
            if index.dtype in (torch.bool, torch.uint8):
                self.gpu.waits[str(func)] += 1

    def _check(self, func: Any, argument: Any, value: Any) -> None:
        """An operator by elements reads single numbers from the host, too; else all has to be on the GPU."""
        written = argument.alias_info is not None and argument.alias_info.is_write
        for tensor in _tensors(value):
            number = tensor.dim() == 0 and not written and torch.Tag.pointwise in func.tags
            if not number and not self.gpu.holds(tensor):
                raise RuntimeError(
                    f"{func}: Expected all tensors to be on the same device, but {argument.name} is on cpu, "
                    "other arguments are on cuda:0"
                )


def _tensors(found: Any) -> Iterator[Tensor]:
    """All that are in an argument or a result."""
    if isinstance(found, Tensor):
        yield found
    elif isinstance(found, (tuple, list)):
        for one in found:
            yield from _tensors(one)
