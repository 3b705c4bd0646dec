"""Parameters that layers share under different shapes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2, raw_blobs, text

PERMISSIVE = """
force_backward: true
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 5 dim: 6 } } }
layer { name: "owner" type: "InnerProduct" bottom: "x" top: "h" param { name: "w" }
  inner_product_param { num_output: 4 bias_term: false weight_filler { type: "xavier" } } }
layer { name: "sharer" type: "InnerProduct" bottom: "h" top: "y" param { name: "w" share_mode: PERMISSIVE }
  inner_product_param { num_output: 6 bias_term: false } }
"""


def test_all_that_share_see_the_whole_gradient(tmp_path: Path) -> None:
    """Net::ShareWeights shares data and diff: h = x Wᵀ, y = h Vᵀ, V the 24 values of W as (6, 4)."""
    net = Net(text.parse(PERMISSIVE, caffe_pb2.NetParameter))
    draw = np.random.default_rng(0)
    x, diff = draw.normal(size=(5, 6)), draw.normal(size=(5, 6))
    net.blobs["x"].data[...] = x
    net.forward_layers()
    net.blobs["y"].diff[...] = diff
    net.backward_layers()

    w = net.params["owner"][0].data.astype(np.float64)
    v, h = w.reshape(6, 4), x @ w.T
    gradient = (diff @ v).T @ x + (diff.T @ h).reshape(4, 6)
    np.testing.assert_allclose(net.blobs["y"].data, h @ v.T, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(net.params["owner"][0].diff, gradient, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(net.params["sharer"][0].diff, gradient.reshape(6, 4), rtol=1e-5, atol=1e-6)
    saved = {layer.name: layer for layer in net.to_proto(write_diff=True).layer}
    for name in ("owner", "sharer"):
        np.testing.assert_array_equal(raw_blobs.to_array(saved[name].blobs[0], diff=True), net.params[name][0].diff)

    net.params["sharer"][0].diff[...] = 2
    assert (net.params["owner"][0].diff == 2).all()
    net.clear_param_diffs()
    assert not net.params["sharer"][0].diff.any()
