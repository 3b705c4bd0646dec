"""The window files of R-CNN: images, and boxes in them that show objects or background."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caffe_compat import glog
from caffe_compat.errors import CaffeError

HEADER = ("#", "image index", "path", "channels", "height", "width", "number of windows")
WINDOW = "label, overlap, x1, y1, x2, y2"

# Columns of the arrays of windows.
LINE, IMAGE, LABEL, X1, Y1, X2, Y2 = range(7)

Lines = Iterator[tuple[int, str]]  # with their numbers, without empty ones


@dataclass
class WindowFile:
    """``images``: path and line of each; ``background``, ``foreground``: int32 (windows, 7), in the file's order."""

    path: str
    images: list[tuple[str, int]]
    background: NDArray[np.int32]
    foreground: NDArray[np.int32]


def read_windows(path: str, root: str, bg_threshold: float, fg_threshold: float) -> WindowFile:
    """Read a window file, the names of its images put behind ``root``.

    For each image the file has ``# index``, path, channels, height, width and the number of windows, then each window
    in a line of its own: label, overlap, x1, y1, x2, y2. A window is foreground if its overlap is at least
    ``fg_threshold``, otherwise background, with label 0, if it is below ``bg_threshold``; the others do not count.
    """
    images: list[tuple[str, int]] = []
    parts: list[list[NDArray[np.int32]]] = [[], []]
    try:
        with Path(path).open(encoding="utf-8", errors="surrogateescape") as file:
            lines = ((number, line) for number, line in enumerate(file, 1) if not line.isspace())
            for number, line in lines:
                header = _header(path, number, line, lines)
                if header[1] != str(len(images)):
                    raise CaffeError(f"{path}:{number}: image index: {header[1]}; expected {len(images)}")
                if header[3] != "3":
                    raise CaffeError(f"{path}:{number}: channels: {header[3]}; expected 3: images are read in colour")
                windows, overlaps = _windows(path, len(images), int(header[6]), lines)
                is_object = overlaps >= np.float32(fg_threshold)
                for window in windows[is_object & (windows[:, LABEL] < 1)]:
                    raise CaffeError(f"{path}:{window[LINE]}: label: {window[LABEL]}; expected more than 0")
                is_background = ~is_object & (overlaps < np.float32(bg_threshold))
                windows[is_background, LABEL] = 0
                for part, kind in zip(parts, (is_background, is_object)):
                    part.append(windows[kind])
                if len(images) % 100 == 0:
                    size = f"{' '.join(header[3:6])} windows to process: {header[6]}"
                    glog.info("window_data_layer.cpp:147", f"num: {header[1]} {root}{header[2]} {size}")
                images.append((root + header[2], number))
    except OSError as error:
        raise CaffeError(f"{path}: cannot read the window file: {error.strerror}") from None
    if not images:
        raise CaffeError(f"{path}: the window file is empty")
    return WindowFile(path, images, *map(np.concatenate, parts))


def _header(path: str, number: int, line: str, lines: Lines) -> list[str]:
    """The words of HEADER, which ``line`` begins, in one line or several."""
    words = line.split()
    while len(words) < len(HEADER):
        number, line = next(lines, (number, ""))
        if not line:
            raise CaffeError(f"{path}:{number}: the file ends early; expected {HEADER[len(words)]}")
        words += line.split()
    if words[0] != "#" or len(words) > len(HEADER) or not all(words[i].isdecimal() for i in (1, 3, 4, 5, 6)):
        raise CaffeError(f"{path}:{number}: {' '.join(words)!r}; expected {', '.join(HEADER)}")
    return words


def _windows(path: str, image: int, count: int, lines: Lines) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The windows of an image, and their overlaps."""
    numbered = list(islice(lines, count))
    if len(numbered) < count:
        raise CaffeError(f"{path}: the file ends early; image {image} has {len(numbered)} windows, expected {count}")
    try:
        values = _numbers([line for _, line in numbered])
    except ValueError:
        for number, line in numbered:
            try:
                _numbers([line])
            except ValueError:
                raise CaffeError(f"{path}:{number}: {line.strip()!r}; expected {WINDOW}") from None
        raise
    windows = np.empty((count, 7), np.int32)
    windows[:, LINE] = [number for number, _ in numbered]
    windows[:, IMAGE] = image
    windows[:, LABEL:] = values[:, [0, 2, 3, 4, 5]]
    return windows, values[:, 1].astype(np.float32)


def _numbers(lines: list[str]) -> NDArray[np.float64]:
    """The columns of WINDOW. ValueError if they are not numbers or, except for the overlap, not integers."""
    values = np.loadtxt(lines, comments=None, ndmin=2) if lines else np.empty((0, 6))
    values = values.reshape(len(lines), 6)
    integers = values[:, [0, 2, 3, 4, 5]]
    if not (np.abs(integers) < 2**31).all() or (integers % 1).any():
        raise ValueError
    return values
