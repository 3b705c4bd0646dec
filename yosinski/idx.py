"""IDX, the file format of MNIST and Fashion-MNIST: a magic number, the dimensions, then unsigned bytes.

The magic is two zero bytes, the element type (8: unsigned byte) and the number of dimensions; each dimension is a
big-endian 32-bit number. Source: the format's description on the MNIST page.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caffe_compat.atomic import writing
from caffe_compat.errors import CaffeError

UNSIGNED_BYTE = 8


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array in an IDX file, with or without gzip. CaffeError if it is missing, damaged, or not of bytes."""
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise CaffeError(f"{path}: cannot read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) < 4 or content[:3] != bytes([0, 0, UNSIGNED_BYTE]):
        raise CaffeError(f"{path}: not an IDX file of bytes: it starts with {content[:4].hex(' ') or 'nothing'}")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise CaffeError(f"{path}: truncated inside its header")
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    if len(content) - start != prod(shape):
        raise CaffeError(f"{path}: {len(content) - start} bytes of data; its shape {list(shape)} needs {prod(shape)}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    """Write an IDX file with gzip, without a time stamp."""
    header = struct.pack(f">4B{array.ndim}I", 0, 0, UNSIGNED_BYTE, array.ndim, *array.shape)
    with writing(path) as temporary:
        temporary.write_bytes(gzip.compress(header + array.tobytes(), compresslevel=9, mtime=0))
