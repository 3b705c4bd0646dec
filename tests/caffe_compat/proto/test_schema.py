"""The schema, and the module made of it, against protoc."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2

from caffe_compat.proto import caffe_pb2, schema


def parse(text: str) -> Any:
    return schema.parse_proto(text, "x.proto")


def test_protoc_reads_the_schema_alike(tmp_path: Path) -> None:
    protoc = pytest.importorskip("grpc_tools.protoc")
    output = tmp_path / "descriptors"
    folder = str(caffe_pb2.PROTO_FILE.parent)
    assert protoc.main(["protoc", f"-I{folder}", f"--descriptor_set_out={output}", "caffe.proto"]) == 0
    (want,) = descriptor_pb2.FileDescriptorSet.FromString(output.read_bytes()).file
    messages = list(want.message_type)
    while messages:
        message = messages.pop()
        messages += message.nested_type
        for field in message.field:
            field.ClearField("json_name")
    assert schema.parse_proto(caffe_pb2.PROTO_FILE.read_text("utf-8"), "caffe.proto") == want


def test_the_module_looks_generated() -> None:
    assert (caffe_pb2.TRAIN, caffe_pb2.TEST) == (0, 1)
    assert caffe_pb2.Phase.Name(1) == "TEST"
    assert caffe_pb2.LRNParameter.WITHIN_CHANNEL == caffe_pb2.LRNParameter.NormRegion.Value("WITHIN_CHANNEL") == 1
    assert caffe_pb2.NetParameter.DESCRIPTOR.full_name == "caffe.NetParameter"
    assert caffe_pb2.NetParameter.FromString(caffe_pb2.NetParameter(name="x").SerializeToString()).name == "x"


def test_numbers_and_defaults_that_files_depend_on() -> None:
    fields = caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_name
    assert sorted(field.number for field in fields.values()) == [*range(1, 12), *range(100, 149)]
    assert (fields["clip_param"].number, fields["swish_param"].number) == (148, 147)
    v0_numbers = {field.number for field in caffe_pb2.V0LayerParameter.DESCRIPTOR.fields}
    assert v0_numbers == {*range(1, 23), *range(50, 66), 1001} - {57}
    solver_numbers = {field.number for field in caffe_pb2.SolverParameter.DESCRIPTOR.fields}
    assert solver_numbers == set(range(1, 43))
    assert caffe_pb2.NetParameter.DESCRIPTOR.fields_by_name["layer"].number == 100
    solver = caffe_pb2.SolverParameter()
    assert (solver.type, solver.momentum2, solver.delta) == ("SGD", pytest.approx(0.999), pytest.approx(1e-8))
    assert caffe_pb2.BatchNormParameter().moving_average_fraction == pytest.approx(0.999)
    assert caffe_pb2.NetState().phase == caffe_pb2.TEST
    assert caffe_pb2.WindowDataParameter().crop_mode == "warp"
    assert len(caffe_pb2.V1LayerParameter.LayerType.items()) == 40


def test_packed_lists_are_packed_on_the_wire() -> None:
    assert caffe_pb2.BlobProto(data=[1.0, 2.0]).SerializeToString()[:2] == b"\x2a\x08"
    assert caffe_pb2.Datum(float_data=[1.0, 2.0]).SerializeToString()[0] == 0x35  # not packed, as in Caffe


def test_another_caffe_proto_may_be_loaded_beside_ours() -> None:
    from google.protobuf import descriptor_pool

    with pytest.raises(KeyError):
        descriptor_pool.Default().FindMessageTypeByName("caffe.NetParameter")


@pytest.mark.parametrize("implementation", ["python", "upb"])
def test_nothing_heavy_is_imported_with_any_protobuf(implementation: str, golden: Path) -> None:
    program = (
        "import sys, caffe_compat.proto as p; from caffe_compat.proto.text import format;"
        f"net = p.read_net({str(golden / 'upgrade/cases/v0_padding.in.prototxt')!r});"
        "heavy = {'torch', 'cv2', 'h5py', 'lmdb', 'onnx'} & set(sys.modules);"
        "sys.exit(str(heavy)) if heavy else sys.stdout.write(format(net))"
    )
    environment = {**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": implementation}
    result = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout == (golden / "upgrade/cases/v0_padding.out.prototxt").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("service X {}", "unexpected 'service'"),
        ("message A { optional B b = 1; }", "no message or enum is called 'B'"),
        ("message A { optional int32 b = 1 [deprecated = true]; }", "unknown option 'deprecated'"),
        ("message A { optional int32 b 1; }", "expected '='"),
        ("message A ( )", "line 1: unexpected '('"),
    ],
)
def test_a_schema_beyond_the_subset_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        parse(text)


def test_types_are_found_from_the_inside_out() -> None:
    file = parse(
        "package p; enum E { X = 0; } message A { enum E { Y = 1; } optional E e = 1; } message B { optional E e = 1; }"
    )
    assert [message.field[0].type_name for message in file.message_type] == [".p.A.E", ".p.E"]
