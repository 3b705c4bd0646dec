"""Memory that is used again and again."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from math import prod

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor


class BufferPool:
    """Hands out uninitialised tensors on the CPU.

    A batch of CaffeNet's has 158 MB, and memory fresh from the system costs more time than filling it. So a buffer
    comes back here when the last tensor on it is gone, whoever held it.
    """

    def __init__(self) -> None:
        self._free: deque[NDArray[np.uint8]] = deque()

    def take(self, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> Tensor:
        size = prod(shape) * np.dtype(dtype).itemsize
        buffer = self._free.popleft() if self._free else np.empty(size, np.uint8)
        if buffer.size < size:
            buffer = np.empty(size, np.uint8)
        lease = buffer[:size].view(dtype).reshape(shape)
        # Tensors, their views and what autograd keeps all hold the array that the first tensor was made from.
        weakref.finalize(lease, self._free.append, buffer).atexit = False
        return torch.from_numpy(lease)


class Scratch(threading.local):
    """Memory of each thread's own, for what is needed for a moment only."""

    def __init__(self) -> None:
        self._bytes = np.empty(0, np.uint8)

    def take(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray:
        """An uninitialised array, valid until the thread takes the next one."""
        size = prod(shape) * np.dtype(dtype).itemsize
        if self._bytes.size < size:
            self._bytes = np.empty(size, np.uint8)
        return self._bytes[:size].view(dtype).reshape(shape)
