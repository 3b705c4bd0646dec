"""Arrays of what is on a GPU are copies: what a user writes into them counts, looking at them changes nothing."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import numpy_helper

import caffe_compat as caffe
from caffe_compat.export.onnx_export import to_onnx
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2
from caffe_compat.proto import text as prototxt
from caffe_compat.solver import Solver

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" param { lr_mult: 1 } param { lr_mult: 1 }
        inner_product_param { num_output: 2 weight_filler { type: "constant" value: 1 } } }
layer { name: "tanh" type: "TanH" bottom: "fc" top: "tanh" }
layer { name: "loss" type: "Reduction" bottom: "tanh" top: "loss" loss_weight: 1 }
"""


def make(device: torch.device) -> Net:
    net = Net(prototxt.parse(NET, caffe_pb2.NetParameter), caffe_pb2.TRAIN)
    net.to(device)
    net.blobs["data"].data[...] = [[1, 2]]
    return net


def test_what_is_written_counts(device: torch.device, tmp_path: Path) -> None:
    net = make(device)
    weight, bias = net.params["fc"]
    weight.data[...] = [[1, 0], [0, 1]]
    weight.data[0] += bias.data + 1  # both arrays at hand at the same time
    net.forward_layers()
    assert net.blobs["fc"].data.tolist() == [[4, 2]]
    weight.data[...] = 3
    net.copy_from(net.to_proto())  # files, too, have what was written
    assert weight.data.tolist() == [[3, 3], [3, 3]]
    weight.data[...] = 0.1
    assert float(net()["loss"].detach()) == pytest.approx(2 * np.tanh(0.3))
    weight.data[...] = 7
    net.phase = caffe_pb2.TEST
    found = [numpy_helper.to_array(value).tolist() for value in to_onnx(net, outputs=["fc"]).graph.initializer]
    assert [[7, 7], [7, 7]] in found
    weight.diff[...] = 5
    net.clear_param_diffs()
    assert weight.diff.tolist() == [[0, 0], [0, 0]]


def test_written_through_one_net_it_reaches_those_that_share_it(device: torch.device) -> None:
    net, other = make(device), make(device)
    other.share_with(net)
    assert other.params["fc"][1].data.tolist() == [0, 0]
    net.params["fc"][1].data[...] = [4, 5]
    assert other.params["fc"][1].data.tolist() == [4, 5]
    net.params["fc"][1].data[...] = [6, 7]
    other.forward_layers()
    assert other.blobs["fc"].data.tolist() == [[9, 10]]


def test_who_looks_undoes_no_training(device: torch.device) -> None:
    def trained(look: bool) -> np.ndarray:
        param = prototxt.parse('base_lr: 0.1 lr_policy: "fixed" momentum: 0.9', caffe_pb2.SolverParameter)
        param.net_param.CopyFrom(prototxt.parse(NET, caffe_pb2.NetParameter))
        solver = Solver(param, device=device)
        solver.net.blobs["data"].data[...] = [[0.1, 0.2]]
        seen = []
        for _ in range(3):
            solver.step(1)
            if look:
                blob = solver.net.params["fc"][0]
                seen.append((blob.data.copy(), blob.diff.copy()))
        for (before, _), (after, step) in pairwise(seen):
            np.testing.assert_allclose(before - after, step, atol=1e-6)
            assert (step > 0).all()
        return solver.net.params["fc"][0].data

    assert np.array_equal(trained(True), trained(False))


def test_who_looks_between_the_passes_is_not_in_the_way_of_autograd(device: torch.device) -> None:
    net = make(device)
    net.forward_layers()
    for blob in net.blobs.values():
        assert blob.data is blob.data
    net.backward_layers()
    for name in ("tanh", "fc", "fc"):
        assert net.blobs[name].diff.shape == (1, 2)
    slope = 1 - np.tanh(3.0) ** 2
    np.testing.assert_allclose(net.params["fc"][1].diff, [slope, slope], rtol=1e-4)


@pytest.mark.parametrize("mode", ["gpu", "cpu"])
def test_pycaffe_follows_the_mode(mode: str, device: torch.device, gpu_mode: None) -> None:
    net = caffe.Net(prototxt.parse(NET, caffe_pb2.NetParameter), caffe.TRAIN)
    net.params["fc"][0].data[...] = 2
    if mode == "cpu":
        caffe.set_mode_cpu()
    net.forward(data=np.array([[1, 2]], np.float32))
    assert net.device.type == ("cpu" if mode == "cpu" else "cuda")
    assert net.blobs["fc"].data.tolist() == [[6, 6]]
