"""Properties of any net: random ones, sequential and branching, go through texts, upgrades and model files unharmed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import caffe_compat as caffe
from caffe_compat import weights
from caffe_compat.layers.registry import create_layer
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, read_weights, text, upgrade_net

Draw = Callable[[st.SearchStrategy[Any]], Any]
Shape = tuple[int, ...]

some = settings(max_examples=50, deadline=None)
small = st.integers(1, 3)
flag = st.booleans()
number = st.sampled_from([0.5, 0.1, 1.0, 1e-3, -0.25])
filler = st.fixed_dictionaries(
    {"type": st.sampled_from(["gaussian", "uniform", "xavier", "msra"])}, optional={"std": st.just(0.2)}
)
window = {"kernel_size": st.integers(1, 2), "stride": st.integers(1, 2), "pad": st.integers(0, 1)}
windows = {name: st.lists(value, min_size=1, max_size=1) for name, value in window.items()}
unpadded = {name: windows[name] for name in ("kernel_size", "stride")}
dense = {"num_output": st.integers(1, 4), "weight_filler": filler}

# Fields that a type's own message has to have, and those that it may have.
ANY_SHAPE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "AbsVal": ({}, {}),
    "BNLL": ({}, {}),
    "Dropout": ({}, {"dropout_ratio": st.sampled_from([0.25, 0.5])}),
    "ELU": ({}, {"alpha": number}),
    "Exp": ({"scale": st.sampled_from([0.1, -0.05])}, {"base": st.sampled_from([-1.0, 2.0]), "shift": number}),
    "Flatten": ({}, {"axis": st.just(1)}),
    "InnerProduct": (dense, {"bias_term": flag, "bias_filler": filler}),
    "Power": ({}, {"power": st.sampled_from([1.0, 2.0]), "scale": number, "shift": number}),
    "ReLU": ({}, {"negative_slope": number}),
    "Scale": ({"filler": filler}, {"axis": st.just(1), "bias_term": flag}),
    "Bias": ({"filler": filler}, {"axis": st.just(1)}),
    "Sigmoid": ({}, {}),
    "Softmax": ({}, {"axis": st.just(1)}),
    "TanH": ({}, {}),
}
IMAGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "BatchNorm": ({"eps": st.just(0.1)}, {"moving_average_fraction": st.just(0.9)}),
    "Convolution": (dense, {"bias_term": flag, "bias_filler": filler, "kernel_size": windows["kernel_size"]} | windows),
    "Deconvolution": ({"num_output": st.integers(1, 2), "weight_filler": filler}, {"bias_term": flag} | unpadded),
    "Im2col": (windows, {}),
    "LRN": (
        {"local_size": st.sampled_from([1, 3])},
        {"norm_region": st.sampled_from([0, 1]), "alpha": st.sampled_from([0.5, 1e-4]), "beta": number},
    ),
    "MVN": ({"eps": st.just(0.1)}, {"across_channels": flag, "normalize_variance": flag}),
    "PReLU": ({"filler": st.just({"type": "gaussian", "std": 0.2})}, {"channel_shared": flag}),
    "Pooling": ({"kernel_size": st.just(2)}, {"pool": st.sampled_from([0, 1]), "stride": st.integers(1, 2)}),
}
FIELD = {"BatchNorm": "batch_norm", "InnerProduct": "inner_product", "Im2col": "convolution", "PReLU": "prelu"}
FIELD["Deconvolution"] = "convolution"
# Those whose gradient in place is the same: Caffe's backward reads nothing but the top, the bottom's sign, or a copy.
IN_PLACE = {"BatchNorm", "Bias", "Dropout", "ELU", "Exp", "PReLU", "ReLU", "Scale", "Sigmoid", "TanH"}
GROWS = {"Deconvolution", "Im2col"}
LEARNS = {"Convolution": 2, "Deconvolution": 2, "InnerProduct": 2, "Scale": 1, "Bias": 1, "PReLU": 1}
RULES = [[], [{"phase": 0}, {"phase": 1}], [{"min_level": 0}], [{"not_stage": ["never"]}]]  # met in every state

V1_TYPES = {name.replace("_", "").lower(): value for name, value in caffe_pb2.V1LayerParameter.LayerType.items()}
V1_TYPES["softmaxwithloss"] = V1_TYPES["softmaxloss"]


@st.composite
def nets(draw: Draw, v1: bool = False) -> Any:
    """A valid net of up to eight layers behind ``data`` (4 axes), any blob read by any number of them; a loss ends it.

    ``v1``: of layer types that were there before 2015, and their fields.
    """
    shapes: dict[str, Shape] = {"data": (2, draw(small), draw(st.integers(3, 6)), draw(st.integers(3, 6)))}
    net = caffe_pb2.NetParameter(name=draw(st.text("ab é\"'\\\n", max_size=4)))
    net.layer.add(name="input", type="Input", top=["data", "label"])
    net.layer[0].input_param.shape.add(dim=shapes["data"])
    net.layer[0].input_param.shape.add(dim=[2])
    if draw(flag):
        net.force_backward = True
    read: set[str] = set()
    for i in range(draw(st.integers(1, 8))):
        layer = draw(layers(f"layer{i}", shapes, read, v1))
        net.layer.append(layer)
        read |= set(layer.bottom) - set(layer.top)
        tops = create_layer(layer, caffe_pb2.TEST)
        bottoms = [shapes[name] for name in layer.bottom]
        tops.setup(bottoms)
        shapes.update(zip(layer.top, tops.reshape(bottoms)))
    ends = [name for name in shapes if name not in read] or ["data"]
    net.layer.add(name="score", type="InnerProduct", bottom=[ends[-1]], top=["score"])
    net.layer[-1].inner_product_param.CopyFrom(
        caffe_pb2.InnerProductParameter(num_output=3, weight_filler={"type": "xavier"})
    )
    net.layer.add(name="loss", type="SoftmaxWithLoss", bottom=["score", "label"], top=["loss"])
    if draw(flag):
        net.layer[-1].loss_weight.append(2)
    return net


@st.composite
def layers(draw: Draw, name: str, shapes: dict[str, Shape], read: set[str], v1: bool) -> Any:
    blob = draw(st.sampled_from([*shapes, *[list(shapes)[-1]] * 3]))  # mostly in sequence, else they branch
    shape = shapes[blob]
    table = dict(ANY_SHAPE)
    if len(shape) == 4 and min(shape[2:]) >= 2:
        table |= {kind: fields for kind, fields in IMAGES.items() if kind not in GROWS or np.prod(shape) < 300}
    twins = [other for other, its in shapes.items() if its == shape]
    kinds = [*table, "Concat", "Eltwise", *(["Slice"] if shape[1] > 1 else [])]
    if v1:
        kinds = [kind for kind in kinds if kind.lower() in V1_TYPES]
    kind = draw(st.sampled_from(kinds))
    layer = caffe_pb2.LayerParameter(name=name, type=kind, bottom=[blob], top=[name])
    layer.include.extend(caffe_pb2.NetStateRule(**rule) for rule in draw(st.sampled_from(RULES)))
    if kind in ("Concat", "Eltwise"):
        layer.bottom.append(draw(st.sampled_from(twins)))
        if kind == "Eltwise":
            layer.eltwise_param.operation = draw(st.sampled_from([0, 1, 2]))
        return layer
    if kind == "Slice":
        layer.top.append(f"{name}_rest")
        layer.slice_param.slice_point.append(draw(st.integers(1, shape[1] - 1)))
        return layer
    needed, optional = table[kind]
    fields = draw(st.fixed_dictionaries(needed, optional={k: v for k, v in optional.items() if k not in needed}))
    if kind in ("Convolution", "Deconvolution"):
        fields.setdefault("kernel_size", [2])
    place = f"{FIELD.get(kind, kind.lower())}_param"
    if fields and not (v1 and place not in caffe_pb2.V1LayerParameter.DESCRIPTOR.fields_by_name):
        getattr(layer, place).CopyFrom(type(getattr(layer, place))(**fields))
    if kind in LEARNS:
        spec = st.fixed_dictionaries({}, optional={"lr_mult": number, "decay_mult": number})
        specs = draw(st.lists(spec, max_size=1))
        layer.param.extend(caffe_pb2.ParamSpec(**spec) for spec in specs)
        if specs and draw(flag):
            layer.param[0].name = f"{name}_w"
    keeps_sign = min(fields.get("negative_slope", 0), fields.get("alpha", 0)) >= 0
    if (
        kind in IN_PLACE
        and keeps_sign
        and blob not in read
        and blob != "data"
        and draw(st.sampled_from([True, True, False]))
    ):
        layer.top[0] = blob
    return layer


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def build(net: Any, phase: int = caffe_pb2.TEST, seed: int = 1) -> Net:
    caffe.set_random_seed(seed)
    return Net(net, phase)


def run(net: Net) -> dict[str, np.ndarray]:
    """All blobs after a pass each way on the same data, and all gradients."""
    caffe.set_random_seed(3)
    rng = np.random.default_rng(0)
    net.blobs["data"].data[...] = rng.normal(size=net.blobs["data"].shape)
    net.blobs["label"].data.flat[:] = [0, 2]
    net.clear_param_diffs()
    net.forward_backward()
    values = {name: blob.data.copy() for name, blob in net.blobs.items()}
    params = {f"{name} {i}": blob.diff.copy() for name, blobs in net.params.items() for i, blob in enumerate(blobs)}
    return values | params


def assert_same(got: dict[str, np.ndarray], want: dict[str, np.ndarray]) -> None:
    assert got.keys() == want.keys()
    for name, value in want.items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)


# Texts and upgrades


@some
@given(nets())
def test_text_to_upgrade_to_text(net: Any) -> None:
    written = text.format(net)
    again = text.parse(written, caffe_pb2.NetParameter)
    assert again == net
    assert upgrade_net(again, "net.prototxt")
    assert text.format(again) == written


def as_v1(net: Any, dims: bool) -> Any:
    """The net as it was written in 2014: ``layers`` with types in capitals, inputs and rates in lists of their own."""
    old = caffe_pb2.NetParameter(name=net.name, input=net.layer[0].top)
    if net.HasField("force_backward"):
        old.force_backward = net.force_backward
    for shape in net.layer[0].input_param.shape:
        if dims:
            old.input_dim.extend((*shape.dim, 1, 1, 1)[:4])
        else:
            old.input_shape.add(dim=shape.dim)
    for layer in itertools.islice(net.layer, 1, None):
        v1 = old.layers.add(name=layer.name, type=V1_TYPES[layer.type.lower()], bottom=layer.bottom, top=layer.top)
        v1.include.extend(layer.include)
        v1.loss_weight.extend(layer.loss_weight)
        v1.param.extend(spec.name for spec in layer.param if spec.name)
        v1.blobs_lr.extend(spec.lr_mult for spec in layer.param if spec.HasField("lr_mult"))
        v1.weight_decay.extend(spec.decay_mult for spec in layer.param if spec.HasField("decay_mult"))
        for field, value in layer.ListFields():
            if field.name.endswith("_param"):
                getattr(v1, field.name).CopyFrom(value)
    return old


@some
@given(nets(v1=True), flag)
def test_v1_nets_become_what_they_are_today(net: Any, dims: bool) -> None:
    for layer in net.layer:
        if layer.param and not layer.param[0].ListFields():
            del layer.param[:]  # an empty ParamSpec has no form in V1
    source = text.format(as_v1(net, dims))
    if dims:
        net.layer[0].input_param.shape[1].dim.extend([1, 1, 1])
    old = text.parse(source, caffe_pb2.NetParameter)
    assert upgrade_net(old, "net.prototxt")
    assert text.format(old) == text.format(net)
    assert_same(run(build(old)), run(build(net)))


# Models


@some
@given(net=nets(), suffix=st.sampled_from([".caffemodel", ".caffemodel.h5"]))
def test_model_to_net_to_model(tmp_path_factory: pytest.TempPathFactory, net: Any, suffix: str) -> None:
    folder = tmp_path_factory.mktemp("models")
    first, second = folder / f"first{suffix}", folder / f"second{suffix}"
    one, two = build(net, seed=1), build(net, seed=2)
    weights.save(one, first)
    two.copy_from(first)
    weights.save(two, second)
    assert first.read_bytes() == second.read_bytes()
    assert_same(run(two), run(one))


@some
@given(nets())
def test_a_model_is_a_definition_too(tmp_path_factory: pytest.TempPathFactory, net: Any) -> None:
    """What a caffemodel says of its layers, splits included, builds the same net; from the second on to the byte."""
    path = tmp_path_factory.mktemp("models") / "net.caffemodel"

    def rebuilt(saved: Net) -> Net:
        weights.save(saved, path)
        definition = caffe_pb2.NetParameter.FromString(read_weights(path).SerializeToString())
        for layer in definition.layer:
            del layer.blobs[:]
        definition.force_backward = net.force_backward  # a model does not say it, and gradients' sums depend on it
        again = build(definition, seed=2)
        again.copy_from(path)
        return again

    one = build(net)
    two = rebuilt(one)
    assert_same(run(two), run(one))
    three = rebuilt(two)
    assert three.to_proto().SerializeToString() == path.read_bytes()


# Passes


@some
@given(nets(), st.sampled_from([caffe_pb2.TRAIN, caffe_pb2.TEST]))
def test_in_place_layers_change_nothing(net: Any, phase: int) -> None:
    """A net computes the same loss and gradients with every layer writing a blob of its own."""
    apart = caffe_pb2.NetParameter()
    apart.CopyFrom(net)
    now: dict[str, str] = {}  # a blob's name in the net -> its last version's
    for layer in apart.layer:
        in_place = layer.bottom[:1] == layer.top[:1]
        layer.bottom[:] = [now.get(name, name) for name in layer.bottom]
        if in_place:
            now[layer.top[0]] = layer.top[0] = f"{layer.name}_apart"
    got, want = run(build(net, phase)), run(build(apart, phase))
    kept = [name for name in got if " " in name or name == "loss"]
    assert_same({name: got[name] for name in kept}, {name: want[name] for name in kept})
