"""From a window file to batches: windows picked at random, cut out with their context and warped to a square."""

from __future__ import annotations

from math import copysign, floor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from caffe_compat.data.batches import Batch, BatchReader, State
from caffe_compat.data.picture import COLOR, decode, resize
from caffe_compat.data.transform import Transformer, restored
from caffe_compat.data.window_file import IMAGE, LABEL, LINE, X1, X2, Y1, Y2, WindowFile
from caffe_compat.errors import CaffeError
from caffe_compat.rng import Rng

f32 = np.float32


class Region(NamedTuple):
    """A part of an image, its last row and column included, and its place and size in the output."""

    x1: int
    y1: int
    x2: int
    y2: int
    left: int
    top: int
    width: int
    height: int


class WindowReader(BatchReader):
    """Each batch has windows of the background, then int(batch_size * fg_fraction) of the foreground.

    For each one the generator says which it is and then, if ``mirror`` is set, whether it is mirrored.
    """

    def __init__(self, windows: WindowFile, transformer: Transformer, param: Any) -> None:
        """``param``: a WindowDataParameter."""
        super().__init__(transformer, param.batch_size)
        self.windows, self.param, self.crop = windows, param, transformer.crop
        if not self.crop:
            raise CaffeError("transform_param.crop_size: 0; expected the size of the output")
        if param.crop_mode not in ("warp", "square"):
            raise CaffeError(f"window_data_param.crop_mode: {param.crop_mode!r}; expected warp or square")
        if 2 * param.context_pad >= self.crop:
            raise CaffeError(f"window_data_param.context_pad: {param.context_pad}; crop_size {self.crop} is too small")
        objects = int(f32(self.batch_size) * f32(param.fg_fraction))
        if not 0 <= objects <= self.batch_size:
            raise CaffeError(f"window_data_param.fg_fraction: {param.fg_fraction:g}; expected 0 to 1")
        self._kinds = [windows.background] * (self.batch_size - objects) + [windows.foreground] * objects
        for name, kind, wanted in (
            ("background", windows.background, self.batch_size - objects),
            ("foreground", windows.foreground, objects),
        ):
            if wanted and not len(kind):
                raise CaffeError(f"{windows.path}: no window is {name}, but a batch has {wanted}")
        self._mean = self._cut_mean()
        self._files = [self._read(image) for image in range(len(windows.images))] if param.cache_images else None
        self._rng = Rng(0)

    def _cut_mean(self) -> NDArray[np.float32]:
        """The mean for each pixel of the output; the column offset serves for the rows, too."""
        transformer, shape = self.transformer, (3, self.crop, self.crop)
        if transformer.mean_file:
            mean = transformer.mean
            offset = (mean.shape[2] - self.crop) // 2
            mean = mean[:, max(0, offset) :, max(0, offset) :][:, : self.crop, : self.crop]
            if offset < 0 or mean.shape != shape:
                raise CaffeError(
                    f"mean_file: {transformer.mean_file} is of shape {list(transformer.mean.shape)}; expected "
                    f"[3, rows, columns] with {self.crop} rows and columns from {max(0, offset)} on"
                )
            return mean
        if len(transformer.mean_values) not in (0, 1, 3):
            raise CaffeError(
                f"mean_value: {len(transformer.mean_values)} values; expected 1 or 3, one for each channel"
            )
        values = transformer.mean_values if len(transformer.mean_values) else np.zeros(1, f32)
        return np.broadcast_to(values[:, None, None], shape)

    def seed(self, seed: int) -> None:
        """Start the generator."""
        self._rng = Rng(seed)

    def first_shape(self) -> tuple[int, int, int]:
        return (3, self.crop, self.crop)

    def read(self) -> Batch:
        self._records += self.batch_size
        picks, mirrors = [], []
        for kind in self._kinds:
            picks.append(kind[self._rng.next_u32() % len(kind)])
            mirrors.append(self.transformer.mirror and self._rng.next_u32() % 2 == 1)
        picks, mirrors = picks[self.mine], mirrors[self.mine]
        data = self._buffers.take((len(picks), *self.first_shape()))
        self._in_parallel(self._render, picks, mirrors, data.numpy())
        labels = torch.tensor([pick[LABEL] for pick in picks], dtype=torch.float32)
        return Batch(data, labels, None, self.state())

    def state(self) -> State:
        return {"records": self._records, "rng": self._rng.get_state()}

    def load_state(self, state: State) -> None:
        self._rng = restored(state["rng"], Rng(0))
        self._records = state["records"]

    def _render(self, window: NDArray[np.int32], mirror: bool, out: NDArray[np.float32]) -> None:
        """Write a window's pixels into ``out`` (3, crop, crop), zeros where it reaches outside of its image."""
        name, line = self.windows.images[window[IMAGE]]
        image = decode(self._files[window[IMAGE]] if self._files else self._read(window[IMAGE]), COLOR)
        if image is None:
            raise CaffeError(f"{self.windows.path}:{line}: cannot decode {name!r}; expected a picture")
        _, height, width = image.shape
        at = self._region(window, height, width, mirror)
        inside = 0 <= at.x1 <= at.x2 < width and 0 <= at.y1 <= at.y2 < height
        if not inside or at.width < 1 or at.height < 1:
            wrong = "has no pixel left with its context" if inside else "does not lie"
            raise CaffeError(
                f"{self.windows.path}:{window[LINE]}: window {window[X1:].tolist()} (x1, y1, x2, y2) {wrong} in "
                f"{name!r} of {width} x {height} pixels"
            )
        part = resize(image[:, at.y1 : at.y2 + 1, at.x1 : at.x2 + 1], at.height, at.width)
        place = slice(None), slice(at.top, at.top + at.height), slice(at.left, at.left + at.width)
        out[...] = 0
        out[place] = part[:, :, ::-1] if mirror else part
        out[place] -= self._mean[place]
        out[place] *= f32(self.param.scale)

    def _region(self, window: NDArray[np.int32], height: int, width: int, mirror: bool) -> Region:
        """What is cut out for a window: itself or, with padding or as a square, more around it, as far as there is.

        The window is enlarged so that, warped, it has ``context_pad`` pixels of context on each side. All arithmetic is
        in single precision, as Caffe's.
        """
        x1, y1, x2, y2 = window[[X1, Y1, X2, Y2]].tolist()
        crop, pad, square = self.crop, self.param.context_pad, self.param.crop_mode == "square"
        if not pad and not square:
            return Region(x1, y1, x2, y2, 0, 0, crop, crop)
        enlarge = f32(crop) / f32(crop - 2 * pad)
        half_width, half_height = f32(x2 - x1 + 1) / f32(2), f32(y2 - y1 + 1) / f32(2)
        centre_x, centre_y = f32(x1) + half_width, f32(y1) + half_height
        if square:
            half_width = half_height = max(half_width, half_height)
        x1, x2, left, right, columns = _clip(centre_x, half_width * enlarge, width, crop)
        y1, y2, top, _, rows = _clip(centre_y, half_height * enlarge, height, crop)
        left = right if mirror else left
        return Region(x1, y1, x2, y2, left, top, min(columns, crop - left), min(rows, crop - top))

    def _read(self, image: int) -> bytes:
        name, line = self.windows.images[image]
        try:
            return Path(name).read_bytes()
        except (OSError, ValueError) as error:  # ValueError: a null byte
            raise CaffeError(f"{self.windows.path}:{line}: cannot read {name!r}: {error}") from None


def _clip(centre: np.float32, half: np.float32, size: int, crop: int) -> tuple[int, int, int, int, int]:
    """One axis of a region: first and last pixel in the image; padding before, after, and extent in the output."""
    first, last = _round(centre - half), _round(centre + half)
    scale = f32(crop) / f32(max(1, last - first + 1))
    before, after = max(0, -first), max(0, last - size + 1)
    first, last = first + before, last - after
    left, right, extent = (_round(f32(count) * scale) for count in (before, after, last - first + 1))
    return first, last, left, right, extent


def _round(value: np.float32) -> int:
    """C's round: halves go away from zero."""
    return int(copysign(floor(abs(float(value)) + 0.5), value))
