"""Layers that may be part of a CUDA graph, because they say so, neither wait for the GPU nor make it wait."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2

from ..layers.test_golden import CASES
from .pretended import PretendedGpu


@pytest.mark.parametrize("name", CASES)
def test_a_layer_that_is_recordable_waits_for_nothing(
    name: str, golden_root: Path, pretended_gpu: PretendedGpu
) -> None:
    case = CASES[name]
    net = Net(f"layers/{name}.prototxt", getattr(caffe_pb2, case["phase"]))
    net.to("cuda")
    with np.load(f"layers/{name}.npz") as arrays:
        for i, blob in enumerate(case["bottoms"]):
            net.blobs[blob].data[...] = arrays[f"bottom_{i}"]
    net.forward_layers()
    found = set()
    for i, (wiring, need) in enumerate(zip(net.wirings, net.needs, strict=True)):
        if not wiring.bottoms:  # it brings data, which is not part of a graph
            continue
        pretended_gpu.waits.clear()
        net.forward_layers(i, i)
        if need is not None:
            for top in wiring.tops:
                net.blobs[top].grad.fill_(1)
            net.backward_layers(i, i)
        if pretended_gpu.waits and wiring.layer.recordable:
            found.add(f"{wiring.layer.type}: {dict(pretended_gpu.waits)}")
    assert not found
