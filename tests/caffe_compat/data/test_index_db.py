"""An index over an LMDB: the same images as a database written in its order, with its labels."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from caffe_compat import rng as caffe_rng
from caffe_compat.data.convert import convert_imageset
from caffe_compat.data.datum import parse
from caffe_compat.data.db import open_db
from caffe_compat.data.index_db import IndexDb, materialise, write_index
from caffe_compat.data.info import describe
from caffe_compat.errors import CaffeError
from caffe_compat.layers.registry import create_layer
from caffe_compat.proto import caffe_pb2, text

COUNT = 11


@pytest.fixture
def base(tmp_path: Path, rng: np.random.Generator) -> Path:
    """An LMDB of pictures as convert_imageset makes it, one of them unreadable."""
    import cv2

    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i in range(COUNT):
        cv2.imwrite(str(pictures / f"a picture {i}.png"), rng.integers(0, 256, (8, 8, 3), np.uint8))
    (pictures / "a picture 4.png").write_bytes(b"none")
    (tmp_path / "list").write_text("".join(f"a picture {i}.png {i}\n" for i in range(COUNT)))
    convert_imageset(pictures, tmp_path / "list", tmp_path / "db")
    return tmp_path / "db"


LINES = [(9, 2), None, (0, 0), (10, 1), (3, 0), (2, 2)]  # the picture's number, and its new label


@pytest.fixture
def index(base: Path) -> Path:
    path = base.parent / "some" / "half.index"
    write_index(path, base, [line and (b"%08d_a picture %d.png" % (line[0], line[0]), line[1]) for line in LINES])
    return path


def images(path: Path, skip: int = 0) -> list[tuple[bytes, int]]:
    with open_db(path) as db:
        found = [parse(record) for _, record in db.records(skip)]
        return [(datum.image().tobytes(), datum.label) for datum in found]


def test_order_and_labels(base: Path, index: Path) -> None:
    whole = dict(zip([i for i in range(COUNT) if i != 4], images(base)))
    assert images(index) == [(whole[line[0]][0], line[1]) for line in LINES if line]
    assert images(index, skip=3) == images(index)[3:]
    assert images(index, skip=5) == []
    with IndexDb(str(index)) as db:
        assert len(db) == 5
        assert list(db.entries())[1] == (2, b"00000000_a picture 0.png", 0)


def test_materialised_equals_convert_imageset(index: Path, tmp_path: Path) -> None:
    """Holes included: an unreadable picture leaves its number out there as well."""
    names = [f"a picture {line[0]}.png {line[1]}" if line else "a picture 4.png 0" for line in LINES]
    (tmp_path / "half").write_text("\n".join(names) + "\n")
    convert_imageset(tmp_path / "pictures", tmp_path / "half", tmp_path / "converted")
    assert materialise(index, tmp_path / "materialised") == 5
    with open_db(tmp_path / "converted") as theirs, open_db(tmp_path / "materialised") as ours:
        assert list(map(bytes_of, ours.records())) == list(map(bytes_of, theirs.records()))


def bytes_of(pair: tuple[memoryview, memoryview]) -> tuple[bytes, bytes]:
    return bytes(pair[0]), bytes(pair[1])


def test_data_layer_feeds_the_same_batches_for_three_epochs(index: Path, tmp_path: Path) -> None:
    materialise(index, tmp_path / "materialised")
    streams = []
    for source in (index, tmp_path / "materialised"):
        definition = f"""name: "data" type: "Data" top: "data" top: "label"
            transform_param {{ mirror: true crop_size: 5 }} data_param {{ source: "{source}" batch_size: 3 }}"""
        caffe_rng.set_random_seed(7)
        layer = create_layer(text.parse(definition, caffe_pb2.LayerParameter), caffe_pb2.TRAIN)
        layer.setup([])
        batches = [layer.forward() for _ in range(5)]
        streams.append([(data.numpy().tobytes(), label.tolist()) for data, label in batches])
        layer.close()
    assert streams[0] == streams[1]
    assert streams[0][0][1] + streams[0][1][1] == [2, 0, 1, 0, 2, 2]


def test_moves_with_its_database(base: Path, index: Path, tmp_path: Path) -> None:
    before = images(index)
    (tmp_path / "elsewhere").mkdir()
    for path in (base, index.parent):
        path.rename(tmp_path / "elsewhere" / path.name)
    assert images(tmp_path / "elsewhere" / "some" / "half.index") == before


def test_many_records(base: Path, tmp_path: Path) -> None:
    """More than are looked up at a time, some of them several times."""
    order = np.random.default_rng(3).choice([0, 1, 2, 3, 5], 500).tolist()
    write_index(tmp_path / "x", base, [(b"%08d_a picture %d.png" % (i, i), i) for i in order])
    assert [label for _, label in images(tmp_path / "x")] == order


def test_description(index: Path) -> None:
    found = describe(index)
    assert (found.backend, found.records, found.bytes) == ("index", 5, index.stat().st_size)
    assert dict(found.labels) == {2: 2, 0: 2, 1: 1}


def test_base_without_the_record(base: Path, tmp_path: Path) -> None:
    write_index(tmp_path / "x", base, [(b"00000004_a picture 4.png", 0)])
    with pytest.raises(CaffeError, match=r"record '00000004_a picture 4\.png': not in .*db: this index belongs to"):
        images(tmp_path / "x")
    with pytest.raises(CaffeError, match="not in"):
        materialise(tmp_path / "x", tmp_path / "out")
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "neither a folder nor an index"),
        (b"picture", "neither a folder nor an index"),
        (b"index of db", "truncated index"),
        (b"index of db\n00000000_a picture 0.png", "truncated index"),
        (b"index of nowhere\n", "no LMDB .*nowhere"),
        (b"index of db\n\nkey\n", r"x:3: expected a key, a blank and a label"),
        (b"index of db\nkey 1.5\n", r"x:2: expected a key"),
    ],
)
def test_wrong_index(base: Path, tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(CaffeError, match=message):
        images(tmp_path / "x")


def test_unreadable_index(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    (tmp_path / "x").write_bytes(b"")
    (tmp_path / "x").chmod(0)
    with pytest.raises(CaffeError, match="cannot read the index: Permission denied"):
        open_db(tmp_path / "x")
