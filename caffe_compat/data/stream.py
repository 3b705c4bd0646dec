"""Batches read ahead: for one layer, or once for the layers of several nets that train in turn in one process."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from weakref import WeakSet

import numpy as np

from caffe_compat.data.batches import Batch, BatchReader, State
from caffe_compat.data.decoded_images import DecodedImages
from caffe_compat.data.prefetch import Prefetcher
from caffe_compat.data.upload import uploaded

KEPT_BATCHES = 8  # whose decoded images are kept for readers that are behind


class BatchStream(Prefetcher[Batch]):
    """A reader's batches, ``depth`` of them read ahead by a thread."""

    def __init__(self, reader: BatchReader, depth: int) -> None:
        self.reader = reader
        super().__init__(lambda: uploaded(reader.read(), reader.device), depth)

    def close(self) -> None:
        """End the thread and close the reader, unless both belong to the parent of this forked child."""
        if self.alive:
            super().close()
            self.reader.close()


class Streams:
    """The streams of nets that train in turn in one process.

    Layers that would read the same batches, made of the same records by the same random decisions, have one stream,
    and get the same tensors from it, which nobody may write into. It does not matter if they come to stand at the same
    place only later. Others that read the same source have its images decoded once.
    """

    def __init__(self) -> None:
        self._streams: dict[bytes, list[_Shared]] = {}
        self._images: dict[bytes, DecodedImages] = {}

    def join(self, identity: bytes, source: bytes, reader: BatchReader, depth: int) -> Member:
        """Take part in a stream.

        Args:
            identity: the same for layers that make the same batches from the same state.
            source: the same for layers that decode the same images.
            reader: at the state where to begin; will be closed.
        """
        reader.decoded = self._images.setdefault(source, DecodedImages(KEPT_BATCHES * reader.batch_size))
        member = Member(self, identity, _place(reader.state()))
        own = _Shared(reader, depth, member.place)
        member.move(self.find(identity, member.place) or own)
        if member.stream is own:
            self._streams.setdefault(identity, []).append(own)
        else:
            own.close()
        return member

    def find(self, identity: bytes, place: bytes) -> _Shared | None:
        """A stream that has what follows on a place."""
        return next((s for s in self._streams.get(identity, []) if place in s and s.alive), None)

    def remove(self, identity: bytes, stream: _Shared) -> None:
        """Close a stream that nobody needs any more."""
        self._streams[identity].remove(stream)
        stream.close()


class _Shared:
    """A stream for several members, who are at different places of it."""

    def __init__(self, reader: BatchReader, depth: int, place: bytes) -> None:
        self.reader, self._depth = reader, depth
        self.members: WeakSet[Member] = WeakSet()
        self._batches: BatchStream | None = None
        self._first = 0  # number of the oldest batch that is kept
        self._taken: deque[Batch] = deque()
        self._places = deque([place])  # in front of each, and behind the last one
        if reader.decoded:
            reader.decoded.readers += 1

    def __contains__(self, place: bytes) -> bool:
        return place in self._places

    @property
    def alive(self) -> bool:
        return self._batches is None or self._batches.alive

    def number(self, place: bytes) -> int:
        """The number of the batch that follows on a place."""
        return self._first + self._places.index(place)

    def get(self, number: int) -> tuple[Batch, bytes]:
        """A batch, and the place behind it."""
        if number == self._first + len(self._taken):
            if self._batches is None:
                self._batches = BatchStream(self.reader, self._depth)
            batch = self._batches.get()
            self._taken.append(batch)
            self._places.append(_place(batch.state))
            # The newest one is kept for those who are about to join, though all members may have had it.
            while len(self._taken) > 1 and self._first < min((m.number for m in self.members), default=number):
                self._taken.popleft()
                self._places.popleft()
                self._first += 1
        at = number - self._first
        return self._taken[at], self._places[at + 1]

    def close(self) -> None:
        if self.reader.decoded:
            self.reader.decoded.readers -= 1
        if self._batches is None:
            self.reader.close()
        else:
            self._batches.close()


class Member:
    """One layer's part in a shared stream, with the methods of ``BatchStream``.

    Attributes:
        stream, number: which stream, and which of its batches comes next.
        place: the state that this one follows on, as a digest.
    """

    def __init__(self, streams: Streams, identity: bytes, place: bytes) -> None:
        self._streams, self._identity, self.place = streams, identity, place
        self.stream: _Shared
        self.number = 0

    @property
    def alive(self) -> bool:
        """False in a forked child."""
        return self.stream.alive

    @property
    def reader(self) -> BatchReader:
        """The one who reads for all members of the stream."""
        return self.stream.reader

    def get(self) -> Batch:
        """The next batch; waits for it."""
        other = self._streams.find(self._identity, self.place)
        if other is not None and other is not self.stream:
            self.close()
            self.move(other)
        batch, self.place = self.stream.get(self.number)
        self.number += 1
        return batch

    def move(self, stream: _Shared) -> None:
        """Go over to a stream that has what comes next."""
        self.stream, self.number = stream, stream.number(self.place)
        stream.members.add(self)

    def close(self) -> None:
        """Leave the stream; the last one ends it."""
        if self.alive and self in self.stream.members:
            self.stream.members.remove(self)
            if not self.stream.members:
                self._streams.remove(self._identity, self.stream)


def _place(state: State) -> bytes:
    """A digest of a reader's state: equal for equal states."""
    digest = hashlib.sha1(usedforsecurity=False)
    for name, value in sorted(state.items()):
        content = value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
        digest.update(b"%s %d " % (name.encode(), len(content)) + content)
    return digest.digest()


_active: ContextVar[Streams | None] = ContextVar("streams", default=None)


def active() -> Streams | None:
    """Where layers that are built now look for a stream; None: each has its own."""
    return _active.get()


@contextmanager
def shared() -> Iterator[Streams]:
    """Let layers that are built within this context share their streams."""
    streams = Streams()
    token = _active.set(streams)
    try:
        yield streams
    finally:
        _active.reset(token)


def separate() -> None:
    """Let layers that are built from now on in the current ``contextvars.Context`` have streams of their own."""
    _active.set(None)
