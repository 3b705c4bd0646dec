"""The text form: what C++ protobuf accepts and refuses, messages there and back, errors that help."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto
from hypothesis import given, settings
from hypothesis import strategies as st

from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2, text

GOLDEN = Path(__file__).parents[2] / "golden"
PROTOTXTS = sorted((GOLDEN / "upgrade" / "cases").glob("*.prototxt"))


def solver(source: str) -> Any:
    return text.parse(source, caffe_pb2.SolverParameter)


def net(source: str) -> Any:
    return text.parse(source, caffe_pb2.NetParameter)


@pytest.mark.parametrize(
    ("source", "field", "value"),
    [
        ("base_lr: 1.f", "base_lr", 1),
        ("base_lr: 1f", "base_lr", 1),
        ("base_lr: - 2", "base_lr", -2),
        ("base_lr: .5e1", "base_lr", 5),
        ("base_lr: 1.", "base_lr", 1),
        ("base_lr: -InF", "base_lr", -math.inf),
        ("base_lr: 1e99", "base_lr", math.inf),
        ("base_lr: 0", "base_lr", 0),
        ("max_iter: 0x1F", "max_iter", 31),
        ("max_iter: 017", "max_iter", 15),
        ("max_iter: -2147483648", "max_iter", -(2**31)),
        ("random_seed: -9223372036854775808", "random_seed", -(2**63)),
        ("solver_mode: 0", "solver_mode", caffe_pb2.SolverParameter.CPU),
        ("solver_mode: CPU", "solver_mode", caffe_pb2.SolverParameter.CPU),
        ("debug_info: t", "debug_info", True),
        ("debug_info: True", "debug_info", True),
        ("debug_info: f", "debug_info", False),
        ("debug_info: 0x1", "debug_info", True),
        ("net: 'a' \"b\"  # c\n 'd'", "net", "abd"),
        (r"net: '\x41\102\'\n\?\u00e9\303\251'", "net", "AB'\n?éé"),
        (r"net: '\ud83d\ude00\U0001f600\U0000d83d\ude00'", "net", "\U0001f600" * 3),
        (r"net: '\U00110000'", "net", r"\U00110000"),
        ("# only\n#comments\nnet:\t'a'\r\n;", "net", "a"),
        ("net: 'a', type: 'b'; momentum: 1", "momentum", 1),
        ("test_iter: [1, 2,3]", "test_iter", [1, 2, 3]),
        ("test_iter: [] test_iter: 4", "test_iter", [4]),
        ("test_iter: 1 test_iter: [2]", "test_iter", [1, 2]),
    ],
)
def test_spellings_that_caffe_reads(source: str, field: str, value: Any) -> None:
    assert getattr(solver(source), field) == value


@pytest.mark.parametrize(
    "source",
    [
        "layer { name: 'a' } layer { name: 'b' }",
        "layer: { name: 'a' }, layer: < name: 'b' >;",
        "layer [ { name: 'a' }, < name: 'b' > ]",
        "layer: [ { name: 'a' } ] layer{name:'b'}",
    ],
)
def test_messages_in_all_their_brackets(source: str) -> None:
    assert [layer.name for layer in net(source).layer] == ["a", "b"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("bas_lr: 1", '1:1: SolverParameter has no field "bas_lr"; the nearest is "base_lr"'),
        ("\n  Net: 'x'", '2:3: SolverParameter has no field "Net"; the nearest is "net"'),
        ("xyzzy: 1", '1:1: SolverParameter has no field "xyzzy"'),
        ("[caffe.x]: 1", '1:1: SolverParameter: expected a field name, not "["'),
        ("5: 1", '1:1: SolverParameter: expected a field name, not "5"'),
        ("base_lr 1", '1:9: expected ":" after "base_lr", not "1"'),
        ("base_lr:", "1:9: SolverParameter.base_lr takes a number, not the end of the file"),
        ("base_lr: x", '1:10: SolverParameter.base_lr takes a number, not "x"'),
        ("base_lr: 0x1", '1:10: SolverParameter.base_lr takes a number, not "0x1"'),
        ("base_lr: 010", '1:10: SolverParameter.base_lr takes a number, not "010"'),
        ("base_lr: 1.2.3", '1:10: SolverParameter.base_lr takes a number, not malformed number "1.2.3"'),
        ("base_lr: 1e", '1:10: SolverParameter.base_lr takes a number, not malformed number "1e"'),
        ("max_iter: 08", '1:11: SolverParameter.max_iter takes an integer, not malformed number "08"'),
        ("max_iter: 1_000", '1:11: SolverParameter.max_iter takes an integer, not malformed number "1_000"'),
        ("max_iter: 0b1", '1:11: SolverParameter.max_iter takes an integer, not malformed number "0b1"'),
        ("max_iter: 1.0", '1:11: SolverParameter.max_iter takes an integer, not "1.0"'),
        ("max_iter: 1f", '1:11: SolverParameter.max_iter takes an integer, not "1f"'),
        ("max_iter: 2147483648", "1:11: SolverParameter.max_iter: 2147483648 is out of range"),
        ("max_iter: -2147483649", "1:11: SolverParameter.max_iter: -2147483649 is out of range"),
        ("max_iter: 5000 momentum: .9 max_iter: 6", "1:29: SolverParameter.max_iter is given twice"),
        ("net_param { } net_param { }", "1:15: SolverParameter.net_param is given twice"),
        ("debug_info: TRUE", '1:13: SolverParameter.debug_info takes true or false, not "TRUE"'),
        ("debug_info: 2", "1:13: SolverParameter.debug_info: 2 is out of range"),
        (
            "snapshot_format: HDF",
            '1:18: SolverParameter.snapshot_format takes one of HDF5, BINARYPROTO, not "HDF"; the nearest is "HDF5"',
        ),
        ("solver_mode: 2", "1:14: SolverParameter.solver_mode takes one of CPU, GPU, not number 2"),
        ("solver_mode: 'GPU'", "1:14: SolverParameter.solver_mode takes one of CPU, GPU, not string 'GPU'"),
        ("net: abc", '1:6: SolverParameter.net takes a quoted string, not "abc"'),
        ("net: 'abc\n'", "1:6: SolverParameter.net takes a quoted string, not a string that does not end on its line"),
        (r"net: 'a\q'", r"1:6: string 'a\q' has an unknown escape \q"),
        ("# a\0b\nnet: 'x'", "1:4: SolverParameter: expected a field name, not a character of code 0x0"),
        (r"net: '\377'", "1:6: SolverParameter.net: the string is not UTF-8"),
        ("net_param 5", '1:11: expected "{" after "net_param", not "5"'),
        (
            "net_param {",
            '1:12: NetParameter: expected a field name or "}", not the end of the file; '
            '"net_param" of line 1 is still open',
        ),
        ("net_param { >", '1:13: NetParameter: expected a field name or "}", not ">"'),
        ("net_param < }", '1:13: NetParameter: expected a field name or ">", not "}"'),
        ("}", '1:1: SolverParameter: expected a field name, not "}"'),
        ("test_iter: [1 2]", '1:15: expected "," after a value of "test_iter", not "2"'),
        ("test_iter: [1,]", '1:15: SolverParameter.test_iter takes an integer, not "]"'),
        ("stepsize: [1]", '1:11: SolverParameter.stepsize takes an integer, not "["'),
        ("net: 'x' /* c */", '1:10: SolverParameter: expected a field name, not "/"'),
        ("net: 'x' \x07", "1:10: SolverParameter: expected a field name, not a character of code 0x7"),
        ("\ufeffnet: 'x'", "1:1: SolverParameter: expected a field name, not a byte order mark"),
        ("\udcff\udcfe", "1:1: SolverParameter: expected a field name, not a byte 0xff, no UTF-8"),
        ("layer { }", '1:1: SolverParameter has no field "layer"; is this a net definition?'),
    ],
)
def test_what_caffe_refuses_is_refused_in_one_line_that_says_where(source: str, message: str) -> None:
    with pytest.raises(CaffeError) as caught:
        text.parse(source, caffe_pb2.SolverParameter, "solver.prototxt")
    assert str(caught.value) == f"solver.prototxt:{message}"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "layer {\n pooling_param {\n }\n\nlayer {\n}",
            '5:1: LayerParameter has no field "layer"; "layer" of line 1 is still open: is a "}" missing?',
        ),
        ("layer {\n}\n top: 'a'", '3:2: NetParameter has no field "top"; it belongs in layer, layers'),
        (
            "layer { num_output: 4 }",
            '1:9: LayerParameter has no field "num_output"; it belongs in convolution_param, embed_param, '
            "inner_product_param, recurrent_param",
        ),
        ("base_lr: 1", '1:1: NetParameter has no field "base_lr"; is this a solver definition?'),
    ],
)
def test_a_field_in_the_wrong_place_is_told_its_own(source: str, message: str) -> None:
    with pytest.raises(CaffeError) as caught:
        net(source)
    assert str(caught.value) == f"<string>:{message}"


def test_unsigned_fields_take_no_sign() -> None:
    with pytest.raises(CaffeError, match='takes an integer that is not negative, not "-1"'):
        net("layer { pooling_param { pad: -1 } }")


def test_a_required_field_must_be_there() -> None:
    with pytest.raises(CaffeError, match=r"missing required field layer\[0\].clip_param.max"):
        net("layer { clip_param { min: 1 } }")


def test_an_error_is_one_line_of_printable_characters() -> None:
    with pytest.raises(CaffeError) as caught:
        net("name: nasty\u2028 layer: 'a\rb\x1b[31m" + "x" * 1000 + "'")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 200


def test_an_empty_file_is_an_empty_net(tmp_path: Path) -> None:
    path = tmp_path / "empty.prototxt"
    path.write_text("  # nothing\n")
    assert text.read(path, caffe_pb2.NetParameter) == caffe_pb2.NetParameter()


def test_bytes_that_are_not_utf8_pass_in_comments_only(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_bytes("name: 'x'  # сеть\n".encode("cp1251"))
    assert text.read(path, caffe_pb2.NetParameter).name == "x"
    path.write_bytes("name: 'сеть'\n".encode("cp1251"))
    with pytest.raises(CaffeError, match=r"net.prototxt:1:7: NetParameter.name: the string is not UTF-8"):
        text.read(path, caffe_pb2.NetParameter)


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.prototxt"):
        with pytest.raises(CaffeError, match=f"^{path}: cannot read it: "):
            text.read(path, caffe_pb2.NetParameter)


def test_size_and_nesting_are_limited(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deep = "nested_type {" * 100 + "}" * 100
    text.parse(deep, DescriptorProto)
    with pytest.raises(CaffeError, match="more than 100 deep"):
        text.parse(f"nested_type {{ {deep} }}", DescriptorProto)
    monkeypatch.setattr(text, "MAX_TEXT", 10)
    path = tmp_path / "large.prototxt"
    path.write_text("# 45678901")
    text.read(path, caffe_pb2.NetParameter)
    path.write_text("# 456789012")
    with pytest.raises(CaffeError, match="more than 10 bytes"):
        text.read(path, caffe_pb2.NetParameter)
    with pytest.raises(CaffeError, match="11 characters"):
        net(path.read_text())


def test_layer_lines() -> None:
    source = """
        name: 'net'
        layer { param { name: 'w' } name: 'a' }
        layer {
          name: 'b'
        }
        layers { layer { name: 'v0' type: 'conv' } bottom: 'x' }
        layers < name: 'v' '1' > layer { name: 'b' }
    """
    assert text.layer_lines(source) == {"a": [3], "b": [4, 8], "v0": [7], "v1": [8]}


@pytest.mark.parametrize("path", PROTOTXTS, ids=lambda path: path.name)
def test_python_protobuf_reads_the_same(path: Path) -> None:
    message_class = caffe_pb2.SolverParameter if path.name.startswith("solver") else caffe_pb2.NetParameter
    source = path.read_text()
    try:
        want = text_format.Parse(source, message_class())
    except text_format.ParseError:
        with pytest.raises(CaffeError):
            text.parse(source, message_class)
    else:
        assert text.parse(source, message_class) == want
        if ".out." in path.name:  # printed by C++ protobuf
            assert text.format(want) == source


def messages(descriptor: Any, depth: int = 3) -> st.SearchStrategy[dict[str, Any]]:
    """Random contents of a message, as arguments of its class."""
    fields = [field for field in descriptor.fields if depth or field.message_type is None]
    if not fields:
        return st.just({})
    some = st.lists(st.sampled_from(fields), max_size=4, unique_by=lambda field: field.name)
    return some.flatmap(lambda chosen: st.fixed_dictionaries({field.name: values(field, depth) for field in chosen}))


def values(field: Any, depth: int) -> st.SearchStrategy[Any]:
    by_type = {
        FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
        FieldDescriptor.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
        FieldDescriptor.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
        FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
        FieldDescriptor.CPPTYPE_FLOAT: st.floats(width=32, allow_nan=False),
        FieldDescriptor.CPPTYPE_DOUBLE: st.floats(allow_nan=False),
    }
    if field.message_type is not None:
        one: Any = messages(field.message_type, depth - 1)
    elif field.enum_type is not None:
        one = st.sampled_from([value.number for value in field.enum_type.values])
    elif field.type == FieldDescriptor.TYPE_BYTES:
        one = st.binary(max_size=20)
    elif field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        one = st.text(st.characters(codec="utf-8"), max_size=20)
    else:
        one = by_type[field.cpp_type]
    return st.lists(one, max_size=3) if text.is_repeated(field) else one


def complete(message: Any) -> bool:
    return not message.FindInitializationErrors()


@settings(max_examples=300, deadline=None)
@given(messages(caffe_pb2.NetParameter.DESCRIPTOR))
def test_random_nets_survive_and_python_protobuf_agrees(content: dict[str, Any]) -> None:
    want = caffe_pb2.NetParameter(**content)
    if not complete(want):
        return
    assert net(text.format(want)) == want
    assert net(text_format.MessageToString(want)) == want
    assert text_format.Parse(text.format(want), caffe_pb2.NetParameter()) == want


@settings(max_examples=300, deadline=None)
@given(messages(caffe_pb2.SolverParameter.DESCRIPTOR))
def test_random_solvers_survive(content: dict[str, Any]) -> None:
    want = caffe_pb2.SolverParameter(**content)
    if complete(want):
        assert solver(text.format(want)) == want


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(PROTOTXTS), st.data())
def test_damaged_text_raises_nothing_but_caffe_error(path: Path, data: st.DataObject) -> None:
    source = path.read_text()
    start = data.draw(st.integers(0, len(source)))
    end = data.draw(st.integers(start, min(len(source), start + 20)))
    damage = data.draw(st.one_of(st.text(max_size=5), st.text("{}<>[]:,;-'\"\\.0x9ef#\n ", max_size=8)))
    damaged = source[:start] + damage + source[end:] if data.draw(st.booleans()) else source[:start]
    try:
        got = net(damaged)
    except CaffeError as error:
        assert str(error).startswith("<string>:") and "\n" not in str(error)
    else:
        assert net(text.format(got)) == got
        assert set(text.layer_lines(damaged)) == {
            layer.name for layer in [*got.layer, *got.layers, *(layers.layer for layers in got.layers)] if layer.name
        }
