"""Batches on a GPU: the CPU's to the bit, also where they travel while kernels run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from caffe_compat import precision, rng
from caffe_compat.data.datum import serialize
from caffe_compat.data.db import create_db
from caffe_compat.data.mean import write_mean
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2
from caffe_compat.proto import text as prototxt

NET = """
layer { name: "data" type: "Data" top: "data" top: "label"
        transform_param { crop_size: 57 mirror: true MEAN scale: 0.0171 }
        data_param { source: "images" batch_size: 32 backend: LMDB } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 512 } }
"""


@pytest.mark.parametrize(
    "mean", ['mean_file: "mean"', "mean_value: 12.3", "mean_value: 1 mean_value: 2 mean_value: 3", ""]
)
def test_batches_are_the_cpus(mean: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: torch.device) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    write_mean("mean", random.random((3, 64, 64), np.float32) * 255)
    with create_db("images", "lmdb") as db:
        for i, image in enumerate(random.integers(0, 256, (100, 3, 64, 64), np.uint8)):
            datum = caffe_pb2.Datum(channels=3, height=64, width=64, data=image.tobytes(), label=i)
            db.put(b"%03d" % i, serialize(datum))
    found = {}
    for where, name in ((torch.device("cpu"), "fp32"), (device, "fp32"), (device, "tf32"), (device, "bf16")):
        rng.set_random_seed(1)
        with precision.use(name):
            net = Net(prototxt.parse(NET.replace("MEAN", mean), caffe_pb2.NetParameter), caffe_pb2.TRAIN)
        net.to(where)
        batches = []
        for _ in range(12):
            net.forward_layers()
            batches.append([net.blobs[blob].tensor.clone() for blob in ("data", "label")])
            # Also those that were read before the net was on its GPU: a recorded pass keeps a place of one layout.
            assert name == "fp32" or net.blobs["data"].tensor.is_contiguous(memory_format=torch.channels_last)
        found[where.type, name] = [[tensor.cpu() for tensor in batch] for batch in batches]
        net.layers[0].close()
    want = found.pop(("cpu", "fp32"))
    for (_, name), batches in found.items():
        for (data, label), (images, labels) in zip(batches, want, strict=True):
            assert torch.equal(label, labels)
            assert torch.equal(data, images.bfloat16() if name == "bf16" else images)
