"""Training on a GPU: the same to the bit after resuming and as a graph, without waiting, and the faster precisions."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from caffe_compat import precision, rng
from caffe_compat.data.datum import serialize
from caffe_compat.data.db import create_db
from caffe_compat.data.mean import write_mean
from caffe_compat.proto import caffe_pb2
from caffe_compat.proto import text as prototxt
from caffe_compat.solver import Solver

NET = """
name: "cropped"
layer {
  name: "data" type: "Data" top: "data" top: "label"
  transform_param { crop_size: 20 mirror: true mean_file: "mean" scale: 0.02 }
  data_param { source: "images" batch_size: 8 backend: LMDB }
}
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 16 kernel_size: 5 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 3 stride: 2 } }
layer { name: "norm" type: "LRN" bottom: "pool" top: "norm" lrn_param { alpha: 0.01 } }
layer { name: "fc1" type: "InnerProduct" bottom: "norm" top: "fc1"
        inner_product_param { num_output: 32 weight_filler { type: "xavier" } } }
layer { name: "drop" type: "Dropout" bottom: "fc1" top: "fc1" }
layer { name: "fc2" type: "InnerProduct" bottom: "fc1" top: "fc2"
        inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc2" bottom: "label" top: "loss" }
"""
FIELDS = """
base_lr: 0.01 lr_policy: "step" stepsize: 8 gamma: 0.5 momentum: 0.9 weight_decay: 0.001 max_iter: 20
snapshot_prefix: "snap" snapshot_after_train: true average_loss: 4 display: 5 random_seed: 5
"""


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with a database of 50 images and a mean."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    write_mean("mean", random.random((3, 24, 24), np.float32) * 255)
    with create_db("images", "lmdb") as db:
        for i, image in enumerate(random.integers(0, 256, (50, 3, 24, 24), np.uint8)):
            datum = caffe_pb2.Datum(channels=3, height=24, width=24, data=image.tobytes(), label=i % 3)
            db.put(b"%02d" % i, serialize(datum))
    return tmp_path


def solver(device: torch.device, fields: str = "", **others: Any) -> Solver:
    param = prototxt.parse(FIELDS, caffe_pb2.SolverParameter)
    param.net_param.CopyFrom(prototxt.parse(NET, caffe_pb2.NetParameter))
    param.MergeFrom(prototxt.parse(fields, caffe_pb2.SolverParameter))
    return Solver(param, device=device, exact=True, **others)


def trained(one: Solver) -> list[torch.Tensor]:
    """Weights, history and the mean loss after training."""
    one.solve()
    one.close()
    loss = torch.tensor([one.smoothed.value])
    return [*(learnable.parameter.detach() for learnable in one.net.learnable), *one.optimizer.history, loss]


def same(mine: list[torch.Tensor], theirs: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))


@pytest.mark.parametrize("graphs", [False, True])
@pytest.mark.parametrize("name", ["fp32", "bf16"])
def test_goes_on_to_the_bit(name: str, graphs: bool, images: Path, device: torch.device) -> None:
    with precision.use(name):
        whole = trained(solver(device, "snapshot: 7", graphs=graphs))
        rng.set_random_seed(99)
        torch.rand(1000, device=device)
        again = solver(device, graphs=graphs)
        again.restore("snap_iter_7.solverstate")
        assert same(trained(again), whole)


@pytest.mark.parametrize("name", ["fp32", "tf32", "bf16"])
@pytest.mark.parametrize("fields", ["", "iter_size: 2", 'type: "Nesterov"'])
def test_a_graph_is_the_pass_to_the_bit(
    fields: str, name: str, images: Path, device: torch.device, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with precision.use(name):
        layer_by_layer = trained(solver(device, fields))
        as_graph = trained(solver(device, fields, graphs=True))
    assert caplog.text.count("each pass is one CUDA graph") == (2 if "iter_size" in fields else 1)
    assert same(as_graph, layer_by_layer)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
@pytest.mark.parametrize("graphs", [False, True])
def test_another_gpu_than_the_current_one(graphs: bool, images: Path) -> None:
    with precision.use("bf16"):
        first, second = (trained(solver(torch.device("cuda", i), graphs=graphs)) for i in range(2))
    assert torch.cuda.current_device() == 0
    assert same([tensor.cpu() for tensor in first], [tensor.cpu() for tensor in second])


@pytest.mark.parametrize("graphs", [False, True])
def test_a_step_waits_for_nothing(graphs: bool, images: Path, real_gpu: torch.device) -> None:
    one = solver(real_gpu, "display: 0", graphs=graphs)
    one.step(4)
    torch.cuda.set_sync_debug_mode("error")
    try:
        one.step(4)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize(("name", "tolerance"), [("tf32", 2e-2), ("bf16", 0.15)])
def test_faster_precisions_are_near(name: str, tolerance: float, images: Path, device: torch.device) -> None:
    if name == "tf32" and (not torch.cuda.is_available() or torch.cuda.get_device_capability(device) < (8, 0)):
        pytest.skip("needs a GPU that has TF32")
    found = []
    for one in ("fp32", name):
        torch.cuda.manual_seed(1)
        with precision.use(one):
            found.append(solver(device, "max_iter: 1"))
        found[-1].step(1)
    assert float(found[1].net.blobs["loss"].data) == pytest.approx(
        float(found[0].net.blobs["loss"].data), rel=tolerance
    )
    for mine, theirs in zip(found[1].net.learnable, found[0].net.learnable):
        difference = torch.linalg.norm(mine.parameter.grad - theirs.parameter.grad)
        assert 0 < difference <= tolerance * torch.linalg.norm(theirs.parameter.grad)
    for name in found[0].net.blobs:
        assert found[1].net.blobs[name].data.shape == found[0].net.blobs[name].data.shape
        assert found[1].net.blobs[name].data.dtype == np.float32


def test_layers_above_a_convolution_keep_its_layout(images: Path, device: torch.device) -> None:
    with precision.use("bf16"):
        one = solver(device)
    one.step(1)
    for name in ("conv", "pool", "norm"):
        for tensor in (one.net.blobs[name].tensor, one.net.blobs[name].grad):
            assert tensor.dtype == torch.bfloat16
        assert one.net.blobs[name].tensor.is_contiguous(memory_format=torch.channels_last)
    assert all(learnable.parameter.is_contiguous() for learnable in one.net.learnable)
    assert all(learnable.parameter.grad.dtype == torch.float32 for learnable in one.net.learnable)
