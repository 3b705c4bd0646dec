"""Nets trained together end with the weights that they have alone, to the bit, and share what they can."""

from __future__ import annotations

import json
import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from caffe_compat.data import datum as datums
from caffe_compat.data.datum import serialize
from caffe_compat.data.db import create_db
from caffe_compat.errors import CaffeError
from caffe_compat.layers.convolution import Convolution
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2
from yosinski import session, together
from yosinski.run_dir import RunDir
from yosinski.training import Training, Wish

CPU = torch.device("cpu")
DATA = """
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: %(phase)s }
  transform_param { mirror: %(mirror)s crop_size: 10 mean_value: 100 scale: 0.01 }
  data_param { source: "%(source)s" batch_size: %(batch)d backend: LMDB } }"""
# The first layers learn unless frozen: 1 or 2 of them.
NET = """name: "net"
%(data)s
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" %(lr1)s
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "gaussian" std: 0.2 } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2" %(lr2)s
  convolution_param { num_output: 6 kernel_size: 3 weight_filler { type: "gaussian" std: 0.2 } } }
layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
layer { name: "drop2" type: "Dropout" bottom: "conv2" top: "conv2" }
layer { name: "%(last)s" type: "InnerProduct" bottom: "conv2" top: "%(last)s"
  inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "%(last)s" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "%(last)s" bottom: "label" top: "accuracy" include { phase: TEST } }
"""
SOLVER = """net: "%(net)s" base_lr: 0.05 momentum: 0.9 weight_decay: 0.01 lr_policy: "fixed" solver_mode: CPU
max_iter: %(iterations)d display: 5 snapshot: %(snapshot)d snapshot_prefix: "x" random_seed: %(seed)d
test_iter: 3 test_interval: %(test_interval)d
"""
FROZEN = "param { lr_mult: 0 decay_mult: 0 } param { lr_mult: 0 decay_mult: 0 }"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    write_images("raw")
    write_images("png")
    yield
    torch.set_num_threads(threads)


def write_images(name: str) -> None:
    """44 pictures of 12 x 12, an odd number of batches."""
    import cv2

    random = np.random.default_rng(1)
    with create_db(name, "lmdb") as db:
        for i in range(44):
            label = i % 3
            pixels = random.integers(0, 128, (3, 12, 12), np.uint8) + np.uint8(60 * label)
            record = caffe_pb2.Datum(channels=3, height=12, width=12, data=pixels.tobytes(), label=label)
            if name == "png":
                content = cv2.imencode(".png", pixels.transpose(1, 2, 0))[1].tobytes()
                record = caffe_pb2.Datum(data=content, encoded=True, label=label)
            db.put(b"%04d" % i, serialize(record))


def define(
    name: str,
    frozen: int = 0,
    seed: int = 1,
    source: str = "raw",
    iterations: int = 12,
    snapshot: int = 5,
    test_interval: int = 4,
    last: str = "ip",
    batch: int = 8,
) -> Path:
    """Write a solver and its net."""
    data = "".join(
        DATA % {"phase": phase, "mirror": mirror, "source": source, "batch": batch}
        for phase, mirror in (("TRAIN", "true"), ("TEST", "false"))
    )
    lr = [FROZEN if layer < frozen else "" for layer in range(2)]
    Path(f"{name}_net.prototxt").write_text(NET % {"data": data, "lr1": lr[0], "lr2": lr[1], "last": last})
    path = Path(f"{name}.prototxt")
    facts = {"net": f"{name}_net.prototxt", "iterations": iterations, "snapshot": snapshot, "seed": seed}
    path.write_text(SOLVER % {**facts, "test_interval": test_interval})
    return path


def wish(path: Path, folder: str, **more: Any) -> Wish:
    return Wish(path, out=Path(folder, path.stem), **more)


def alone(paths: list[Path], folder: str = "alone", **more: Any) -> dict[str, bytes]:
    """Train one after the other; gives the final weights."""
    for path in paths:
        session.train(Training(wish(path, folder, **more)), CPU, quiet=True)
    return {path.stem: weights(folder, path.stem) for path in paths}


def in_turn(paths: list[Path], **more: Any) -> dict[str, bytes]:
    """Train together; gives the final weights."""
    ends = together.train([Training(wish(path, "together", **more)) for path in paths], CPU, quiet=True)
    assert all(isinstance(end, session.Outcome) and end.finished for end in ends)
    return {path.stem: weights("together", path.stem) for path in paths}


def weights(folder: str, name: str) -> bytes:
    found = RunDir(Path(folder, name)).newest_weights()
    assert found is not None
    return found.read_bytes()


