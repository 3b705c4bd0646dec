"""One stream for several layers: the same tensors for those who want the same, whatever place they begin at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from caffe_compat import rng
from caffe_compat.data import stream
from caffe_compat.data.datum import serialize
from caffe_compat.data.db import create_db
from caffe_compat.data.decoded_images import DecodedImages
from caffe_compat.data.stream import Member
from caffe_compat.errors import CaffeError
from caffe_compat.layers.prefetching import PrefetchingLayer
from caffe_compat.layers.registry import create_layer
from caffe_compat.proto import caffe_pb2, text

RECORDS = 10


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(1)
    with create_db("db", "lmdb") as db:
        for i in range(RECORDS):
            pixels = random.integers(0, 256, (1, 6, 6), np.uint8).tobytes()
            db.put(b"%d" % i, serialize(caffe_pb2.Datum(channels=1, height=6, width=6, data=pixels, label=i)))


def layer(seed: int = 1, name: str = "data", crop: int = 4, source: str = "db", prefetch: int = 2) -> PrefetchingLayer:
    """A layer that is ready."""
    definition = f"""name: "{name}" type: "Data" top: "{name}" top: "label" transform_param {{ crop_size: {crop} }}
        data_param {{ source: "{source}" batch_size: 3 prefetch: {prefetch} }}"""
    made: Any = create_layer(text.parse(definition, caffe_pb2.LayerParameter, source="test"), caffe_pb2.TRAIN)
    rng.set_random_seed(seed)
    made.setup([])
    return made


def batches(one: PrefetchingLayer, count: int) -> list[torch.Tensor]:
    return [one.forward()[0].clone() for _ in range(count)]


def member(one: PrefetchingLayer) -> Member:
    assert isinstance(one._batches, Member)
    return one._batches


def test_the_same_tensors_for_the_same_seeds() -> None:
    alone = {seed: batches(layer(seed), 8) for seed in (1, 2)}
    with stream.shared():
        layers = [layer(1, "a"), layer(1, "b"), layer(2), layer(1, crop=5)]
        for i in range(8):
            tops = [one.forward() for one in layers]
            assert tops[0][0] is tops[1][0] and tops[0][1] is tops[1][1]
            assert torch.equal(tops[0][0], alone[1][i])
            assert torch.equal(tops[2][0], alone[2][i])
            assert tops[3][0].shape == (3, 1, 5, 5)
            assert member(layers[0]).stream is member(layers[1]).stream is not member(layers[2]).stream
            assert len(member(layers[0]).stream._taken) <= 2  # what both have had is gone
        layers[0].close()
        assert torch.equal(layers[1].forward()[0], batches(layer(1), 9)[8])
        for one in layers:
            one.close()


def test_those_who_come_to_the_same_place_later_share_from_there() -> None:
    alone = batches(layer(), 9)
    other = layer()
    batches(other, 4)
    state = other.data_state()
    with stream.shared():
        ahead, behind = layer(), layer()
        ahead.load_data_state(state)
        assert member(ahead).stream is not member(behind).stream
        for i in range(4):
            assert torch.equal(behind.forward()[0], alone[i])
        for i in range(4, 9):
            tops = [one.forward()[0] for one in (ahead, behind)]
            assert tops[0] is tops[1]
            assert torch.equal(tops[0], alone[i])
        assert member(ahead).stream is member(behind).stream
        ahead.close()
        behind.close()


def test_one_who_stops_takes_nothing_away() -> None:
    alone = batches(layer(), 6)
    with stream.shared() as streams:
        layers = [layer(), layer(), layer()]
        assert all(torch.equal(one.forward()[0], alone[0]) for one in layers)
        layers[0].close()  # whose reader it was
        layers[0].close()
        for i in range(1, 6):
            assert all(torch.equal(one.forward()[0], alone[i]) for one in layers[1:])
        for one in layers[1:]:
            one.close()
        assert not any(streams._streams.values())


def test_an_error_is_everybodys_own() -> None:
    with create_db("bad", "lmdb") as db:
        for i in range(RECORDS):
            size = 6 if i < 5 else 2
            db.put(b"%d" % i, serialize(caffe_pb2.Datum(channels=1, height=size, width=size, data=bytes(size * size))))
    with stream.shared():
        layers = [layer(name=name, source="bad") for name in ("a", "b")]
        for one in layers:
            one.forward()
        for one in layers:
            with pytest.raises(CaffeError, match=rf"^layer '{one.name}': bad: record '5'"):
                one.forward()
            one.close()


def test_the_unseeded_generator_is_nobody_elses() -> None:
    from caffe_compat import compat

    with compat.use("2014"), stream.shared():
        first = layer()
        first.forward()
        assert not isinstance(first._batches, Member)
        first.close()


def test_images_stay_until_all_have_had_them() -> None:
    images, decoded = DecodedImages(limit=3), []

    def image(key: int) -> Any:
        return images.get(key, lambda: decoded.append(key) or np.full(2, key))

    assert image(1)[0] == 1 and image(1)[0] == 1
    assert decoded == [1, 1]  # nobody else is there
    images.readers = 2
    decoded.clear()
    assert image(1) is image(1)
    assert decoded == [1]
    image(1)
    assert decoded == [1, 1]  # both had had it
    for key in (2, 3, 4, 1):
        image(key)
    assert decoded == [1, 1, 2, 3, 4, 1]  # 1 was the oldest of more than three

    def broken() -> Any:
        raise CaffeError("no picture")

    for _ in range(2):
        with pytest.raises(CaffeError, match="no picture"):
            images.get(9, broken)
