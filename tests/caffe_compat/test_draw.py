"""Nets as graphs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from caffe_compat import draw
from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2, text

NET = text.parse(
    r"""name: "A \"net\""
    layer { name: "data" type: "Data" top: "data" top: "label" data_param { batch_size: 64 } include { phase: TRAIN } }
    layer { name: "conv|1" type: "Convolution" bottom: "data" top: "conv1"
      convolution_param { num_output: 20 kernel_size: 5 stride: 2 } }
    layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
      pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } }
    layer { name: "relu1" type: "ReLU" bottom: "pool1" top: "pool1" exclude { phase: TRAIN } }
    layer { name: "ip1" type: "InnerProduct" bottom: "pool1" top: "ip1" inner_product_param { num_output: 7 } }""",
    caffe_pb2.NetParameter,
)


def parse(dot: str) -> tuple[dict[str, dict[str, str]], list[tuple[str, str, str]]]:
    nodes, edges = {}, []
    for line in dot.splitlines()[2:-1]:
        edge = re.fullmatch(r'"(.*)" -> "(.*)" \[label="(.*)"\];', line)
        if edge:
            edges.append(edge.groups())
            continue
        node = re.fullmatch(r'"(.*)" \[(.*), style=filled\];', line)
        assert node, line
        nodes[node[1]] = dict(re.findall(r'(\w+)="([^"]*)"', node[2]))
    return nodes, edges  # type: ignore[return-value]


def test_boxes_octagons_and_edges() -> None:
    dot = draw.dot_text(NET)
    assert dot.startswith('digraph "A \\"net\\"" {\nrankdir=LR;\n')
    nodes, edges = parse(dot)
    assert nodes["conv|1_Convolution"] == {
        "label": r"conv\|1\n(Convolution)\nkernel size: 5\nstride: 2\npad: 0",
        "shape": "record",
        "fillcolor": "#FF5050",
    }
    assert nodes["pool1_Pooling"]["label"] == r"pool1\n(AVE Pooling)\nkernel size: 3\nstride: 2\npad: 1"
    assert nodes["relu1_ReLU"]["fillcolor"] == "#90EE90"  # in place
    assert nodes["pool1_blob"] == {"label": "pool1", "shape": "octagon", "fillcolor": "#E0E0E0"}
    assert edges == [
        ("data_Data", "data_blob", "Batch 64"),
        ("data_Data", "label_blob", "Batch 64"),
        ("data_blob", "conv|1_Convolution", ""),
        ("conv|1_Convolution", "conv1_blob", "20"),
        ("conv1_blob", "pool1_Pooling", ""),
        ("pool1_Pooling", "pool1_blob", ""),
        ("pool1_blob", "relu1_ReLU", ""),
        ("relu1_ReLU", "pool1_blob", ""),
        ("pool1_blob", "ip1_InnerProduct", ""),
        ("ip1_InnerProduct", "ip1_blob", "7"),
    ]
    assert {label for _, _, label in parse(draw.dot_text(NET, label_edges=False))[1]} == {""}


def test_direction_and_phase() -> None:
    dot = draw.dot_text(NET, "BT", phase=caffe_pb2.TEST)
    assert "rankdir=BT;" in dot
    nodes, _ = parse(dot)
    assert nodes["ip1_InnerProduct"]["label"] == "ip1 (InnerProduct)"
    assert "data_Data" not in nodes
    assert "relu1_ReLU" in nodes
    assert "relu1_ReLU" not in parse(draw.dot_text(NET, phase=caffe_pb2.TRAIN))[0]


def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw.draw_net_to_file(NET, str(tmp_path / "net.dot"), "TB")
    assert (tmp_path / "net.dot").read_text() == draw.dot_text(NET, "TB")
    assert draw.draw_net(NET, "TB", "raw") == draw.dot_text(NET, "TB").encode()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CaffeError, match=r"a picture \(png\) needs Graphviz's program dot"):
        draw.draw_net_to_file(NET, str(tmp_path / "net.png"))
    assert [path.name for path in tmp_path.iterdir()] == ["net.dot"]


def test_pictures_are_dots_business(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for Graphviz: it answers with what it was given."""
    program = tmp_path / "dot"
    program.write_text(
        '#!/bin/sh\n[ "$1" = -Tpng ] || { echo "Format: unknown" >&2; exit 1; }\necho "$1"; exec /bin/cat\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert draw.draw_net(NET, "LR").decode() == "-Tpng\n" + draw.dot_text(NET)
    with pytest.raises(CaffeError, match="dot -Tbmp: Format: unknown"):
        draw.draw_net(NET, "LR", "bmp")
