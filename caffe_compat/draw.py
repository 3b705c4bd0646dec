"""``caffe.draw``: a net as a graph, for Graphviz.

The graph is written as DOT text here. Pictures need Graphviz's program ``dot``, ``get_pydot_graph`` the package pydot.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from caffe_compat.atomic import writing
from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2

COLORS = {"Convolution": "#FF5050", "Deconvolution": "#FF5050", "Pooling": "#FF9900", "InnerProduct": "#CC33FF"}
LAYER_COLOR, IN_PLACE_COLOR, BLOB_COLOR = "#6495ED", "#90EE90", "#E0E0E0"
TEXT_FORMATS = ("dot", "gv", "raw")


def draw_net_to_file(
    caffe_net: Any, filename: str | os.PathLike[str], rankdir: str = "LR", phase: int | None = None
) -> None:
    """Draw a NetParameter into a file whose extension says the format: ``.dot`` for text, ``.png``, ``.svg`` ….

    ``rankdir``: LR, TB or BT, the direction. ``phase``: only the layers of that one. CaffeError if it cannot be drawn.
    """
    picture = draw_net(caffe_net, rankdir, Path(filename).suffix[1:] or "raw", phase)
    with writing(filename) as temporary:
        temporary.write_bytes(picture)


def draw_net(caffe_net: Any, rankdir: str, ext: str = "png", phase: int | None = None) -> bytes:
    """The content of such a file."""
    text = dot_text(caffe_net, rankdir, phase=phase)
    if ext in TEXT_FORMATS:
        return text.encode()
    program = shutil.which("dot")
    if program is None:
        raise CaffeError(f"a picture ({ext}) needs Graphviz's program dot, which is not installed; .dot needs nothing")
    done = subprocess.run([program, f"-T{ext}"], input=text.encode(), capture_output=True)
    if done.returncode:
        raise CaffeError(f"dot -T{ext}: {' '.join(done.stderr.decode(errors='replace').split())}")
    return done.stdout


def get_pydot_graph(caffe_net: Any, rankdir: str, label_edges: bool = True, phase: int | None = None) -> Any:
    """The graph as an object of pydot."""
    try:
        import pydot
    except ImportError:
        raise CaffeError("get_pydot_graph needs the package pydot; draw_net_to_file does without") from None
    return pydot.graph_from_dot_data(dot_text(caffe_net, rankdir, label_edges, phase))[0]


def dot_text(caffe_net: Any, rankdir: str = "LR", label_edges: bool = True, phase: int | None = None) -> str:
    """The graph in Graphviz's language: boxes are layers, octagons blobs, and edges lead where the values go.

    ``label_edges``: write the batch size or the number of outputs at the edges from layers that have one.
    """
    nodes: dict[str, str] = {}
    edges = []
    for layer in caffe_net.layer:
        if not _included(layer, phase):
            continue
        node = f"{layer.name}_{layer.type}"
        in_place = len(layer.bottom) == len(layer.top) == 1 and layer.bottom[0] == layer.top[0]
        color = IN_PLACE_COLOR if in_place else choose_color_by_layertype(layer.type)
        nodes[node] = _attributes(label=get_layer_label(layer, rankdir), shape="record", fillcolor=color)
        for blob in [*layer.bottom, *layer.top]:
            nodes[f"{blob}_blob"] = _attributes(label=_escape(blob), shape="octagon", fillcolor=BLOB_COLOR)
        edges += [(f"{blob}_blob", node, "") for blob in layer.bottom]
        edges += [(node, f"{blob}_blob", get_edge_label(layer) if label_edges else "") for blob in layer.top]
    lines = [f"digraph {_quote(caffe_net.name or 'Net')} {{", f"rankdir={rankdir};"]
    lines += [f"{_quote(node)} [{attributes}, style=filled];" for node, attributes in nodes.items()]
    lines += [f"{_quote(a)} -> {_quote(b)} [{_attributes(label=label)}];" for a, b, label in edges]
    return "\n".join([*lines, "}", ""])


def get_layer_label(layer: Any, rankdir: str) -> str:
    """Name and type, and the window of a layer that has one; on one line where the graph runs up or down."""
    separator = " " if rankdir in ("TB", "BT") else r"\n"
    parts = [_escape(layer.name), f"({layer.type})"]
    if layer.type in ("Convolution", "Deconvolution"):
        param = layer.convolution_param
        window = (_first(param.kernel_size, param.kernel_h), _first(param.stride, param.stride_h or 1))
        parts += _window(*window, _first(param.pad, param.pad_h))
    elif layer.type == "Pooling":
        param = layer.pooling_param
        parts[1] = f"({caffe_pb2.PoolingParameter.PoolMethod.Name(param.pool)} {layer.type})"
        parts += _window(param.kernel_size or param.kernel_h, param.stride_h or param.stride, param.pad_h or param.pad)
    return separator.join(parts)


def get_edge_label(layer: Any) -> str:
    """What a layer makes: the size of its batch, or the number of its outputs; "" where that is not in its fields."""
    if layer.type == "Data":
        return f"Batch {layer.data_param.batch_size}"
    if layer.type in ("Convolution", "Deconvolution"):
        return str(layer.convolution_param.num_output)
    return str(layer.inner_product_param.num_output) if layer.type == "InnerProduct" else ""


def choose_color_by_layertype(layertype: str) -> str:
    """The colour of a layer's box."""
    return COLORS.get(layertype, LAYER_COLOR)


def _included(layer: Any, phase: int | None) -> bool:
    if phase is None:
        return True
    included = not layer.include or any(rule.phase == phase for rule in layer.include)
    return included and all(rule.phase != phase for rule in layer.exclude)


def _window(kernel: int, stride: int, pad: int) -> list[str]:
    return [f"kernel size: {kernel}", f"stride: {stride}", f"pad: {pad}"]


def _first(values: Sequence[int], default: int) -> int:
    return values[0] if values else default


def _attributes(**values: str) -> str:
    return ", ".join(f"{name}={_quote(value)}" for name, value in values.items())


def _escape(text: str) -> str:
    """A name in a label, where backslashes and, in a record, braces, bars and angles mean something."""
    return "".join(f"\\{char}" if char in "\\{}|<>" else char for char in text)


def _quote(text: str) -> str:
    return '"' + text.replace('"', r"\"") + '"'
