"""A database's images held decoded in memory, the host's or a GPU's: read once, and the same batches from then on.

Data layers do so that are built within ``with held.use(device)``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import islice
from math import prod
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caffe_compat import glog
from caffe_compat.data.batches import WORKERS
from caffe_compat.data.datum import Record, copy_image, parse
from caffe_compat.data.db import Database
from caffe_compat.data.in_order import in_order
from caffe_compat.data.picture import Buffer
from caffe_compat.errors import CaffeError

CHUNK = 32  # images that a thread decodes at a time
GB = 1e9

Place = torch.device
_active: ContextVar[Place | None] = ContextVar("held", default=None)


def active() -> Place | None:
    """Where data layers that are built now hold their images; None: nowhere."""
    return _active.get()


@contextmanager
def use(place: Place | None) -> Iterator[None]:
    """Hold the images of data layers that are built within this context in the memory of a device."""
    token = _active.set(place)
    try:
        yield
    finally:
        _active.reset(token)


@dataclass(eq=False)
class HeldImages:
    """``pixels``: uint8 (images, channels, height, width) in the database's order; ``labels``: int64 (images)."""

    path: str
    pixels: Tensor
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


_held: WeakValueDictionary[tuple[str, int, Place], HeldImages] = WeakValueDictionary()


def hold(db: Database, mode: int, place: Place) -> HeldImages:
    """All images of a database, decoded as ``mode`` says; once in a process for all who hold them at the same time.

    CaffeError if there are none, if they are not bytes of one shape, or if they do not fit.
    """
    key = os.path.realpath(db.path), mode, place
    held = _held.get(key)
    if held is None:
        held = _held[key] = _read(db, mode, place)
    glog.info("held", f"Holding {len(held)} images of {db.path} in the memory of {_name(place)}")
    return held


def _read(db: Database, mode: int, place: Place) -> HeldImages:
    shape: tuple[int, ...] = ()

    def image(pair: tuple[Buffer, Record]) -> tuple[NDArray, int]:
        try:
            datum = parse(pair[1])
            pixels = datum.image(mode)
            if pixels.dtype != np.uint8 or pixels.shape != (shape or pixels.shape):
                expected = f"uint8 {list(shape)}, as the first" if shape else "uint8"
                raise CaffeError(
                    f"its image is {pixels.dtype} {list(pixels.shape)}; to be held it has to be {expected}"
                )
            return pixels, datum.label
        except CaffeError as error:
            raise db.error(pair[0], error) from None

    def decode(pairs: list[tuple[Buffer, Record]]) -> tuple[NDArray[np.uint8], list[int]]:
        chunk, labels = np.empty((len(pairs), *shape), np.uint8), []
        for pair, out in zip(pairs, chunk):
            pixels, label = image(pair)
            copy_image(pixels, out)
            labels.append(label)
        return chunk, labels

    first = next(iter(db.records()), None)
    if first is None:
        raise CaffeError(f"{db.path}: the database has no records")
    shape = image(first)[0].shape
    _check_room(db, shape, place)
    glog.info("held", f"Reading {len(db)} images, {len(db) * prod(shape) / GB:.2f} GB, to hold them")
    pixels = torch.empty((len(db), *shape), dtype=torch.uint8, device=place)
    labels = np.empty(len(db), np.int64)
    records = db.records()
    chunks = iter(lambda: list(islice(records, CHUNK)), [])
    done = 0
    with ThreadPoolExecutor(WORKERS, "hold") as pool:
        for chunk, found in in_order(pool, decode, chunks, ahead=2 * WORKERS):
            pixels[done : done + len(chunk)] = torch.from_numpy(chunk)
            labels[done : done + len(chunk)] = found
            done += len(chunk)
    return HeldImages(db.path, pixels, labels)


def _check_room(db: Database, shape: tuple[int, ...], place: Place) -> None:
    needed, there = len(db) * prod(shape), _free(place)
    if needed > there:
        images = f"{len(db)} images of {' x '.join(map(str, shape))}"
        free = f"{_name(place)} has {there / GB:.2f} GB free"
        raise CaffeError(f"{db.path}: {images} take {needed / GB:.2f} GB to hold; {free}")


def _name(place: Place) -> str:
    return "host" if place.type == "cpu" else str(place)


def _free(place: Place) -> int:
    """Bytes of a device's memory that nobody uses."""
    if place.type == "cuda":
        return torch.cuda.mem_get_info(place)[0]
    facts = Path("/proc/meminfo")
    if facts.exists():
        for line in facts.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
