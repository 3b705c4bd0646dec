"""The authors' definitions, from facts about all of them and from the golden cases made of four."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from caffe_compat.proto import caffe_pb2, read_net, read_solver
from yosinski.net_names import originals, parse_name
from yosinski.networks import NetSpec
from yosinski.original_nets import original

NAMES = [spec.original_name for spec in originals()]
LEARNS, FROZEN = [(1, 1), (2, 0)], [(0, 0), (0, 0)]
WEIGHTED = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
TRAIN = ["Data", *["Convolution", "ReLU", "Pooling", "LRN"] * 2, *["Convolution", "ReLU"] * 3, "Pooling"]
TRAIN += [*["InnerProduct", "ReLU", "Dropout"] * 2, "InnerProduct"]


@pytest.mark.parametrize("name", NAMES)
def test_names_and_multipliers(name: str) -> None:
    """Transfers rename what is above the cut; frozen are layers 1 to n of transfers and of random nets."""
    n = int(name[-1]) if "_1_" in name else 0
    frozen = 0 if name.startswith("transfer-ft") else n
    expected = [
        plain if not name.startswith("transfer") or i <= n else f"{plain}-new" for i, plain in enumerate(WEIGHTED, 1)
    ]
    train, val = original(parse_name(name), "train"), original(parse_name(name), "val")
    layers = [layer for layer in train.layer if layer.type in ("Convolution", "InnerProduct")]
    assert [layer.name for layer in layers] == [layer.top[0] for layer in layers] == expected
    assert [layer.name for layer in val.layer if layer.type in ("Convolution", "InnerProduct")] == expected
    for number, layer in enumerate(layers, start=1):
        assert [(p.lr_mult, p.decay_mult) for p in layer.param] == (FROZEN if number <= frozen else LEARNS)


@pytest.mark.parametrize("name", ["half3B", "netbase", "nolearn_1_7", "transfernatmanBA_1_2", "reduced-0005"])
def test_shape_of_the_files(name: str) -> None:
    spec = parse_name(name)
    train, val = original(spec, "train"), original(spec, "val")
    assert train.name == val.name == "CaffeNet"
    assert [layer.type for layer in train.layer] == [*TRAIN, "SoftmaxWithLoss"]
    assert [layer.type for layer in val.layer] == [*TRAIN, "Softmax", "Accuracy"]
    assert not train.layer[-1].top and list(train.layer[-1].bottom) == [train.layer[-2].name, "label"]
    assert list(val.layer[-1].bottom) == ["prob", "label"]
    for net, batch, mirror in ((train, 256, True), (val, 50, False)):
        assert not any(layer.include for layer in net.layer)
        data = net.layer[0]
        assert (data.data_param.batch_size, data.data_param.HasField("backend")) == (batch, False)
        assert (data.transform_param.crop_size, data.transform_param.mirror) == (227, mirror)
    for layer in val.layer:
        assert not layer.param and not layer.convolution_param.HasField("weight_filler")
        assert not layer.inner_product_param.HasField("bias_filler")


@pytest.mark.parametrize("name", NAMES)
def test_solver(name: str) -> None:
    solver = original(parse_name(name), "solver")
    rate = (0.0125, 64000, 200000) if name.startswith("reduced") else (0.01, 100000, 450000)
    assert (pytest.approx(solver.base_lr), solver.stepsize, solver.max_iter) == rate
    assert solver.train_net == "imagenet_train.prototxt"
    assert list(solver.test_net) == ["imagenet_val.prototxt"]
    assert not solver.HasField("net") and not solver.HasField("random_seed") and not solver.HasField("type")


CASES = {
    "base_halfA": NetSpec("base", "A", 0, "A"),
    "transfer3_frozen": NetSpec("transfer", "A", 3, "B"),
    "transfer3_ft": NetSpec("transfer", "A", 3, "B", finetune=True),
    "selffer7_frozen": NetSpec("selffer", "A", 7, "A"),
}


@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize("case", CASES)
def test_equals_narrowed_originals(golden: Path, case: str, part: Any) -> None:
    """Four originals, narrowed so that Caffe could run them; field by field but for widths, batch and paths."""
    file = golden / "pipeline" / case / f"imagenet_{part}.prototxt"
    assert comparable(original(CASES[case], part)) == comparable(read_net(file))


def test_solver_has_the_fields_of_the_narrowed_ones(golden: Path) -> None:
    found = read_solver(golden / "pipeline" / "base_halfA" / "imagenet_solver.prototxt")
    ours = {field.name for field, _ in original(CASES["base_halfA"], "solver").ListFields()}
    assert ours <= {field.name for field, _ in found.ListFields()} | {"solver_mode"}


IGNORED = {
    "transform_param": ("crop_size", "mean_file"),
    "data_param": ("source", "batch_size", "backend"),
    "convolution_param": ("num_output",),
    "inner_product_param": ("num_output",),
}


def comparable(net: Any) -> Any:
    copy = caffe_pb2.NetParameter(name=net.name)
    for layer in net.layer:
        kept = copy.layer.add()
        kept.CopyFrom(layer)
        for param, fields in IGNORED.items():
            if kept.HasField(param):
                for field in fields:
                    getattr(kept, param).ClearField(field)
    return copy
