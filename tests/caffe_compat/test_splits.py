"""Where split layers go, and what they are called."""

from __future__ import annotations

import pytest

from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2, text
from caffe_compat.splits import insert_splits


def split(definition: str) -> list[str]:
    net = insert_splits(text.parse(definition, caffe_pb2.NetParameter))
    return [f"{layer.name}: {' '.join(layer.bottom)} -> {' '.join(layer.top)}" for layer in net.layer]


def test_a_top_with_one_reader_is_left_alone() -> None:
    assert split(
        """layer { name: "in" type: "Input" top: "x" }
           layer { name: "relu" type: "ReLU" bottom: "x" top: "x" }
           layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" }"""
    ) == ["in:  -> x", "relu: x -> x", "ip: x -> y"]


def test_an_in_place_layer_makes_a_new_top_to_split() -> None:
    assert split(
        """layer { name: "in" type: "Input" top: "x" }
           layer { name: "relu" type: "ReLU" bottom: "x" top: "x" }
           layer { name: "a" type: "InnerProduct" bottom: "x" top: "y" }
           layer { name: "b" type: "InnerProduct" bottom: "x" top: "z" }"""
    ) == [
        "in:  -> x",
        "relu: x -> x",
        "x_relu_0_split: x -> x_relu_0_split_0 x_relu_0_split_1",
        "a: x_relu_0_split_0 -> y",
        "b: x_relu_0_split_1 -> z",
    ]


def test_a_loss_weight_counts_as_a_reader_and_moves_to_the_split() -> None:
    net = insert_splits(
        text.parse(
            """layer { name: "in" type: "Input" top: "x" top: "t" }
               layer { name: "loss" type: "EuclideanLoss" bottom: "x" bottom: "t" top: "l" loss_weight: 2 }
               layer { name: "more" type: "Power" bottom: "l" top: "p" }""",
            caffe_pb2.NetParameter,
        )
    )
    loss, inserted, reader = net.layer[1:]
    assert not loss.loss_weight
    assert (inserted.type, list(inserted.loss_weight)) == ("Split", [2, 0])
    assert list(reader.bottom) == ["l_loss_0_split_1"]


def test_an_unknown_bottom_names_layer_index_and_the_nearest_blob() -> None:
    with pytest.raises(CaffeError) as error:
        split('layer { name: "in" type: "Input" top: "data" } layer { name: "ip" bottom: "dta" top: "y" }')
    assert str(error.value) == "Unknown bottom blob 'dta' (layer 'ip', bottom index 0); did you mean 'data'?"


def test_a_cycle_is_told_as_one() -> None:
    with pytest.raises(CaffeError, match=r"'y' \(layer 'a', bottom index 0\); layer 'b', which makes it, comes later$"):
        split('layer { name: "a" bottom: "y" top: "x" } layer { name: "b" bottom: "x" top: "y" }')
    with pytest.raises(CaffeError, match=r"'x' \(layer 'a', bottom index 0\); it is the layer's own top$"):
        split('layer { name: "a" bottom: "x" top: "x" }')
