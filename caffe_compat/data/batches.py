"""Batches of images, and what all that read them have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from caffe_compat import parallel
from caffe_compat.cores import cores
from caffe_compat.data.buffers import BufferPool
from caffe_compat.data.decoded_images import DecodedImages
from caffe_compat.data.transform import Placement, Transformer

WORKERS = cores()

Result = TypeVar("Result")
State = dict[str, Any]  # numbers and arrays; "records": read so far, "rng": the generator of random decisions, or None


@dataclass
class Batch:
    """Images float32 (n, channels, height, width) and labels float32 (n), on the CPU.

    Where ``places`` is given the images are only cut, uint8 or float32 in pinned memory: mean and scale are left to
    ``Transformer.finish``, on the device. ``state`` is that of the reader behind this batch.
    """

    data: Tensor
    label: Tensor
    places: list[Placement] | None
    state: State
    arrival: Any = None  # on a GPU: the event that the images are there
    ready: tuple[Tensor, Tensor] | None = None  # images and labels as they were delivered, to whom they are shared with

    def on(self, device: torch.device) -> Tensor:
        """The images on a device."""
        return self.data.to(device, non_blocking=True)


class BatchReader(ABC):
    """Reads batches without end. What is random or in order is decided in one thread, the rest done by several.

    Of several processes that train together each reads its part; all decide for the whole batch.
    """

    def __init__(self, transformer: Transformer, batch_size: int) -> None:
        self.transformer = transformer
        self.batch_size = batch_size
        self.mine = parallel.world().rows(batch_size)  # of each batch: the others go to other processes
        self.device = torch.device("cpu")  # where the batches will be wanted
        self.decoded: DecodedImages | None = None  # what other readers of the source have decoded
        self._buffers = BufferPool()
        self._pool = ThreadPoolExecutor(WORKERS, "data")
        self._records = 0

    @abstractmethod
    def first_shape(self) -> tuple[int, int, int]:
        """Shape (channels, height, width) of the first output, which is not consumed."""

    @abstractmethod
    def read(self) -> Batch:
        """The next batch. CaffeError, naming the place in the source, for what makes no image of its shape."""

    @abstractmethod
    def state(self) -> State:
        """Where reading stands; numbers and arrays only."""

    @abstractmethod
    def load_state(self, state: State) -> None:
        """Go on from a state of a reader of the same source with the same transformation."""

    def close(self) -> None:
        """Let go of threads and files."""
        self._pool.shutdown(cancel_futures=True)

    def _in_parallel(self, work: Callable[..., Result], *arguments: Any) -> list[Result]:
        """``map`` over the threads."""
        return results(self._start(lambda *piece: list(map(work, *piece)), *arguments))

    def _start(self, work: Callable[..., list[Result]], *arguments: Any) -> list[Future[list[Result]]]:
        """Begin to do work in the threads, in few large pieces, since handing over costs as much as an image.

        ``work`` gets a piece of each of the arguments, which are sequences of one length.
        """
        count = len(arguments[0])
        step = -(-count // WORKERS)
        pieces = [[column[i : i + step] for column in arguments] for i in range(0, count, step)]
        return [self._pool.submit(_given_up, work, piece) for piece in pieces]


def _given_up(work: Callable[..., Result], piece: list[Any]) -> Result:
    """Do the work, and hold nothing of the piece when its result is there: its memory may be wanted at once."""
    arguments = tuple(piece)
    piece.clear()
    return work(*arguments)


def results(started: list[Future[list[Result]]]) -> list[Result]:
    """What the pieces of a ``map`` give, in order; waits for them."""
    return [result for piece in started for result in piece.result()]
