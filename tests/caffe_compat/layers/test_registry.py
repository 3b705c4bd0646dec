"""The layer types that are known, and what knowing them costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from caffe_compat.errors import CaffeError
from caffe_compat.layers.registry import layer_class, layer_type_list

# What LayerRegistry holds in Caffe 1.0, and Clip and Swish, which followed on its master branch.
TYPES = """
AbsVal Accuracy ArgMax BNLL BatchNorm BatchReindex Bias Clip Concat ContrastiveLoss Convolution Crop Data Deconvolution
Dropout DummyData ELU Eltwise Embed EuclideanLoss Exp Filter Flatten HDF5Data HDF5Output HingeLoss Im2col ImageData
InfogainLoss InnerProduct Input LRN LSTM LSTMUnit Log MVN MemoryData MultinomialLogisticLoss PReLU Parameter Pooling
Power Python RNN ReLU Reduction Reshape SPP Scale Sigmoid SigmoidCrossEntropyLoss Silence Slice Softmax SoftmaxWithLoss
Split Swish TanH Threshold Tile WindowData
"""


def test_all_types_of_caffe_are_there() -> None:
    assert layer_type_list() == sorted(TYPES.split())


def test_each_class_has_its_type_and_says_what_it_does() -> None:
    for name in TYPES.split():
        kind = layer_class(name, "")
        assert kind.type == name
        assert kind.__doc__, name


def test_unknown_types_get_a_hint() -> None:
    with pytest.raises(
        CaffeError, match=r"^net:3: layer 'x': unknown layer type 'Convolutoin'; did you mean Convolution"
    ):
        layer_class("Convolutoin", "net:3: layer 'x'")
    with pytest.raises(CaffeError, match=r"^net:3: layer 'x': no type$"):
        layer_class("", "net:3: layer 'x'")


def test_only_what_a_layer_needs_is_imported() -> None:
    """Knowing all types does not load what only some of them use."""
    heavy = ("cv2", "h5py", "lmdb", "onnx", "onnxruntime", "plyvel")
    code = (
        "import sys, caffe_compat as caffe; caffe.layer_type_list(); caffe.Net; "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
