"""An exported net in ONNX Runtime on a GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from caffe_compat import rng
from caffe_compat.export.onnx_export import to_onnx
from caffe_compat.net import Net
from caffe_compat.proto import caffe_pb2
from caffe_compat.proto import text as prototxt

DEPLOY = """
name: "deploy"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 dim: 20 dim: 20 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 8 kernel_size: 3 group: 1 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 3 stride: 2 } }
layer { name: "norm" type: "LRN" bottom: "pool" top: "norm" lrn_param { alpha: 0.01 } }
layer { name: "fc" type: "InnerProduct" bottom: "norm" top: "fc"
        inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


def test_scores_agree(tmp_path: Path, real_gpu: torch.device) -> None:
    if "CUDAExecutionProvider" not in pytest.importorskip("onnxruntime").get_available_providers():
        pytest.skip("needs onnxruntime-gpu")
    from yosinski.runtimes import onnx_session

    rng.set_random_seed(1)
    net = Net(prototxt.parse(DEPLOY, caffe_pb2.NetParameter), caffe_pb2.TEST)
    model = to_onnx(net)
    images = np.random.default_rng(1).standard_normal((4, 3, 20, 20)).astype(np.float32)
    (top,) = onnx_session(model.SerializeToString(), "the model", "cuda").run(None, {"data": images})
    net.to(real_gpu)
    net.blobs["data"].data[...] = images
    net.forward_layers()
    np.testing.assert_allclose(top, net.blobs["prob"].data, atol=1e-5)
