"""Upgrades: Caffe's own results in tests/golden/upgrade, then the rules that those files do not reach."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2, read_net, read_solver, read_weights, text, upgrade_net
from caffe_compat.proto.upgrade import files, net_needs_upgrade
from caffe_compat.proto.upgrade.v0 import MOVES, V1_TYPES
from caffe_compat.proto.upgrade.v1 import V2_TYPES

GOLDEN = Path(__file__).parents[2] / "golden" / "upgrade"
CASES = {case["name"]: case for case in json.loads((GOLDEN / "index.json").read_text())["cases"]}


def upgraded(source: str) -> Any:
    net = text.parse(source, caffe_pb2.NetParameter)
    upgrade_net(net, "net.prototxt")
    assert not net_needs_upgrade(net)
    return net


@pytest.mark.parametrize("name", CASES)
def test_files_and_logs_are_caffes(name: str, golden_root: Path, tmp_path: Path, log: Any) -> None:
    case = CASES[name]
    source, target = f"upgrade/{case['input']}", tmp_path / f"out{Path(case['input']).suffix}"
    want_log = [line for line in case["log"] if line[:2] != "F " and "Failed to parse" not in line]
    kind = "solver" if case["kind"] == "solver" else "net"
    if case["output"] is None:
        with pytest.raises(CaffeError) as caught:
            files.upgrade_file(kind, source, target)
        assert str(caught.value).startswith(source) and not target.exists()
        if case["rc"] < 0:
            assert log.lines == want_log
            message = str(caught.value).removeprefix(f"{source}: ").split('": ')[-1]  # less the layer's name
            assert case["log"][-1].endswith(message)
        return
    assert files.upgrade_file(kind, source, target) == (case["rc"] == 0)
    assert [line.replace(str(target), f"upgrade/{case['output']}") for line in log.lines] == want_log
    assert target.read_bytes() == Path("upgrade", case["output"]).read_bytes()


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_old_weights_are_read_as_caffe_upgrades_them(version: str) -> None:
    net = caffe_pb2.NetParameter.FromString(read_weights(GOLDEN / f"binary/{version}.caffemodel").SerializeToString())
    for layer in net.layer:
        assert all(blob.data for blob in layer.blobs)
        for blob in layer.blobs:
            blob.ClearField("data")
    assert net == text.read(GOLDEN / f"binary/{version}_upgraded.txt", caffe_pb2.NetParameter)


def test_a_net_of_todays_form_is_left_alone(log: Any) -> None:
    source = (
        "input_dim: 3 layer { name: 'bn' type: 'BatchNorm' param { } } layer { type: 'Data' data_param { scale: 2 } }"
    )
    net = text.parse(source, caffe_pb2.NetParameter)
    assert upgrade_net(net, "x") and net == text.parse(source, caffe_pb2.NetParameter)
    assert log.lines == []


# V0


@pytest.mark.parametrize("kind", V1_TYPES)
def test_every_v0_type_has_a_name_today(kind: str) -> None:
    (layer,) = upgraded(f"layers {{ layer {{ name: 'x' type: '{kind}' }} }}").layer
    assert (layer.name, layer.type) == ("x", V2_TYPES[V1_TYPES[kind]])


@pytest.mark.parametrize(
    ("move", "kind"), [(move, kind) for move in MOVES for kind in move.places], ids=lambda x: getattr(x, "field", x)
)
def test_every_v0_field_arrives(move: Any, kind: str, log: Any) -> None:
    v0 = caffe_pb2.V0LayerParameter(type=kind)
    field = v0.DESCRIPTOR.fields_by_name[move.field]
    value: Any = {
        field.CPPTYPE_STRING: "s",
        field.CPPTYPE_BOOL: True,
        field.CPPTYPE_FLOAT: 0.375,
        field.CPPTYPE_ENUM: 2,
    }.get(field.cpp_type, 7)
    if move.field == "hdf5_output_param":
        v0.hdf5_output_param.file_name = "f"
    elif field.message_type is not None:
        getattr(v0, move.field).type = "xavier"
    else:
        setattr(v0, move.field, value)
    net = caffe_pb2.NetParameter(layers=[{"layer": v0}])
    assert upgrade_net(net, "x")
    message_name, name = move.places[kind]
    got = getattr(getattr(net.layer[0], message_name) if message_name else net.layer[0], name)
    want = getattr(v0, move.field)
    assert (list(got) if text.is_repeated(_descriptor(net.layer[0], message_name, name)) else [got]) == [want]
    assert not [line for line in log.lines if line.startswith("E")]


def _descriptor(layer: Any, message_name: str, name: str) -> Any:
    return (getattr(layer, message_name) if message_name else layer).DESCRIPTOR.fields_by_name[name]


@pytest.mark.parametrize("move", MOVES, ids=lambda move: move.field)
def test_a_v0_field_without_a_place_is_lost_and_reported(move: Any, log: Any) -> None:
    v0 = caffe_pb2.V0LayerParameter(name="x", type="bnll")
    field = v0.DESCRIPTOR.fields_by_name[move.field]
    if field.message_type is not None:
        getattr(v0, move.field).SetInParent()
    else:
        setattr(v0, move.field, "s" if field.cpp_type == field.CPPTYPE_STRING else 1)
    net = caffe_pb2.NetParameter(layers=[{"layer": v0}])
    assert not upgrade_net(net, "x")
    assert net == text.parse("layer { name: 'x' type: 'BNLL' }", caffe_pb2.NetParameter)
    name = "shuffle" if move.field == "shuffle_images" else move.field
    assert log.lines[1] == f"E upgrade_proto.cpp:{move.line}] Unknown parameter {name} for layer type bnll"


def test_transform_fields_of_v0_go_to_any_layer() -> None:
    (layer,) = upgraded("layers { layer { type: 'relu' scale: 2 meanfile: 'm' cropsize: 3 mirror: true } }").layer
    assert text.format(layer.transform_param) == 'scale: 2\nmirror: true\ncrop_size: 3\nmean_file: "m"\n'


def test_v0_blobs_and_rates_come_along() -> None:
    source = "layers { layer { type: 'conv' blobs { data: 2 } blobs { } blobs_lr: 3 blobs_lr: 4 weight_decay: 5 } }"
    (layer,) = upgraded(source).layer
    assert [list(blob.data) for blob in layer.blobs] == [[2], []]
    assert [(spec.lr_mult, spec.decay_mult) for spec in layer.param] == [(3, 5), (4, 1)]
    assert [spec.HasField("decay_mult") for spec in layer.param] == [True, False]


PADDED = """
    input: 'x' input_dim: 1 input_dim: 1 input_dim: 9 input_dim: 9
    layers {{ layer {{ name: 'pad' type: 'padding' pad: 2 }} bottom: 'x' top: 'p' }}
    {0}
