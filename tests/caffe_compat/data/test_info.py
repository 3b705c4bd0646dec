"""What ``describe`` says about the golden databases."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from caffe_compat.data.datum import serialize
from caffe_compat.data.db import create_db
from caffe_compat.data.info import describe
from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2


def test_raw_leveldb(golden: Path) -> None:
    raw = describe(golden / "data" / "leveldb_32")
    assert (raw.backend, raw.records, raw.encoded, raw.shapes) == ("leveldb", 24, 0, Counter({(3, 32, 32): 24}))
    assert raw.label_range == (0, 53)
    assert raw.first_keys == ["00000000_chelsea_0.jpg", "00000001_chelsea_1.png", "00000002_chelsea_2.jpg"]


def test_encoded(golden: Path) -> None:
    encoded = describe(golden / "data" / "lmdb_encoded")
    assert (encoded.backend, encoded.records, encoded.encoded) == ("lmdb", 24, 24)
    assert {shape[0] for shape in encoded.shapes} == {1, 3, 4}
    assert encoded.bytes == (golden / "data" / "lmdb_encoded" / "data.mdb").stat().st_size


def test_labels_are_counted(make_db) -> None:
    images = [np.zeros((1, 1, 1), np.uint8)] * 3
    assert describe(make_db(images)).labels == Counter({0: 1, 1: 1, 2: 1})
    assert describe(make_db([], name="empty")).label_range is None


def test_broken_record_is_named(tmp_path: Path) -> None:
    with create_db(tmp_path / "db", "lmdb") as db:
        db.put(b"a", serialize(caffe_pb2.Datum(channels=1, height=1, width=1, data=b"x")))
        db.put(b"b\xff", b"garbage")
    with pytest.raises(CaffeError, match=r"db: record 'b\\\\xff': its 7 bytes are not a Datum"):
        describe(tmp_path / "db")
