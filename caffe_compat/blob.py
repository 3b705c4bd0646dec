"""A blob: an array and its gradient, as tensors for the net and as numpy arrays for pycaffe's users."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import index
from types import SimpleNamespace
from typing import Any
from weakref import WeakSet

import numpy as np
import torch
from torch import Tensor, nn

from caffe_compat.errors import CaffeError

Shape = tuple[int, ...]


class _Memory:
    """A tensor kept as an attribute of ``owner``, and the numpy array of it that a user may hold.

    On the CPU both are the same memory. Elsewhere, and for bfloat16, which numpy lacks, what a user writes into an
    array that was handed out goes into the tensor when that is used again, as in Caffe, whose ``mutable_cpu_data``
    moves the head of the memory to the host. ``lent`` is what the array was: one that was only looked at changes
    nothing, since meanwhile a solver may have changed the tensor, and autograd may count on it.
    """

    def __init__(self, owner: Any, name: str) -> None:
        self.owner, self.name = owner, name
        self.host: np.ndarray | None = None
        self.lent: np.ndarray | None = None
        self.exposed = False

    @property
    def value(self) -> Tensor | None:
        """None stands for zeros that nobody has asked for yet."""
        return getattr(self.owner, self.name)

    @value.setter
    def value(self, value: Tensor | None) -> None:
        setattr(self.owner, self.name, value)
        self.host, self.exposed = None, False

    def get(self, shape: Shape, like: Tensor) -> Tensor:
        value = self.value
        if value is None:
            value = self.value = like.new_zeros(shape)
        if self.written:
            value.data.copy_(torch.from_numpy(self.host))
        self.host = self.lent = None
        return value

    @property
    def written(self) -> bool:
        """Whether a user has changed the array that was handed out."""
        return self.host is not None and not np.array_equal(self.host, self.lent)  # type: ignore[arg-type]

    def set(self, new: Tensor) -> None:
        """Take a new value; an array that a user holds goes on showing the current one."""
        old = self.value
        if self.exposed and old is not None and old.shape == new.shape and old.dtype == new.dtype:
            old.copy_(new)
            self.host = None
        else:
            self.value = new

    def numpy(self, shape: Shape, like: Tensor) -> np.ndarray:
        if self.host is not None:
            return self.host
        value = self.get(shape, like)
        if not value.is_contiguous():
            value = self.value = value.contiguous()
        if value.device.type != "cpu" or value.dtype == torch.bfloat16:
            self.host = value.detach().to("cpu", like.dtype).numpy()
            self.lent = self.host.copy()
            return self.host
        self.exposed = True
        return value.detach().numpy()


class Blob:
    """``data`` and ``diff`` as writable numpy arrays; ``tensor`` and ``grad`` are the net's own view of them."""

    def __init__(self, shape: Sequence[int] = (), like: Tensor | None = None, owner: Any = None) -> None:
        self._shape: Shape = tuple(shape)
        self._like = torch.empty(0) if like is None else like  # says device and dtype
        self._data = _Memory(SimpleNamespace(data=None, grad=None) if owner is None else owner, "data")
        self._diff = _Memory(self._data.owner, "grad")

    @property
    def shape(self) -> Shape:
        return self._shape

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self._shape)

    @property
    def has_diff(self) -> bool:
        """Whether the gradient has been given, or asked for, since the blob got its size."""
        return self._diff.value is not None

    @property
    def held(self) -> bool:
        """Whether a user may hold an array of the data, so that new values go into the same memory."""
        return self._data.exposed

    @property
    def data(self) -> np.ndarray:
        return self._lend(self._data)

    @data.setter
    def data(self, value: np.ndarray) -> None:
        self.data[...] = value

    @property
    def diff(self) -> np.ndarray:
        return self._lend(self._diff)

    @diff.setter
    def diff(self, value: np.ndarray) -> None:
        self.diff[...] = value

    def _lend(self, memory: _Memory) -> np.ndarray:
        return memory.numpy(self._shape, self._like)

    @property
    def tensor(self) -> Tensor:
        return self._data.get(self._shape, self._like)

    @tensor.setter
    def tensor(self, value: Tensor) -> None:
        if value.shape != self._shape:
            self.reshape(*value.shape)
        self._data.set(value)

    @property
    def grad(self) -> Tensor:
        return self._diff.get(self._shape, self._like)

    @grad.setter
    def grad(self, value: Tensor) -> None:
        self._diff.set(value.reshape(self._shape))

    def reshape(self, *shape: int) -> None:
        """Give the blob another shape; values stay where the number of elements does, otherwise they are zeros."""
        shape = tuple(map(index, shape))  # NumPy's integers, too, but no other numbers
        if shape == self._shape:
            return
        if any(size < 0 for size in shape):
            raise CaffeError(f"a blob cannot have the shape {list(shape)}; expected no negative sizes")
        same_count = math.prod(shape) == self.count
        for memory in (self._data, self._diff):
            keep = same_count and memory.value is not None
            memory.value = memory.get(self._shape, self._like).reshape(shape) if keep else None
        self._shape = shape

    def to(self, like: Tensor) -> None:
        """Move to the device and dtype of a tensor."""
        for memory in (self._data, self._diff):
            if memory.value is not None:
                memory.value = memory.get(self._shape, self._like).to(like)
        self._like = like

    def _legacy(self, axis: int) -> int:
        """Shape in the days of four axes: missing ones are 1."""
        if len(self._shape) > 4:
            raise ValueError(f"num, channels, height and width are for up to 4 axes; the shape is {list(self._shape)}")
        return (*self._shape, 1, 1, 1, 1)[axis]

    @property
    def num(self) -> int:
        return self._legacy(0)

    @property
    def channels(self) -> int:
        return self._legacy(1)

    @property
    def height(self) -> int:
        return self._legacy(2)

    @property
    def width(self) -> int:
        return self._legacy(3)