"""


@pytest.mark.parametrize("kind", ["conv", "pool"])
def test_padding_becomes_a_field_of_all_its_readers(kind: str) -> None:
    readers = [f"layers {{ layer {{ name: '{i}' type: '{kind}' pad: 9 }} bottom: 'p' top: '{i}' }}" for i in "ab"]
    net = upgraded(PADDED.format(" ".join(readers)))
    assert [(layer.name, list(layer.bottom)) for layer in net.layer] == [("input", []), ("a", ["x"]), ("b", ["x"])]
    param = "convolution_param" if kind == "conv" else "pooling_param"
    pads = [getattr(layer, param).pad for layer in net.layer[1:]]
    assert pads == ([[2], [2]] if kind == "conv" else [2, 2])


def test_a_blob_that_a_later_layer_overwrites_is_padded_no_more() -> None:
    net = upgraded(PADDED.format("layers { bottom: 'x' top: 'p' } layers { layer { type: 'conv' } bottom: 'p' }"))
    assert [list(layer.bottom) for layer in net.layer] == [[], ["x"], ["p"]]
    assert not net.layer[2].convolution_param.pad


@pytest.mark.parametrize(
    ("reader", "message"),
    [
        ("layers { layer { name: 'r' type: 'relu' } bottom: 'p' }", "non-pooling layer type relu"),
        ("layers { layer { name: 'r' type: 'padding' } bottom: 'p' top: 'q' }", "non-pooling layer type padding"),
        ("layers { layer { name: 'r' type: 'conv' } bottom: 'p' bottom: 'x' }", "Conv Layer takes a single blob"),
        ("layers { layer { name: 'r' type: 'conv' } bottom: 'x' bottom: 'y' }", "Unknown blob input y to layer 1"),
        (
            "layers { layer { type: 'padding' } bottom: 'x' bottom: 'x' top: 'q' } "
            "layers { layer { name: 'r' type: 'conv' } bottom: 'q' }",
            "Padding Layer takes a single blob",
        ),
        (
            "layers { layer { type: 'padding' } bottom: 'x' top: 'q' top: 'r' } "
            "layers { layer { name: 'r' type: 'conv' } bottom: 'q' }",
            "Padding Layer produces a single blob",
        ),
    ],
)
def test_padding_that_cannot_be_merged_is_refused(reader: str, message: str) -> None:
    with pytest.raises(CaffeError, match=f'^net.prototxt: layer "r": .*{message}'):
        upgraded(PADDED.format(reader))


def test_v0_nets_lose_what_v0_did_not_have() -> None:
    net = upgraded("input: 'x' input_shape { dim: 1 } state { level: 1 } layers { layer { type: 'bnll' } bottom: 'x' }")
    assert text.format(net) == 'layer {\n  type: "BNLL"\n  bottom: "x"\n}\n'
    assert upgraded("force_backward: true name: 'n' layers { layer { } }").force_backward


# V1 and later


def test_every_v1_type_has_a_name_today() -> None:
    assert set(V2_TYPES) == set(caffe_pb2.V1LayerParameter.LayerType.keys())
    assert not upgraded("layers { name: 'x' }").layer[0].HasField("type")
    assert upgraded("layers { type: NONE }").layer[0].HasField("type")


def test_every_v1_field_has_a_place_today() -> None:
    v1 = caffe_pb2.V1LayerParameter.DESCRIPTOR.fields_by_name
    v2 = caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_name
    gone = {"layer", "param", "blob_share_mode", "blobs_lr", "weight_decay", "type"}
    assert all(v1[name].message_type == v2[name].message_type for name in set(v1) - gone)
    messages = {name: {} for name, field in v1.items() if name.endswith("_param") and field.message_type}
    net = caffe_pb2.NetParameter(layers=[messages])
    upgrade_net(net, "x")
    assert {field.name for field, _ in net.layer[0].ListFields()} == set(messages)


def test_one_old_data_layer_gives_all_of_them_a_transform_param() -> None:
    net = upgraded("layers { type: DATA data_param { scale: 2 } } layers { type: IMAGE_DATA } layers { type: RELU }")
    assert [layer.HasField("transform_param") for layer in net.layer] == [True, True, False]
    assert [layer.HasField("image_data_param") for layer in net.layer] == [False, True, False]


def test_inputs_come_first_in_one_layer() -> None:
    net = upgraded(
        "input: 'a' input_shape { dim: 2 dim: 3 } input: 'b' input_shape { } layer { name: 'r' bottom: 'a' }"
    )
    assert [(layer.name, layer.type) for layer in net.layer] == [("input", "Input"), ("r", "")]
    assert [list(shape.dim) for shape in net.layer[0].input_param.shape] == [[2, 3], []]
    assert list(net.layer[0].top) == ["a", "b"] and not net.input and not net.input_shape


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("input: 'a' input: 'b' input_shape { dim: 1 }", 'no input_shape for input "b"'),
        ("input: 'a' input_dim: 1 input_dim: 2", '2 input_dim left for input "a"'),
    ],
)
def test_inputs_without_a_shape_are_refused(source: str, message: str) -> None:
    with pytest.raises(CaffeError, match=f"^net.prototxt: {message}"):
        upgraded(source)


# Files


def test_reading_upgrades(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text("layers { type: SOFTMAX_LOSS name: 'loss' }")
    assert read_net(path).layer[0].type == "SoftmaxWithLoss"


def test_snapshots_are_named_after_the_solver(tmp_path: Path, log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("run")
    folder.mkdir()
    path = "./run/my.solver.prototxt"
    for prefix, want in (
        (None, "./run/my.solver"),
        ("./run", "./run/my.solver"),
        ("run/", "run/my.solver"),
        ("x", "x"),
        ("", ""),
    ):
        Path(path).write_text("solver_type: ADAM" + (f" snapshot_prefix: '{prefix}'" if prefix is not None else ""))
        solver = read_solver(path)
        assert (solver.type, solver.snapshot_prefix) == ("Adam", want)
    assert [line for line in log.lines if "snapshot_prefix" in line] == [
        "I upgrade_proto.cpp:1108] snapshot_prefix was not specified and is set to ./run/my.solver",
        "I upgrade_proto.cpp:1113] snapshot_prefix was a directory and is replaced to ./run/my.solver",
        "I upgrade_proto.cpp:1113] snapshot_prefix was a directory and is replaced to run/my.solver",
    ]


def test_a_refused_file_leaves_the_target_alone(tmp_path: Path) -> None:
    source, target = tmp_path / "in.prototxt", tmp_path / "out.prototxt"
    source.write_text("layers { layer { type: 'nonesuch' } }")
    target.write_text("before")
    with pytest.raises(CaffeError, match="Unknown layer name: nonesuch"):
        files.upgrade_file("net", source, target)
    assert target.read_text() == "before" and len(list(tmp_path.iterdir())) == 2
