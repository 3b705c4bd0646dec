"""IDX files: round trips, and what is wrong with damaged ones."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from caffe_compat.errors import CaffeError
from yosinski.idx import read_idx, write_idx

HEADER = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3])


@pytest.mark.parametrize("shape", [(5,), (0,), (3, 28, 28), (2, 0, 4)])
def test_round_trip(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    write_idx(tmp_path / "x.gz", array)
    back = read_idx(tmp_path / "x.gz")
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, array)


def test_plain_file_of_the_format(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(HEADER + bytes(range(6)))
    np.testing.assert_array_equal(read_idx(tmp_path / "x"), [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "starts with nothing"),
        (b"\x00\x00\x0d\x01\x00\x00\x00\x00", "not an IDX file of bytes: it starts with 00 00 0d 01"),
        (HEADER[:9], "truncated inside its header"),
        (HEADER + bytes(5), r"5 bytes of data; its shape \[2, 3\] needs 6"),
        (HEADER + bytes(7), r"7 bytes of data; its shape \[2, 3\] needs 6"),
    ],
)
def test_wrong_content(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(CaffeError, match=message):
        read_idx(tmp_path / "x")


def test_damaged_gzip(tmp_path: Path) -> None:
    packed = gzip.compress(HEADER + bytes(6))
    for content in (packed[:-9], b"no gzip", packed[:12] + b"\xff\xff" + packed[14:]):
        (tmp_path / "x.gz").write_bytes(content)
        with pytest.raises(CaffeError, match=r"x\.gz: cannot read: "):
            read_idx(tmp_path / "x.gz")


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(CaffeError, match="none: cannot read: No such file or directory"):
        read_idx(tmp_path / "none")
