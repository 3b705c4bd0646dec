"""The runtimes that a net can be verified in: each turns batches of images into scores."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from caffe_compat.errors import CaffeError
from yosinski.images import Batch
from yosinski.onnx_model import OnnxModel, one_line

Scores = NDArray[np.float32]  # (images, classes)


class RuntimeUnavailable(Exception):
    """This machine lacks the runtime, or the runtime cannot take the model by its own fault. One line."""


class Runtime(ABC):
    """Something that computes scores.

    Attributes:
        name: what users call it.
        version: of the library behind it.
        seconds: spent computing so far, without the warm-up.
        most: how many images it is asked about at the most, None: all.
    """

    name: ClassVar[str]
    most: ClassVar[int | None] = None
    version: str
    seconds = 0.0

    def run(self, batch: Batch) -> Scores:
        """Scores of the images, one row each. Does the first batch once before, uncounted, as the C++ checker does."""
        if self.most is None and not self.seconds:
            self.compute(batch)
        began = time.perf_counter()
        scores = self.compute(batch)
        self.seconds += time.perf_counter() - began
        return scores.reshape(len(scores), -1)  # also from outputs such as (n, classes, 1, 1)

    @abstractmethod
    def compute(self, batch: Batch) -> NDArray[np.float32]:
        """The output for these images."""


class Torch(Runtime):
    """The net of ``caffe_compat``, in PyTorch."""

    name = "torch"

    def __init__(self, net: Any, output: str, device: str) -> None:
        import torch

        self.version = str(torch.__version__)
        self._net = net.to(torch.device(device))
        if output not in net.blobs:
            raise CaffeError(f"the net {net.name!r} has no blob {output!r}, which is the output of the ONNX model")
        self._output = net.blobs[output]

    def compute(self, batch: Batch) -> NDArray[np.float32]:
        with without_tf32():
            give_images(self._net, batch)
            self._net.forward_layers()
            return self._output.tensor.cpu().numpy().copy()


def give_images(net: Any, batch: Batch) -> None:
    """Put transformed images into a net's input, whatever their number."""
    import torch

    blob = net.blobs[net.inputs[0]]
    if batch.data.shape != blob.shape:
        blob.reshape(*batch.data.shape)
        net.reshape()
    blob.tensor = torch.from_numpy(batch.data).to(net.device)


def without_tf32() -> Any:
    """A context in which cuDNN computes in full single precision."""
    import torch

    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)


class OnnxRuntime(Runtime):
    """ONNX Runtime in Python, on the CPU or on CUDA with TF32 off."""

    name = "onnxruntime"

    def __init__(self, model: OnnxModel, device: str = "cpu") -> None:
        import onnxruntime

        self.version = onnxruntime.__version__
        self._model = model
        self._session = onnx_session(str(model.path), str(model.path), device)

    def compute(self, batch: Batch) -> NDArray[np.float32]:
        return self._session.run([self._model.output], feed(self._model, batch))[0]


def feed(model: OnnxModel, batch: Batch) -> dict[str, NDArray]:
    """A batch as the input of an ONNX model."""
    images = batch.pixels if model.takes_pixels else batch.data
    assert images is not None
    return {model.input: images}


def onnx_session(model: str | bytes, where: str, device: str = "cpu") -> Any:
    """A session of ONNX Runtime, with the model's file or content; on CUDA it computes without TF32."""
    import onnxruntime

    providers: list[Any] = ["CPUExecutionProvider"]
    if device.startswith("cuda"):
        if hasattr(onnxruntime, "preload_dlls"):  # since 1.21: finds the CUDA libraries of torch's wheels
            onnxruntime.preload_dlls()
        index = device.partition(":")[2] or "0"
        providers = [("CUDAExecutionProvider", {"device_id": index, "use_tf32": "0"})]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors come as exceptions; warnings are about speed
    try:
        session = onnxruntime.InferenceSession(model, options, providers=providers)
    except Exception as error:  # its exceptions have no common class of their own
        raise CaffeError(f"{where}: ONNX Runtime cannot load it: {one_line(error)}") from None
    if providers[0] != "CPUExecutionProvider" and "CUDAExecutionProvider" not in session.get_providers():
        raise CaffeError("ONNX Runtime's CUDA provider does not work here; expected onnxruntime-gpu and CUDA")
    return session
