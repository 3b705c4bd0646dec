"""The definitions that the original authors ran, as Caffe 1.0 upgrades them."""

from __future__ import annotations

from typing import Any, Literal

from caffe_compat.proto import caffe_pb2, filter_net, text
from yosinski.networks import NetSpec

Part = Literal["train", "val", "solver"]
FILES = {"train": "imagenet_train", "val": "imagenet_val"}


def original(spec: NetSpec, part: Part) -> Any:
    """The NetParameter or SolverParameter of a net's original file.

    They had one file for each phase, with the same file names in every run directory.
    """
    return original_solver(spec) if part == "solver" else original_net(spec, part)


def original_net(spec: NetSpec, part: Literal["train", "val"]) -> Any:
    net = in_phase(spec, part)
    net.name = "CaffeNet"
    for layer in net.layer:
        layer.ClearField("include")
    data = net.layer[0]
    data.data_param.source = f"{FILES[part]}_leveldb"
    data.data_param.ClearField("backend")
    data.transform_param.mean_file = "imagenet_mean.binaryproto"
    if part == "train":
        net.layer[-1].ClearField("top")  # in 2014 a loss had none
        return net
    for layer in net.layer:
        layer.ClearField("param")
        for param in ("convolution_param", "inner_product_param"):
            if layer.HasField(param):
                getattr(layer, param).ClearField("weight_filler")
                getattr(layer, param).ClearField("bias_filler")
    # The accuracy layer of 2014 took probabilities, since it computed the loss as well.
    fc8 = net.layer[-1].bottom[0]
    del net.layer[-2:]
    net.layer.add(name="prob", type="Softmax", bottom=[fc8], top=["prob"])
    net.layer.add(name="accuracy", type="Accuracy", bottom=["prob", "label"], top=["accuracy"])
    return net


def original_solver(spec: NetSpec) -> Any:
    solver = text.parse(spec.solver(), caffe_pb2.SolverParameter)
    solver.ClearField("net")
    solver.train_net = f"{FILES['train']}.prototxt"
    solver.test_net.append(f"{FILES['val']}.prototxt")
    return solver


def in_phase(spec: NetSpec, part: Literal["train", "val"], size: Any = "full") -> Any:
    """The layers of our definition that one phase has."""
    return filter_net(spec.net(size), caffe_pb2.NetState(phase=caffe_pb2.TRAIN if part == "train" else caffe_pb2.TEST))
