"""The Data layer: Caffe's batches bit for bit, resuming, forking, and one line for everything that is wrong."""

from __future__ import annotations

import gc
import json
import os
import threading
import time
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from caffe_compat import glog, rng
from caffe_compat.data.datum import serialize
from caffe_compat.data.db import create_db, open_db
from caffe_compat.data.mean import write_mean
from caffe_compat.data.reader import Reader
from caffe_compat.data.transform import Transformer
from caffe_compat.errors import CaffeError
from caffe_compat.layers.data import Data
from caffe_compat.proto import caffe_pb2, text

GOLDEN = Path(__file__).parents[2] / "golden"


def cases(group: str) -> list[dict]:
    return json.loads((GOLDEN / group / "index.json").read_text())["cases"]


DATA_CASES = [case for case in cases("data") if case["name"].startswith(("lmdb_", "leveldb_"))]
RNG_CASES = [case for case in cases("rng") if case["kind"] == "data"]


def load(prototxt: Path, seed: int | None) -> Data:
    net = text.parse(prototxt.read_text(), caffe_pb2.NetParameter, str(prototxt))
    if seed is not None:
        rng.set_random_seed(seed)
    layer = Data(net.layer[0], net.state.phase)
    layer.setup([])
    return layer


def make(source: Path | str, transform: str = "", phase: int = caffe_pb2.TRAIN, **data: object) -> Data:
    fields = " ".join(f"{name}: {value}" for name, value in {"batch_size": 2, **data}.items())
    layer = Data(
        text.parse(
            f'name: "data" type: "Data" top: "data" top: "label" data_param {{ source: "{source}" {fields} }} '
            f"transform_param {{ {transform} }}",
            caffe_pb2.LayerParameter,
        ),
        phase,
    )
    layer.setup([])
    return layer


def write(path: Path, data: list[caffe_pb2.Datum]) -> Path:
    with create_db(path, "lmdb") as db:
        for i, datum in enumerate(data):
            db.put(b"%04d" % i, serialize(datum))
    return path


def raw(shape: tuple[int, int, int] = (1, 2, 2), label: int = 0) -> caffe_pb2.Datum:
    channels, height, width = shape
    data = bytes(range(channels * height * width))
    return caffe_pb2.Datum(channels=channels, height=height, width=width, data=data, label=label)


@pytest.mark.parametrize("case", DATA_CASES, ids=lambda case: case["name"])
def test_golden_batches(golden_root: Path, case: dict) -> None:
    layer = load(golden_root / "data" / f"{case['name']}.prototxt", case["seed"])
    want = np.load(golden_root / "data" / f"{case['name']}.npz")
    for k in range(case["batches"]):
        tops = layer.forward()
        assert len(tops) == len(case["tops"])
        for i, top in enumerate(tops):
            assert top.dtype == torch.float32
            assert layer.reshape([])[i] == tuple(top.shape)
            np.testing.assert_array_equal(top.numpy(), want[f"top_{i}_b{k}"])
    layer.close()


@pytest.mark.parametrize("case", RNG_CASES, ids=lambda case: case["name"])
def test_golden_crops_and_mirrors(golden_root: Path, case: dict) -> None:
    layer = load(golden_root / "rng" / case["prototxt"], case["seed"])
    want = np.load(golden_root / "rng" / f"{case['name']}.npz")
    for k in range(case["batches"]):
        data, label = layer.forward()
        np.testing.assert_array_equal(data.numpy(), want[f"data_b{k}"] * np.float32(0.5))
        np.testing.assert_array_equal(label.numpy(), want[f"label_b{k}"])
    layer.close()


@pytest.mark.parametrize(("transform", "draws"), [("", 1), ("mirror: true", 3), ("crop_size: 9", 3)])
def test_draws_of_the_main_generator(golden: Path, transform: str, draws: int) -> None:
    rng.set_random_seed(9)
    make(golden / "data" / "lmdb_32", transform).close()
    assert rng.rng_next_u32() == rng.Rng(9).u32(draws + 1)[-1]


RANDOM = "crop_size: 27 mirror: true"


def batches(layer: Data, count: int) -> list[np.ndarray]:
    return [layer.forward()[0].numpy().copy() for _ in range(count)]


@pytest.mark.parametrize("name", ["lmdb_32", "leveldb_32"])
@pytest.mark.parametrize("transform", ["", RANDOM])
def test_resume_is_exact(golden: Path, name: str, transform: str) -> None:
    rng.set_random_seed(1)
    layer = make(golden / "data" / name, transform, batch_size=7)
    batches(layer, 5)
    state = layer.data_state()
    assert state["records"] == 35
    want = batches(layer, 6)
    layer.close()
    rng.set_random_seed(2)
    other = make(golden / "data" / name, transform, batch_size=7)
    other.forward()
    other.load_data_state(state)
    np.testing.assert_array_equal(batches(other, 6), want)
    other.close()


