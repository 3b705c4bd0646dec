"""The generated definitions against the facts of the study and the upgraded originals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, filter_net, read_net, read_solver, text
from yosinski.net_names import DEMO, list_names, list_specs, parse_name
from yosinski.networks import write_nets
from yosinski.scales import Size

PROTOTXT = Path(__file__).parents[2] / "prototxt"
SIZES: tuple[Size, ...] = ("full", "mini")
WEIGHTED = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")

# name: (outputs, kernel, stride, pad, group, weight std, bias), as in the original training definitions.
CONV = {
    "conv1": (96, 11, 4, 0, 1, 0.01, 0),
    "conv2": (256, 5, 1, 2, 2, 0.01, 1),
    "conv3": (384, 3, 1, 1, 1, 0.01, 0),
    "conv4": (384, 3, 1, 1, 2, 0.01, 1),
    "conv5": (256, 3, 1, 1, 2, 0.01, 1),
}
FC = {"fc6": (4096, 0.005, 1), "fc7": (4096, 0.005, 1), "fc8": (1000, 0.01, 0)}


def net_of(name: str, size: Size = "full") -> Any:
    return text.parse(parse_name(name).definition(size), caffe_pb2.NetParameter, source=name)


def in_phase(net: Any, phase: int) -> Any:
    return filter_net(net, caffe_pb2.NetState(phase=phase))


def weighted(net: Any) -> dict[str, Any]:
    """The layers with weights, by their names without ``-new``."""
    return {layer.name.removesuffix("-new"): layer for layer in net.layer if layer.name.startswith(("conv", "fc"))}


def test_shipped_files_are_what_the_generator_writes(tmp_path: Path) -> None:
    written = write_nets(tmp_path, list_specs()) + write_nets(tmp_path / "mini", map(parse_name, DEMO), "mini")
    shipped = sorted(path.relative_to(PROTOTXT) for path in PROTOTXT.rglob("*") if path.is_file())
    assert sorted(path.relative_to(tmp_path) for path in written) == shipped
    for file in shipped:
        assert (PROTOTXT / file).read_text() == (tmp_path / file).read_text(), file


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", DEMO)
def test_shipped_files_are_up_to_date_prototxt(name: str, size: Size) -> None:
    path = PROTOTXT / ("mini" if size == "mini" else ".") / f"{name}.prototxt"
    net = read_net(path)
    assert net == net_of(name, size), "an upgrade changed it"
    assert net.name == name


def test_layers_of_the_full_net() -> None:
    layers = weighted(net_of("base_A"))
    assert tuple(layers) == WEIGHTED
    for name, (outputs, kernel, stride, pad, group, std, bias) in CONV.items():
        param = layers[name].convolution_param
        assert param.num_output == outputs
        assert list(param.kernel_size) == [kernel]
        assert (list(param.stride) or [1], list(param.pad) or [0], param.group) == ([stride], [pad], group)
        check_fillers(param, std, bias)
    for name, (outputs, std, bias) in FC.items():
        param = layers[name].inner_product_param
        assert param.num_output == outputs
        check_fillers(param, std, bias)


def check_fillers(param: Any, std: float, bias: float) -> None:
    assert (param.weight_filler.type, param.weight_filler.std) == ("gaussian", pytest.approx(std))
    assert (param.bias_filler.type, param.bias_filler.value) == ("constant", bias)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", list_names())
def test_names_and_multipliers(name: str, size: Size) -> None:
    """Layers above the cut are new and learn; those below are the base's, and learn only when fine-tuned.

    Without a base no layer is new, but those of a random net below the cut stay as they are.
    """
    spec, net = parse_name(name), net_of(name, size)
    for number, (plain, layer) in enumerate(weighted(net).items(), start=1):
        copied = spec.base_spec is None or number <= spec.n
        assert layer.name == plain + ("" if copied else "-new")
        assert list(layer.top) == [layer.name], "the originals rename the tops as well"
        learns = number > spec.n or spec.finetune
        mults = [(param.lr_mult, param.decay_mult) for param in layer.param]
        assert mults == ([(1, 1), (2, 0)] if learns else [(0, 0), (0, 0)])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("name", "base", "target"), [("base_B", "B", "B"), ("transfer_A3B", "A", "B")])
def test_data_layers(name: str, base: str, target: str, size: Size) -> None:
    """The target's images, less the base's mean, in training and in testing."""
    folder = "data" if size == "full" else "data/mini"
    expected = {
        caffe_pb2.TRAIN: (f"{folder}/{target}_train_lmdb", True, {"full": 256, "mini": 64}[size]),
        caffe_pb2.TEST: (f"{folder}/{target}_valid_lmdb", False, 50),
    }
    for phase, (source, mirror, batch) in expected.items():
        net = in_phase(net_of(name, size), phase)
        assert [layer.type for layer in net.layer].count("Data") == 1
        data = net.layer[0]
        assert list(data.top) == ["data", "label"]
        assert (data.data_param.source, data.data_param.batch_size) == (source, batch)
        assert data.data_param.backend == caffe_pb2.DataParameter.LMDB
        assert data.transform_param.mirror == mirror
        assert data.transform_param.mean_file == f"{folder}/{base}_mean.binaryproto"
        assert data.transform_param.crop_size == {"full": 227, "mini": 24}[size]
        assert data.transform_param.scale == 1


def test_both_phases_measure_the_loss_and_testing_the_accuracy() -> None:
    tails = {phase: [layer.type for layer in in_phase(net_of("base_A"), phase).layer][23:] for phase in (0, 1)}
    assert tails == {caffe_pb2.TRAIN: ["SoftmaxWithLoss"], caffe_pb2.TEST: ["Accuracy", "SoftmaxWithLoss"]}


@pytest.mark.parametrize("name", ["base_A", "transfer_A3B"])
def test_mini_has_the_shape_of_the_full_net(name: str) -> None:
    full, mini = net_of(name), net_of(name, "mini")
    keep = [(layer.name, layer.type, list(layer.bottom), list(layer.top)) for layer in full.layer]
    assert [(layer.name, layer.type, list(layer.bottom), list(layer.top)) for layer in mini.layer] == keep
    groups = [layer.convolution_param.group for layer in mini.layer if layer.type == "Convolution"]
    assert groups == [1, 2, 1, 2, 2]


@pytest.mark.parametrize("size", SIZES)
def test_deploy_fits_the_weights(size: Size) -> None:
    spec = parse_name("transfer_A3B")
    net = text.parse(spec.deploy(size), caffe_pb2.NetParameter)
    trained = net_of(spec.name, size)
    assert list(weighted(net)) == list(WEIGHTED)
    assert [layer.name for layer in weighted(net).values()] == [layer.name for layer in weighted(trained).values()]
    assert (net.layer[0].type, net.layer[-1].type) == ("Input", "Softmax")
    assert list(net.layer[-1].top) == ["prob"]
    shape = list(net.layer[0].input_param.shape[0].dim)
    assert shape == {"full": [1, 3, 227, 227], "mini": [1, 1, 24, 24]}[size]
    assert not any(layer.param for layer in net.layer)


def test_solver_is_the_study_s() -> None:
    solver = read_solver(PROTOTXT / "solver.prototxt")
    expected = {
        "net": "prototxt/base_A.prototxt",
        "base_lr": 0.01,
        "lr_policy": "step",
        "gamma": 0.1,
        "stepsize": 100000,
        "momentum": 0.9,
        "weight_decay": 0.0005,
        "max_iter": 450000,
        "test_interval": 1000,
        "display": 20,
        "snapshot": 10000,
        "solver_mode": caffe_pb2.SolverParameter.GPU,
    }
    for field, value in expected.items():
        found = getattr(solver, field)
        assert found == (pytest.approx(value) if isinstance(value, float) else value), field
    assert list(solver.test_iter) == [1000]


def test_solver_on_fewer_images_is_shorter() -> None:
    solver, reduced = (read_solver(PROTOTXT / folder / "solver.prototxt") for folder in (".", "reduced"))
    assert (reduced.base_lr, reduced.stepsize, reduced.max_iter) == (pytest.approx(0.0125), 64000, 200000)
    for field in ("base_lr", "stepsize", "max_iter", "net"):
        solver.ClearField(field)
        reduced.ClearField(field)
    assert reduced == solver


def test_solvers_name_nets_that_exist() -> None:
    for solver in PROTOTXT.rglob("solver.prototxt"):
        assert (PROTOTXT.parent / read_solver(solver).net).is_file()


CASES = {
    "base_halfA": "base_A",
    "transfer3_frozen": "transfer_A3B",
    "transfer3_ft": "transfer_A3B+",
    "selffer7_frozen": "selffer_A7A",
}


@pytest.mark.parametrize(("case", "name"), CASES.items())
def test_training_net_equals_the_upgraded_original(golden: Path, case: str, name: str) -> None:
    """Field by field, but for the width, the paths, and the loss, which has a top here so that it is printed."""
    original = read_net(golden / "pipeline" / case / "imagenet_train.prototxt")
    ours = in_phase(net_of(name), caffe_pb2.TRAIN)
    assert list(ours.layer[-1].top) == ["loss"]
    ours.layer[-1].ClearField("top")
    assert comparable(ours) == comparable(original)


@pytest.mark.parametrize(("case", "name"), CASES.items())
def test_testing_net_equals_the_upgraded_original(golden: Path, case: str, name: str) -> None:
    """As far as fc8; the originals say nothing of fillers and rates there."""
    original = read_net(golden / "pipeline" / case / "imagenet_val.prototxt")
    ours = in_phase(net_of(name), caffe_pb2.TEST)
    for layer in ours.layer:
        layer.ClearField("param")
        for param in ("convolution_param", "inner_product_param"):
            if layer.HasField(param):
                getattr(layer, param).ClearField("weight_filler")
                getattr(layer, param).ClearField("bias_filler")
    assert comparable(ours)[:23] == comparable(original)[:23]


IGNORED = {
    "transform_param": ("crop_size", "mean_file"),
    "data_param": ("source", "batch_size", "backend"),
    "convolution_param": ("num_output",),
    "inner_product_param": ("num_output",),
}


def comparable(net: Any) -> list[str]:
    """Each layer as text, without what differs between a narrow net on LevelDB and the study's."""
    layers = []
    for layer in net.layer:
        copy = type(layer)()
        copy.CopyFrom(layer)
        copy.ClearField("include")
        for param, fields in IGNORED.items():
            if copy.HasField(param):
                for field in fields:
                    getattr(copy, param).ClearField(field)
        layers.append(str(copy))
    return layers


