"""From a list of picture files and labels to batches."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caffe_compat.data.batches import State
from caffe_compat.data.picture import read_picture, resize
from caffe_compat.data.reader import ImageReader
from caffe_compat.data.transform import Transformer, restored
from caffe_compat.errors import CaffeError
from caffe_compat.rng import Rng


class ImageListReader(ImageReader[int]):
    """Reads the pictures of a list round and round, in its order or shuffled anew each time.

    Each line is split at its last blank: what comes before, behind ``root``, is the file's name; the label is what C's
    ``atoi`` makes of the rest, 0 if need be. Items are line numbers, from 0.
    """

    def __init__(
        self,
        path: str,
        root: str,
        mode: int,
        size: tuple[int, int] | None,
        transformer: Transformer,
        batch_size: int,
    ) -> None:
        """``mode``: COLOR or GRAY. ``size``: (height, width) that pictures are resized to, or None to leave them."""
        super().__init__(transformer, batch_size)
        self.path, self.root, self.mode, self.size = path, root, mode, size
        try:
            text = Path(path).read_bytes().decode("utf-8", "surrogateescape")
        except OSError as error:
            raise CaffeError(f"{path}: cannot read the list: {error.strerror}") from None
        if not text:
            raise CaffeError(f"{path}: the list is empty")
        self._lines = text.removesuffix("\n").split("\n")
        self._order: NDArray[np.int32] = np.arange(len(self._lines), dtype=np.int32)
        self._position = 0
        self._shuffler: Rng | None = None

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self._lines)

    def shuffle(self, seed: int) -> None:
        """Shuffle the list with a generator of that seed, now and whenever it is exhausted."""
        self._shuffler = Rng(seed)
        self._shuffle()

    def skip(self, count: int) -> None:
        """Begin behind the first ``count`` pictures, which has to leave some."""
        self._position = count

    def first_shape(self) -> tuple[int, int, int]:
        line = int(self._order[self._position])
        return self._shape(line, self._load(line)[0].shape)

    def state(self) -> State:
        shuffled = {"order": self._order, "shuffler": self._shuffler.get_state()} if self._shuffler else {}
        return {**super().state(), "position": self._position, **shuffled}

    def load_state(self, state: State) -> None:
        order = state.get("order", self._order)
        if len(order) != len(self) or not 0 <= state.get("position", -1) < len(self):
            raise CaffeError(f"state of the data: saved by a layer with another list than {self.path}")
        super().load_state(state)
        self._order, self._position = order, state["position"]
        self._shuffler = restored(state["shuffler"], Rng(0)) if "shuffler" in state else None

    def _shuffle(self) -> None:
        assert self._shuffler is not None
        order = self._order.tolist()
        self._shuffler.shuffle(order)
        self._order = np.array(order, np.int32)  # a new array, since states of earlier batches hold the old one

    def _next(self) -> int:
        line = int(self._order[self._position])
        self._position += 1
        if self._position == len(self):
            self._position = 0
            if self._shuffler:
                self._shuffle()
        return line

    def _load(self, item: int) -> tuple[NDArray, int]:
        blank = self._lines[item].rfind(" ")
        name = self._lines[item][: blank if blank >= 0 else None]
        try:
            image = read_picture(Path(self.root + name).read_bytes(), self.mode)
        except (OSError, ValueError) as error:  # ValueError: a null byte
            raise self._error(item, f"cannot read {self.root + name!r}: {error}") from None
        if image is None:
            raise self._error(item, f"cannot decode {self.root + name!r}; expected a picture")
        return (resize(image, *self.size) if self.size else image), _atoi(self._lines[item][blank + 1 :])

    def _error(self, item: int, reason: object) -> CaffeError:
        return CaffeError(f"{self.path}:{item + 1}: {reason}")


def _atoi(text: str) -> int:
    """The number that text begins with, as C's function of that name has it: 0 if there is none, 32 bits."""
    found = re.match(r"[ \t\n\v\f\r]*([+-]?[0-9]+)", text)
    value = min(max(int(found[1]), -(2**63)), 2**63 - 1) if found else 0
    return (value + 2**31) % 2**32 - 2**31