def test_state_before_the_first_batch(golden: Path) -> None:
    layer = make(golden / "data" / "lmdb_32", RANDOM)
    state = layer.data_state()
    want = batches(layer, 3)
    layer.load_data_state(state)
    np.testing.assert_array_equal(batches(layer, 3), want)
    layer.close()


def test_state_of_another_transformation(golden: Path) -> None:
    layer = make(golden / "data" / "lmdb_32")
    state = layer.data_state()
    layer.close()
    other = make(golden / "data" / "lmdb_32", RANDOM)
    with pytest.raises(CaffeError, match=r"layer 'data': .*another crop_size or mirror"):
        other.load_data_state(state)


def test_batches_that_are_held_stay_as_they_are(golden: Path) -> None:
    layer = make(golden / "data" / "lmdb_32", batch_size=8, prefetch=1)
    held = [layer.forward()[0] for _ in range(3)]
    copies = [batch.clone() for batch in held]
    for _ in range(9):
        layer.forward()
    for batch, copy in zip(held, copies):
        assert torch.equal(batch, copy)
    layer.close()


def test_buffers_are_used_again(golden: Path) -> None:
    layer = make(golden / "data" / "lmdb_32", batch_size=8, prefetch=2)
    assert len({layer.forward()[0].data_ptr() for _ in range(40)}) <= 5
    layer.close()


@pytest.mark.parametrize("source", ["data/lmdb_32", "data/lmdb_float"])
def test_two_steps_for_a_device(golden_root: Path, source: str) -> None:
    """What is done for CUDA, with tensors on the CPU: the cut there, mean and scale for the whole batch."""
    fields = "mirror: true scale: 0.017 "
    fields += "mean_value: 3" if "float" in source else 'crop_size: 27 mean_file: "data/mean_32.binaryproto"'
    results = []
    for device in ("cpu", "cuda"):
        rng.set_random_seed(3)
        param = text.parse(fields, caffe_pb2.TransformationParameter)
        with closing(Reader(open_db(source), Transformer(param, caffe_pb2.TRAIN), 5)) as reader:
            reader.transformer.init_rng()
            reader.device = torch.device(device)
            batch = reader.read()
            assert (batch.places is None) == (device == "cpu")
            data = batch.data if batch.places is None else reader.transformer.finish(batch.data, batch.places)
            results.append((data, batch.label))
    for one, two in zip(*results):
        assert torch.equal(one, two)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("first", ["bytes", "floats"])
def test_bytes_and_floats_in_a_batch(tmp_path: Path, first: str, device: str) -> None:
    floats = caffe_pb2.Datum(channels=1, height=2, width=2, float_data=[0.5, -1, 1e9, 3], label=7)
    data = [raw(label=6), floats, raw(label=8)] if first == "bytes" else [floats, raw(label=8)]
    db = open_db(write(tmp_path / "db", data))
    with closing(Reader(db, Transformer(caffe_pb2.TransformationParameter(), caffe_pb2.TRAIN), 3)) as reader:
        reader.device = torch.device(device)
        batch = reader.read()
    assert batch.data.dtype == torch.float32
    plain, other = [0, 1, 2, 3], [0.5, -1, 1e9, 3]
    assert batch.data.flatten(1).tolist() == [plain, other, plain] if first == "bytes" else [other, plain, other]
    assert batch.label.tolist() == ([6, 7, 8] if first == "bytes" else [7, 8, 7])


def test_thread_ends_with_the_layer(golden: Path) -> None:
    def threads() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name == "prefetch"}

    before = threads()
    layer = make(golden / "data" / "lmdb_32", RANDOM)
    layer.forward()
    assert len(threads() - before) == 1
    del layer
    gc.collect()
    end = time.monotonic() + 60
    while threads() - before:
        assert time.monotonic() < end
        time.sleep(0.002)


@pytest.mark.parametrize("name", ["lmdb_32", "leveldb_32"])
def test_forked_child_goes_on_by_itself(golden: Path, name: str) -> None:
    layer = make(golden / "data" / name, RANDOM, batch_size=7)
    layer.forward()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.write(writer, np.stack(batches(layer, 2)).tobytes())
            layer.close()
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    got = b""
    while part := os.read(reader, 1 << 20):
        got += part
    os.close(reader)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert got == np.stack(batches(layer, 2)).tobytes()
    layer.close()


