"""Definitions for use, made of those for training and testing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffe_compat.errors import CaffeError
from caffe_compat.export.deploy import is_deploy, to_deploy
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, read_net, text

TRAIN_VAL = """
name: "small"
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  data_param { source: "a_lmdb" batch_size: 8 } transform_param { mirror: true crop_size: 6 } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  data_param { source: "b_lmdb" batch_size: 5 } transform_param { crop_size: 6 } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" param { lr_mult: 1 } param { lr_mult: 2 }
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "drop1" type: "Dropout" bottom: "conv1" top: "conv1" include { phase: TRAIN } }
layer { name: "fc2" type: "InnerProduct" bottom: "conv1" top: "fc2" param { name: "w" lr_mult: 3 }
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } bias_filler { type: "constant" value: 1 } } }
layer { name: "accuracy" type: "Accuracy" bottom: "fc2" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "file" type: "HDF5Output" bottom: "fc2" bottom: "label" hdf5_output_param { file_name: "scores.h5" } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc2" bottom: "label" top: "loss" loss_weight: 0.5 }
"""
DEPLOY = """
name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 6 dim: 6 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "fc2" type: "InnerProduct" bottom: "conv1" top: "fc2" param { name: "w" }
  inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "fc2" top: "prob" }
"""


def parse(definition: str) -> caffe_pb2.NetParameter:
    return text.parse(definition, caffe_pb2.NetParameter)


def test_train_val_becomes_deploy() -> None:
    assert text.format(to_deploy(parse(TRAIN_VAL), (1, 3, 6, 6))) == text.format(parse(DEPLOY))


def test_a_deploy_definition_is_told_apart() -> None:
    assert not is_deploy(parse(TRAIN_VAL))
    assert is_deploy(parse(DEPLOY))
    assert text.format(to_deploy(parse(DEPLOY), (9, 9, 9, 9))) == text.format(parse(DEPLOY))


@pytest.mark.parametrize(("folder", "scores"), [("lenet", "ip2"), ("caffenet", "fc8"), ("alexnet", "fc8")])
def test_golden_nets_give_the_softmax_of_caffes_scores(folder: str, scores: str, golden: Path) -> None:
    place = golden / "nets" / folder
    name = "train" if folder == "lenet" else "deploy"
    net = Net(to_deploy(read_net(place / f"{name}.prototxt"), ()), caffe_pb2.TEST, weights=place / "weights.caffemodel")
    assert (net.inputs, net.outputs) == (["data"], ["prob"])
    with np.load(place / f"{name}_test.npz") as arrays:
        net.blobs["data"].data[...] = arrays["in|data"]
        want = np.exp(arrays[f"blob|{scores}"].astype(np.float64))
    net.forward_layers()
    np.testing.assert_allclose(net.blobs["prob"].data, want / want.sum(1, keepdims=True), atol=1e-6)


def test_auxiliary_losses_get_their_own_names() -> None:
    aux = (
        'layer { name: "aux" type: "SoftmaxWithLoss" bottom: "fc2" bottom: "label" top: "aux" '
        "softmax_param { axis: -1 } }\n"
    )
    before = 'layer { name: "accuracy"'
    net = to_deploy(parse(TRAIN_VAL.replace(before, aux + before)), (1, 3, 6, 6))
    assert [(layer.name, list(layer.top), layer.softmax_param.axis) for layer in net.layer][-2:] == [
        ("aux_prob", ["aux_prob"], -1),
        ("prob", ["prob"], 1),
    ]


def test_two_images_in_one_data_layer_are_refused() -> None:
    pair = TRAIN_VAL + 'layer { name: "odd" type: "ReLU" bottom: "label" top: "odd" }'
    with pytest.raises(CaffeError, match=r"layer 'data' gives several inputs \(data, label\)"):
        to_deploy(parse(pair), (1, 3, 6, 6))