SHAPES = {
    "full": {"conv1": (96, 55, 55), "pool1": (96, 27, 27), "conv2": (256, 27, 27), "pool2": (256, 13, 13)}
    | {"conv3": (384, 13, 13), "conv4-new": (384, 13, 13), "conv5-new": (256, 13, 13), "pool5": (256, 6, 6)}
    | {"fc6-new": (4096,), "fc7-new": (4096,), "fc8-new": (1000,), "prob": (1000,)},
    "mini": {"conv1": (16, 24, 24), "pool1": (16, 12, 12), "conv2": (32, 12, 12), "pool2": (32, 6, 6)}
    | {"conv3": (48, 6, 6), "conv4-new": (48, 6, 6), "conv5-new": (32, 6, 6), "pool5": (32, 3, 3)}
    | {"fc6-new": (128,), "fc7-new": (128,), "fc8-new": (10,), "prob": (10,)},
}


@pytest.mark.parametrize("size", SIZES)
def test_shapes(size: Size) -> None:
    param = text.parse(parse_name("transfer_A3B").deploy(size), caffe_pb2.NetParameter)
    net = Net(param, caffe_pb2.TEST)
    shapes = {name: tuple(blob.data.shape) for name, blob in net.blobs.items()}
    for name, shape in SHAPES[size].items():
        assert shapes[name] == (1, *shape), name
