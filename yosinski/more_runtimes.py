"""Runtimes for further opinions on an exported model, each used where it is installed; all on the CPU."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffe_compat.errors import CaffeError
from yosinski.images import Batch
from yosinski.onnx_model import OnnxModel, one_line
from yosinski.runtimes import Runtime, RuntimeUnavailable, feed


class Reference(Runtime):
    """onnx's reference evaluator, in numpy: what the operators mean, at the speed of a textbook."""

    name = "onnx"
    most = 16

    def __init__(self, model: OnnxModel) -> None:
        import onnx

        from caffe_compat.export.reference import reference_evaluator

        self.version = onnx.__version__
        self._model, self._evaluator = model, reference_evaluator(model.proto)

    def compute(self, batch: Batch) -> NDArray[np.float32]:
        found: Any = self._evaluator.run([self._model.output], feed(self._model, batch))
        return found[0]


class OpenVino(Runtime):
    """OpenVINO, in single precision."""

    name = "openvino"

    def __init__(self, model: OnnxModel) -> None:
        try:
            import openvino
        except ImportError:
            raise RuntimeUnavailable("OpenVINO is not installed: pip install 'yosinski[verify]'") from None
        self.version = openvino.__version__.partition("-")[0]
        self._model = model
        core = openvino.Core()
        try:
            network = core.read_model(str(model.path))
            self._compiled = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        except RuntimeError as error:
            raise CaffeError(f"{model.path}: OpenVINO cannot load it: {one_line(error)}") from None

    def compute(self, batch: Batch) -> NDArray[np.float32]:
        return np.array(self._compiled(feed(self._model, batch))[self._model.output])


# OpenCV's importer knows a part of ONNX only, and what it does not know may end the process.
TRIAL = """
import sys
import cv2
import numpy as np
net = cv2.dnn.readNetFromONNX(sys.argv[1])
net.setInput(np.zeros([int(size) for size in sys.argv[4:]], np.float32), sys.argv[2])
net.forward(sys.argv[3])
"""


class OpenCv(Runtime):
    """The dnn module of OpenCV, without its Winograd convolutions, which round more."""

    name = "opencv"

    def __init__(self, model: OnnxModel) -> None:
        import cv2

        self.version = cv2.__version__
        self._model = model
        if model.takes_pixels:
            raise RuntimeUnavailable("OpenCV takes no uint8 images into ONNX models")
        arguments = [str(model.path), model.input, model.output, "1", *map(str, model.image_shape)]
        done = subprocess.run([sys.executable, "-c", TRIAL, *arguments], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeUnavailable(f"OpenCV {cv2.__version__} cannot import {model.path}")
        self._net = cv2.dnn.readNetFromONNX(str(model.path))
        self._net.enableWinograd(False)

    def compute(self, batch: Batch) -> NDArray[np.float32]:
        for name, images in feed(self._model, batch).items():
            self._net.setInput(images, name)
        return np.array(self._net.forward(self._model.output))