def test_log_lines(golden_root: Path, tmp_path: Path) -> None:
    handler = glog.attach(tmp_path / "log")
    layer = make("data/lmdb_32", 'crop_size: 27 mean_file: "data/mean_32.binaryproto"', batch_size=25, prefetch=1)
    layer.forward()
    layer.forward()
    layer.close()
    glog.detach(handler)
    lines = [line.split(maxsplit=3)[3] for line in (tmp_path / "log").read_text().splitlines()]
    lines = [line for line in lines if "Waiting for data" not in line]  # one of a thousand waits, of all layers
    assert lines[:4] == [
        "db_lmdb.cpp:35] Opened lmdb data/lmdb_32",
        "data_transformer.cpp:25] Loading mean file from: data/mean_32.binaryproto",
        "data_layer.cpp:45] output data size: 25,3,27,27",
        "data_layer.cpp:73] Restarting data prefetching from start.",
    ]


def test_two_layers_on_one_database(golden: Path) -> None:
    train, test = (make(golden / "data" / "lmdb_32", phase=phase) for phase in (caffe_pb2.TRAIN, caffe_pb2.TEST))
    np.testing.assert_array_equal(batches(train, 15), batches(test, 15))
    train.close()
    np.testing.assert_array_equal(batches(test, 1)[0], batches(make(golden / "data" / "lmdb_32"), 4)[3])
    test.close()


def test_batch_larger_than_the_database(tmp_path: Path) -> None:
    layer = make(write(tmp_path / "db", [raw(label=5), raw(label=6)]), batch_size=5)
    assert layer.forward()[1].tolist() == [5, 6, 5, 6, 5]
    assert layer.forward()[1].tolist() == [6, 5, 6, 5, 6]
    layer.close()


def picture(content: bytes) -> caffe_pb2.Datum:
    return caffe_pb2.Datum(data=content, encoded=True)


JPEG = cv2.imencode(".jpg", np.arange(64 * 64, dtype=np.uint8).reshape(64, 64))[1].tobytes()


@pytest.mark.parametrize(
    ("data", "transform", "reason"),
    [
        ([], "", "db: the database has no records"),
        (
            [raw((3, 4, 4))],
            "crop_size: 5",
            r"db: record '0000': crop_size: 5 is larger than the image of shape \[3, 4, 4\]",
        ),
        (
            [raw((3, 4, 4))],
            'mean_file: "MEAN"',
            r"record '0000': mean_file: .*MEAN is of shape \[1, 2, 2\], the image \[3, 4, 4\]",
        ),
        ([raw()], 'mean_file: "NONE"', "NONE"),
        ([raw()], "force_color: true force_gray: true", "cannot set both force_color and force_gray"),
        (
            [caffe_pb2.Datum(channels=1, height=2, width=2, data=b"123")],
            "",
            "record '0000': 3 values do not make an image of 1 x 2 x 2",
        ),
        ([picture(JPEG[:200])], "", "record '0000': cannot decode the 200 bytes of its encoded image"),
    ],
)
def test_errors_at_setup(tmp_path: Path, data: list[caffe_pb2.Datum], transform: str, reason: str) -> None:
    write_mean(tmp_path / "MEAN", np.zeros((1, 2, 2), np.float32))
    write(tmp_path / "db", data)
    for name in ("MEAN", "NONE"):
        transform = transform.replace(name, str(tmp_path / name))
    with pytest.raises(CaffeError, match=reason) as caught:
        make(tmp_path / "db", transform)
    assert str(caught.value).startswith("layer 'data': ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (raw((1, 2, 3)), r"record '0001': its image gives \[1, 2, 3\], the batch's first \[1, 2, 2\]"),
        (caffe_pb2.Datum(channels=1, height=2, width=2, data=b"12345"), "record '0001': 5 values do not make"),
        (picture(b"\xff\xd8 not a picture"), "record '0001': cannot decode the 16 bytes"),
    ],
)
def test_errors_later(tmp_path: Path, second: caffe_pb2.Datum, reason: str) -> None:
    layer = make(write(tmp_path / "db", [raw(), second]))
    for _ in range(2):
        with pytest.raises(CaffeError, match=reason) as caught:
            layer.forward()
        assert str(caught.value).startswith("layer 'data': ")
    layer.close()


def test_garbage_record(tmp_path: Path) -> None:
    with create_db(tmp_path / "db", "lmdb") as db:
        db.put(b"k", b"garbage")
    with pytest.raises(CaffeError, match=r"layer 'data': .*db: record 'k': its 7 bytes are not a Datum"):
        make(tmp_path / "db")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"batch_size": 0}, "data_param.batch_size: 0"),
        ({"prefetch": 0}, "data_param.prefetch: 0"),
    ],
)
def test_bad_fields(golden: Path, fields: dict[str, int], reason: str) -> None:
    with pytest.raises(CaffeError, match=reason):
        make(golden / "data" / "lmdb_32", **fields)
    with pytest.raises(CaffeError, match=r"data_param.source is missing"):
        make("")
    with pytest.raises(CaffeError, match="layer 'data': nowhere/db: no such database"):
        make("nowhere/db")
