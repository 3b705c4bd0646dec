"""From records or files to batches: images parsed, decoded, placed and transformed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caffe_compat import glog
from caffe_compat.data.batches import Batch, BatchReader, State, results
from caffe_compat.data.datum import Record, parse
from caffe_compat.data.db import Database
from caffe_compat.data.picture import AS_STORED, Buffer
from caffe_compat.data.small_images import parse_alike, transform_alike
from caffe_compat.data.transform import Chance, Placement, Transformer
from caffe_compat.errors import CaffeError

Item = TypeVar("Item")
TOGETHER = 4  # images that a thread transforms at a time, so that threads meet less often for the interpreter's lock
SMALL = 1 << 19  # bytes of a batch that is not worth several threads


class Filled(NamedTuple):
    """What a thread knows of an image that it has put into a batch; ``left``: one that the batch is too narrow for."""

    label: int
    place: Placement
    left: NDArray | None


@dataclass
class Begun:
    """A batch that the threads are at work on. ``finished``: down to the mean and scale, not only cut."""

    data: Tensor
    finished: bool
    filling: list[Future[list[Filled]]]
    state: State


class ImageReader(BatchReader, Generic[Item]):
    """Whole images, each transformed by itself, from items that come in the order of delivery.

    The threads have the next batch to go on with while the last ones of a batch are waited for.
    """

    _next_batch: Begun | CaffeError | None = None

    @abstractmethod
    def _next(self) -> Item:
        """The next item, without end."""

    @abstractmethod
    def _load(self, item: Item) -> tuple[NDArray, int]:
        """An item's image and label; called from several threads. CaffeError, made by ``_error``, if it has none."""

    def _load_alike(self, items: Sequence[Item]) -> tuple[NDArray[np.uint8], list[int]] | None:
        """All items' images (n, channels, height, width) and labels, where they can be had at once; None: not here."""
        return None

    @abstractmethod
    def _error(self, item: Item, reason: object) -> CaffeError:
        """What is wrong with an item, in one line."""

    def read(self) -> Batch:
        batch = self._next_batch or self._begin()
        self._next_batch = self._begin()
        if isinstance(batch, CaffeError):
            raise batch
        labels, places, left = zip(*results(batch.filling))
        label = torch.tensor(labels, dtype=torch.float32)
        if batch.finished:
            return Batch(batch.data, label, None, batch.state)
        data = batch.data
        for i, image in enumerate(left):
            if image is not None:
                data = data.float()
                self.transformer.cut([image], [places[i]], data[i : i + 1].numpy())
        return Batch(data, label, list(places), batch.state)

    def wait(self) -> None:
        """Wait until all that is read ahead is there."""
        if isinstance(self._next_batch, Begun):
            futures.wait(self._next_batch.filling)

    def _begin(self) -> Begun | CaffeError:
        """Decide about the next batch and set the threads to work; an error is for when its turn comes."""
        try:
            items, chances, state = self._decide()
            first = self._load(items[0])
            shape = self._shape(items[0], first[0].shape)
        except CaffeError as error:
            return error
        on_host = self.device.type == "cpu"  # a net on a GPU says so at its first forward, perhaps right now
        if on_host:
            data, transform = self._buffers.take((len(items), *shape)), self.transformer.apply
        else:
            data = self._memory((len(items), *shape), first[0].dtype == np.uint8)
            transform = self.transformer.cut

        def load(item: Item) -> tuple[NDArray, int]:
            image, label = first if item is items[0] else self._load(item)
            self._check_shape(item, image.shape, shape)
            return image, label

        def fill(items: Sequence[Item], chances: Sequence[Chance], out: NDArray) -> list[Filled]:
            filled: list[Filled] = []
            for i in range(0, len(items), TOGETHER):
                images, labels = zip(*map(load, items[i : i + TOGETHER]))
                places = [self.transformer.place(chance, image.shape) for chance, image in zip(chances[i:], images)]
                target = out[i : i + TOGETHER]
                narrow = out.dtype == np.uint8 and any(image.dtype != np.uint8 for image in images)
                if not narrow:
                    transform(images, places, target)
                filled.extend(map(Filled, labels, places, images if narrow else [None] * len(images)))
            return filled

        def fill_alike() -> list[Filled]:
            alike = self._load_alike(items)
            if alike is None:
                return fill(items, chances, data.numpy())
            images, labels = alike
            places = [self.transformer.place(chance, images.shape[1:]) for chance in chances]
            transform_alike(self.transformer, images, places, data.numpy())
            return [Filled(label, at, None) for label, at in zip(labels, places)]

        small = on_host and data.nbytes <= SMALL
        filling = [_at_once(fill_alike)] if small else self._start(fill, items, chances, data.numpy())
        return Begun(data, on_host, filling, state)

    def _memory(self, shape: tuple[int, ...], whole: bool) -> Tensor:
        """For images on their way to a GPU, of ``whole`` numbers or floats: pinned, if there is one."""
        if torch.cuda.is_available():
            return torch.empty(shape, dtype=torch.uint8 if whole else torch.float32, pin_memory=True)
        return self._buffers.take(shape, np.uint8 if whole else np.float32)

    def _decide(self) -> tuple[list[Item], list[Chance], State]:
        """The items of this process's part of the next batch, what chance says about them, and the state behind it."""
        items = [self._next() for _ in range(self.batch_size)]
        self._records += len(items)
        chances = self.transformer.draw(len(items))
        return items[self.mine], chances[self.mine], self.state()

    def state(self) -> State:
        generator = self.transformer.rng if self.transformer.random else None
        first = {"random_first": self.transformer.random_first} if self.transformer.random_first else {}
        return {"records": self._records, "rng": generator.get_state() if generator else None, **first}

    def load_state(self, state: State) -> None:
        self.transformer.random_first = state.get("random_first", 0)
        place = state["rng"]
        if (place is not None) != self.transformer.random:
            raise CaffeError("state of the data: saved by a layer with another crop_size or mirror")
        if place is not None:
            self.transformer.load_rng(place)
        self._records = state["records"]

    def _check_shape(self, item: Item, image: Sequence[int], first: tuple[int, int, int]) -> None:
        """Fail unless an image gives the shape that the batch's first one does."""
        shape = self._shape(item, image)
        if shape != first:
            raise self._error(item, f"its image gives {list(shape)}, the batch's first {list(first)}")

    def _shape(self, item: Item, image: Sequence[int]) -> tuple[int, int, int]:
        """The shape of what becomes of an item's image."""
        try:
            return self.transformer.shape(image)
        except CaffeError as error:
            raise self._error(item, error) from None