class SharedParameter(nn.Parameter):
    """A parameter in the memory of another one, its ``owner``, under another shape. Passes add to the owner's grad."""

    owner: nn.Parameter


def owner_of(parameter: nn.Parameter) -> nn.Parameter:
    """The parameter whose ``grad`` collects the gradient."""
    return parameter.owner if isinstance(parameter, SharedParameter) else parameter


class _OwnersGrad:
    """The ``grad`` of a shared parameter's owner in its own shape."""

    def __init__(self, parameter: SharedParameter) -> None:
        self.parameter = parameter

    @property
    def grad(self) -> Tensor | None:
        grad = self.parameter.owner.grad
        return None if grad is None else grad.reshape(self.parameter.shape)

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        self.parameter.owner.grad = None if value is None else value.reshape(self.parameter.owner.shape)


class ParamBlob(Blob):
    """A layer's parameter as a blob: ``data`` is the parameter's data, ``diff`` its ``grad`` (none yet: zeros)."""

    def __init__(self, parameter: nn.Parameter) -> None:
        super().__init__(parameter.shape, owner=parameter)
        self.parameter = parameter
        if isinstance(parameter, SharedParameter):
            self._diff = _Memory(_OwnersGrad(parameter), "grad")

    def _lend(self, memory: _Memory) -> np.ndarray:
        if self.parameter.device.type != "cpu":
            for other in [blob for blob in _lent if blob is not self and blob._data.written]:
                if other.parameter.data_ptr() == self.parameter.data_ptr():  # one of a net that shares the parameter
                    other.settle()
                    self.settle()
            _lent.add(self)
        return super()._lend(memory)

    def settle(self) -> None:
        """Let the parameter have what was written into the arrays."""
        for memory in (self._data, self._diff):
            if memory.written:
                memory.get(self._shape, self._like)
            memory.host = memory.lent = None

    @property
    def _like(self) -> Tensor:  # type: ignore[override]
        """The module moves the parameter; this blob has only to follow."""
        return self.parameter.data

    @_like.setter
    def _like(self, value: Tensor) -> None:
        pass


_lent: WeakSet[ParamBlob] = WeakSet()  # those of which users may hold arrays that are not the parameters' own memory


def settle() -> None:
    """Let all parameters have what users have written into their arrays: before nets, solvers and files use them."""
    while _lent:
        _lent.pop().settle()
