"""Training a net of CaffeNet's form never makes the host wait for the GPU, except where it has something to say."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from caffe_compat import precision
from caffe_compat.data import held
from caffe_compat.data.datum import serialize
from caffe_compat.data.db import create_db
from caffe_compat.data.mean import write_mean
from caffe_compat.proto import caffe_pb2
from caffe_compat.proto import text as prototxt
from caffe_compat.solver import Solver

from .pretended import PretendedGpu

STUDY = Path(__file__).parents[3] / "prototxt"
GPU = torch.device("cuda:0")
RULES = ["SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"]
FIELDS = """
base_lr: 0.001 lr_policy: "step" stepsize: 2 gamma: 0.5 weight_decay: 0.0005 display: 0 snapshot_prefix: "snap"
test_iter: 2 test_interval: 100 test_initialization: false random_seed: 1
"""


@pytest.fixture(autouse=True)
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current directory, with what the study's nets read: five images for each of their halves."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    Path("data").mkdir()
    write_mean("data/mean", random.random((3, 256, 256), np.float32) * 255)
    with create_db("data/images", "lmdb") as db:
        for i, image in enumerate(random.integers(0, 256, (5, 3, 256, 256), np.uint8)):
            datum = caffe_pb2.Datum(channels=3, height=256, width=256, data=image.tobytes(), label=i)
            db.put(b"%d" % i, serialize(datum))


def solver(net: str = "base_A", fields: str = "", rule: str = "SGD", **others: Any) -> Solver:
    """Of one of the study's nets, with a sixteenth of their channels and two images a batch."""
    text = (STUDY / f"{net}.prototxt").read_text()
    text = re.sub(r"num_output: (\d+)", lambda found: f"num_output: {int(found[1]) // 16}", text)
    text = re.sub(r"batch_size: \d+", "batch_size: 2", text)
    text = re.sub(r'source: ".*"', 'source: "data/images"', text)
    text = re.sub(r'mean_file: ".*"', 'mean_file: "data/mean"', text)
    param = prototxt.parse(FIELDS, caffe_pb2.SolverParameter)
    param.type = rule
    if rule in ("SGD", "Nesterov", "Adam"):
        param.momentum = 0.9
    param.net_param.CopyFrom(prototxt.parse(text, caffe_pb2.NetParameter))
    param.MergeFrom(prototxt.parse(fields, caffe_pb2.SolverParameter))
    return Solver(param, device=GPU, **others)


def waits(one: Solver, gpu: PretendedGpu, iterations: int = 2) -> dict[str, int]:
    """Of iterations after the first ones."""
    one.step(3)
    gpu.waits.clear()
    one.step(iterations)
    return dict(gpu.waits)


@pytest.mark.parametrize("graphs", [False, True])
@pytest.mark.parametrize("name", ["fp32", "tf32", "bf16"])
@pytest.mark.parametrize("net", ["base_A", "transfer_A4B"])
def test_an_iteration(
    net: str, name: str, graphs: bool, pretended_gpu: PretendedGpu, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with precision.use(name):
        one = solver(net, graphs=graphs)
    assert waits(one, pretended_gpu) == {}
    assert ("each pass is one CUDA graph" in caplog.text) == graphs
    assert all(blob.tensor.is_cuda for blob in one.net.blobs.values())
    one.close()


@pytest.mark.parametrize("fields", ["", 'regularization_type: "L1" iter_size: 2'])
@pytest.mark.parametrize("rule", RULES)
def test_an_update(rule: str, fields: str, pretended_gpu: PretendedGpu) -> None:
    one = solver(fields=fields, rule=rule)
    assert waits(one, pretended_gpu) == {}
    assert all(history.is_cuda for history in one.optimizer.history)
    one.close()


@pytest.mark.parametrize("place", [torch.device("cpu"), GPU])
def test_images_held_in_memory(place: torch.device, pretended_gpu: PretendedGpu) -> None:
    with held.use(place):
        one = solver()
    assert waits(one, pretended_gpu) == {}
    one.close()


def test_where_something_is_said(pretended_gpu: PretendedGpu) -> None:
    """To display it takes the loss and each output, to clip the norm: Caffe's log has it, each time."""
    one = solver("base_A", "display: 2")
    assert waits(one, pretended_gpu, 2) == {"copy to the host": 2}
    one.close()
    one = solver("base_A", "clip_gradients: 1e-9")
    assert waits(one, pretended_gpu, 2) == {"aten._local_scalar_dense.default": 2}
    one.close()


def test_a_test(pretended_gpu: PretendedGpu) -> None:
    """It takes each output once, whatever the number of batches, and needs no weights of its own on the GPU."""
    one = solver("base_A")
    one.step(1)
    one.test_all()
    pretended_gpu.waits.clear()
    one.test_all()
    assert pretended_gpu.waits == {"copy to the host": len(one.test_nets[0].outputs)}
    assert one.test_nets[0].params["conv1"][0].parameter.data_ptr() == one.net.params["conv1"][0].parameter.data_ptr()
    one.close()


def test_a_snapshot_and_a_resumed_run(pretended_gpu: PretendedGpu) -> None:
    one = solver("transfer_A4B", "max_iter: 4", exact=True)
    one.step(2)
    state = one.snapshot()
    one.step(2)
    one.close()
    again = solver("transfer_A4B", "max_iter: 4", exact=True)
    again.restore(state)
    assert waits(again, pretended_gpu) == {}
    again.close()
    other = solver("transfer_A4B", "max_iter: 4", exact=True)
    other.restore(state)
    other.step(2)
    for mine, its in zip(other.net.learnable, one.net.learnable, strict=True):
        assert mine.parameter.is_cuda and torch.equal(mine.parameter, its.parameter)
    other.close()