def _at_once(work: Callable[[], list[Filled]]) -> Future[list[Filled]]:
    """Work done here and now: waking a thread would take as long."""
    future: Future[list[Filled]] = Future()
    try:
        future.set_result(work())
    except CaffeError as error:  # for when the batch's turn comes
        future.set_exception(error)
    return future


def round_and_round(once: Callable[[int], Iterable[Item]], skip: int) -> Iterator[Item]:
    """Items without end. ``once(n)`` gives all but the first n; the first round leaves out ``skip``."""
    while True:
        yield from once(skip)
        skip = 0
        glog.info("data_layer.cpp:73", "Restarting data prefetching from start.")


class Reader(ImageReader[tuple[Buffer, Record]]):
    """Reads a database round and round, in key order."""

    def __init__(self, db: Database, transformer: Transformer, batch_size: int) -> None:
        super().__init__(transformer, batch_size)
        self.db = db
        self._warned = False
        self._source = round_and_round(db.records, 0)

    def first_shape(self) -> tuple[int, int, int]:
        for item in self.db.records():
            image, _ = self._load(item)
            return self._shape(item, image.shape)
        raise CaffeError(f"{self.db.path}: the database has no records")

    def load_state(self, state: State) -> None:
        super().load_state(state)
        self._source = round_and_round(self.db.records, self._records % len(self.db))

    def close(self) -> None:
        super().close()
        self.db.close()

    def _next(self) -> tuple[Buffer, Record]:
        return next(self._source)

    def _load(self, item: tuple[Buffer, Record]) -> tuple[NDArray, int]:
        try:
            datum = parse(item[1])
            if self.transformer.mode != AS_STORED and not datum.encoded and not self._warned:
                self._warned = True
                glog.error("data_transformer.cpp:166", "force_color and force_gray only for encoded datum")
            if datum.encoded and self.decoded:
                return self.decoded.get(bytes(item[0]), lambda: datum.image(self.transformer.mode)), datum.label
            return datum.image(self.transformer.mode), datum.label
        except CaffeError as error:
            raise self._error(item, error) from None

    def _load_alike(self, items: Sequence[tuple[Buffer, Record]]) -> tuple[NDArray[np.uint8], list[int]] | None:
        return parse_alike([record for _, record in items]) if self.transformer.mode == AS_STORED else None

    def _error(self, item: tuple[Buffer, Record], reason: object) -> CaffeError:
        return self.db.error(item[0], reason)
