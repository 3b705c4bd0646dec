"""A small net as a training run leaves it, for the tests of what is done with trained nets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest


@dataclass(frozen=True)
class MiniRun:
    """A run directory of mini transfer_A3B, and the data that its definition names."""

    folder: Path
    net: Path
    weights: Path
    mean: Path
    db: Path
    images: int = 30


@pytest.fixture(scope="session")
def mini_run(tmp_path_factory: pytest.TempPathFactory) -> MiniRun:
    """Random weights, random images; scores that differ from class to class and from image to image."""
    from caffe_compat import rng
    from caffe_compat.data.datum import serialize
    from caffe_compat.data.db import create_db
    from caffe_compat.data.mean import compute_image_mean
    from caffe_compat.net import Net
    from caffe_compat.proto import caffe_pb2
    from caffe_compat.weights import save
    from yosinski.net_names import parse_name

    data, folder = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("runs") / "mini"
    folder.mkdir()
    weights, mean = folder / "mini_iter_20.caffemodel", data / "mean.binaryproto"
    run = MiniRun(folder, folder / "net.prototxt", weights, mean, data / "db")
    random = np.random.default_rng(1)
    with create_db(run.db, "lmdb") as db:
        for i in range(run.images):
            pixels = random.integers(0, 256, (1, 28, 28), np.uint8)
            pixels[:, :, : i % 28] //= 4
            datum = caffe_pb2.Datum(channels=1, height=28, width=28, label=i % 10, data=pixels.tobytes())
            db.put(f"{i:08d}".encode(), serialize(datum))
    compute_image_mean(run.db, run.mean)
    spec = parse_name("transfer_A3B")
    definition = spec.definition("mini")
    sources = spec.sources("mini")
    for old, new in ((sources.train, run.db), (sources.valid, run.db), (sources.mean, run.mean)):
        definition = definition.replace(old, str(new))
    run.net.write_text(definition)
    rng.set_random_seed(1)
    net = Net(run.net, caffe_pb2.TEST)
    net.forward_layers()
    scores, (weight, bias) = net.blobs["fc8-new"].data, net.params["fc8-new"]
    scale = 1.5 / scores.std(0)  # otherwise the scores of an untrained net hardly differ
    bias.data[...] = -scale * scores.mean(0)
    weight.data[...] *= scale[:, None]
    save(net, run.weights)
    meta = {"name": "mini", "seed": 1, "files": {"solver": {"sha256": "0" * 64}}}
    (folder / "run.json").write_text(json.dumps(meta))
    return run
