"""A CUDA graph's stand-in on the CPU: the operations of a pass, replayed on the very tensors that they were seen on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten


class Tape(TorchDispatchMode):
    """Notes each operation with its arguments and results; what is fetched to the host stays what it was.

    ``waits``: how often a value was fetched, which a CUDA graph forbids; ``forbid`` makes it raise as one does.
    """

    def __init__(self, forbid: bool = False) -> None:
        super().__init__()
        self.forbid, self.waits = forbid, 0
        self.operations: list[tuple[Any, Any, Any, list[Tensor]]] = []
        self.changed: list[tuple[Tensor, Tensor]] = []  # tensors from before, and what they were
        self._places: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            self.waits += 1
            if self.forbid:
                raise RuntimeError("operation not permitted when stream is capturing\nmore of it")
        for value, argument in zip(args, func._schema.arguments):
            if argument.alias_info and argument.alias_info.is_write and value.data_ptr() not in self._places:
                self.changed.append((value, value.clone()))
        result = func(*args, **(kwargs or {}))
        fresh = [] if any(one.alias_info for one in func._schema.returns) else tree_flatten(result)[0]
        self._places.update(one.data_ptr() for one in fresh if isinstance(one, Tensor))
        self.operations.append((func, args, kwargs or {}, fresh))
        return result

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, fresh in self.operations:
            again = tree_flatten(func(*args, **kwargs))[0]
            for old, new in zip(fresh, again):
                if isinstance(old, Tensor):
                    old.copy_(new)


def record(work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    """As ``record_cuda``, which runs nothing: tensors from before are as they were, new ones hold nan."""
    with torch.no_grad(), Tape() as tape:
        result = work()
    for tensor, before in reversed(tape.changed):
        tensor.copy_(before)
    for _, _, _, fresh in tape.operations:
        for tensor in fresh:
            if isinstance(tensor, Tensor) and tensor.is_floating_point():
                tensor.fill_(float("nan"))
    return tape.replay, result


def record_strictly(work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    """As ``record``, but fetching a value fails."""
    with torch.no_grad(), Tape(forbid=True) as tape:
        result = work()
    return tape.replay, result