def lines(folder: str, name: str) -> list[str]:
    """What a net's log says, without times, speeds, threads and folders."""
    text = Path(folder, name, "train.log").read_text()
    found = [re.sub(r"\(\S+ iter/s, \S+s/", "(/", line.split("] ", 1)[-1]) for line in text.splitlines()]
    unequal = ("Restarting data", "Waiting for data")  # said by whoever reads
    return [line.replace(folder, "F") for line in found if not line.startswith(unequal)]


@pytest.fixture
def forwards(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the convolutions were computed, by layer."""
    count: Counter[str] = Counter()
    forward = Convolution.forward

    def counting(layer: Convolution, *bottoms: torch.Tensor) -> Any:
        count[layer.name] += 1
        return forward(layer, *bottoms)

    monkeypatch.setattr(Convolution, "forward", counting)
    return count


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    count: Counter[str] = Counter()
    decode = datums.decode

    def counting(*arguments: Any) -> Any:
        count["images"] += 1
        return decode(*arguments)

    monkeypatch.setattr(datums, "decode", counting)
    return count


def test_nets_of_all_kinds_are_as_they_are_alone(forwards: Counter[str]) -> None:
    alone([define("base", seed=3)], "before")
    paths = [
        define("frozen1", frozen=1, seed=5, last="new"),
        define("frozen2", frozen=2, seed=6, last="new"),
        define("tuned", seed=7, last="new"),
        define("other_tests", frozen=2, seed=8, test_interval=3, last="new"),
        define("shorter", seed=9, iterations=7, snapshot=0),
        define("other_data", seed=9, source="png"),
    ]
    more = {"weights": (Path("before/base/base_iter_12.caffemodel"),), "data_seed": 11}
    want = alone(paths, **more)
    forwards.clear()
    assert in_turn(paths, **more) == want
    assert len(set(want.values())) == len(paths)
    for path in paths:
        assert lines("together", path.stem) == lines("alone", path.stem)
        metas = [RunDir(Path(folder, path.stem)).meta for folder in ("alone", "together")]
        assert all(meta["status"] == "finished" and meta["data_seed"] == 11 for meta in metas)
        assert metas[0]["scores"] == metas[1]["scores"] != {}


def test_frozen_layers_are_computed_once(forwards: Counter[str]) -> None:
    alone([define("base")], "before")
    forwards.clear()
    paths = [define(f"net{i}", frozen=frozen, seed=i) for i, frozen in enumerate((1, 2, 2, 0))]
    more = {"weights": (Path("before/base/base_iter_12.caffemodel"),), "data_seed": 1}
    want = alone(paths, **more)
    passes = forwards["conv1"] // 4
    assert passes == 12 + 4 * 3  # and a test before, between and after the iterations
    assert forwards["conv2"] == 4 * passes
    forwards.clear()
    assert in_turn(paths, **more) == want
    assert forwards == {"conv1": 2 * passes, "conv2": 3 * passes}


def test_other_weights_are_not_shared(forwards: Counter[str]) -> None:
    paths = [define(f"net{i}", frozen=2, seed=i) for i in range(2)]  # frozen as their fillers set them
    want = alone(paths, data_seed=1)
    once = forwards["conv1"]
    forwards.clear()
    assert in_turn(paths, data_seed=1) == want
    assert forwards["conv1"] == once


def test_images_are_decoded_once(decoded: Counter[str]) -> None:
    paths = [define(f"net{i}", seed=i, source="png") for i in range(3)]
    want = alone(paths)
    each = decoded["images"] // 3
    decoded.clear()
    assert in_turn(paths) == want  # other crops and mirrors, of the same images
    assert decoded["images"] < 1.5 * each


def test_batches_are_made_once(decoded: Counter[str]) -> None:
    paths = [define(f"net{i}", seed=i, source="png") for i in range(3)]
    want = alone(paths, data_seed=4)
    each = decoded["images"] // 3
    decoded.clear()
    assert in_turn(paths, data_seed=4) == want
    assert decoded["images"] < 1.2 * each


def test_a_data_seed_leaves_the_fillers_alone() -> None:
    path = define("net", iterations=0, snapshot=0)
    nets = [Training(wish(path, f"s{seed}", data_seed=seed)) for seed in (None, 2, 3)]
    for training in nets:
        session.train(training, CPU, quiet=True)
    begun = {weights(f"s{seed}", "net") for seed in (None, 2, 3)}
    assert len(begun) == 1
    longer = define("net", iterations=3, snapshot=0)
    trained = {seed: alone_in(longer, seed) for seed in (None, 2, 3)}
    assert len(set(trained.values())) == 3
    assert alone_in(longer, 2) == trained[2]


def alone_in(path: Path, seed: int | None) -> bytes:
    session.train(Training(wish(path, f"s{seed}", data_seed=seed, force=True)), CPU, quiet=True)
    return weights(f"s{seed}", path.stem)


def test_resumed_from_different_places_they_find_together_again(forwards: Counter[str]) -> None:
    paths = [define(f"net{i}", frozen=1, seed=1, snapshot=4, iterations=16) for i in range(3)]
    want = alone(paths, data_seed=4)
    passes = forwards["conv1"] // 3
    forwards.clear()
    in_turn(paths, data_seed=4)
    for net, reached in enumerate((4, 8, 0)):  # as if they had been killed there
        run = RunDir(Path(f"together/net{net}"))
        for snapshot in run.path.glob("*_iter_*"):
            if int(snapshot.stem.rpartition("_")[2]) > reached:
                snapshot.unlink()
        meta = json.loads(run.meta_path.read_text())
        run.meta_path.write_text(json.dumps({**meta, "status": "running"}))
    forwards.clear()
    trainings = [Training(wish(path, "together", resume=i < 2)) for i, path in enumerate(paths[:2])]
    trainings.append(Training(wish(paths[2], "together", data_seed=4)))
    together.train(trainings, CPU, quiet=True)
    assert {path.stem: weights("together", path.stem) for path in paths} == want
    assert [RunDir(Path(f"together/net{i}")).meta["data_seed"] for i in range(3)] == [4, 4, 4]
    # One of them did all of it, and another one what is left of a test that it was ahead with.
    assert passes <= forwards["conv1"] <= passes + 2 * 3
    with pytest.raises(CaffeError, match=r"^--data-seed 5: together/net0 was begun with 4"):
        Training(wish(define("net0", frozen=1, iterations=30), "together", resume=True, data_seed=5))


def test_a_layer_of_ones_own_may_write_into_its_bottom() -> None:
    Path("doubling.py").write_text(
        "import caffe\nclass Doubling(caffe.Layer):\n"
        "    def setup(self, bottom, top): pass\n"
        "    def reshape(self, bottom, top): top[0].reshape(*bottom[0].data.shape)\n"
        "    def forward(self, bottom, top):\n        bottom[0].data[...] *= 2\n        top[0].data[...] = 1\n"
        "    def backward(self, top, propagate_down, bottom): pass\n"
    )
    layer = """layer { name: "double" type: "Python" bottom: "data" top: "one"
        python_param { module: "doubling" layer: "Doubling" } }\n"""
    paths = [define("writes"), define("plain")]
    net = Path("writes_net.prototxt").read_text()
    Path("writes_net.prototxt").write_text(net.replace('layer { name: "conv1"', layer + 'layer { name: "conv1"'))
    assert in_turn(paths) == alone(paths)


def test_one_that_fails_leaves_the_others_alone() -> None:
    paths = [define("bad", batch=2), define("good"), define("good2", seed=2)]
    Path("bad_net.prototxt").write_text(Path("bad_net.prototxt").read_text().replace("num_output: 3", "num_output: 2"))
    want = alone(paths[1:])
    ends = together.train([Training(wish(path, "together")) for path in paths], CPU, quiet=True)
    assert isinstance(ends[0], CaffeError) and "\n" not in str(ends[0])
    assert {path.stem: weights("together", path.stem) for path in paths[1:]} == want
    meta = RunDir(Path("together/bad")).meta
    assert (meta["status"], meta["reason"]) == ("failed", str(ends[0]))


def test_two_in_one_directory() -> None:
    path = define("net")
    with pytest.raises(CaffeError, match=r"^together/net: two of the nets would train here; they need names of their"):
        in_turn([path, path])
    assert not Path("together").exists()


def test_a_stop_stops_all(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [define(f"net{i}", seed=i) for i in range(2)]
    want = alone(paths)
    passes = Net.forward_backward
    count: Counter[str] = Counter()

    def interrupting(net: Net) -> torch.Tensor:
        count["passes"] += 1
        if count["passes"] == 9:
            os.kill(os.getpid(), signal.SIGINT)
        return passes(net)

    with monkeypatch.context() as patch:
        patch.setattr(Net, "forward_backward", interrupting)
        ends = together.train([Training(wish(path, "together")) for path in paths], CPU, quiet=True)
    assert [(end.iterations, end.finished) for end in ends if isinstance(end, session.Outcome)] == [(5, False)] * 2
    assert in_turn(paths, resume=True) == want
