"""The runtimes that a net can be verified in: each turns batches of transformed images into scores."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from caffe_compat.errors import CaffeError

Scores = NDArray[np.float32]  # (images, classes)


class Runtime(Protocol):
    """Something that computes scores.

    Attributes:
        name: what users call it.
        version: of the library behind it.
        seconds: spent in ``run`` so far.
    """

    name: str
    version: str
    seconds: float

    def run(self, images: NDArray[np.float32]) -> Scores:
        """Scores of images (n, channels, height, width), one row each."""
        ...


class Torch:
    """The net of ``caffe_compat``, in PyTorch."""

    name = "torch"

    def __init__(self, net: Any, output: str, device: str) -> None:
        import torch

        self.version = str(torch.__version__)
        self.seconds = 0.0
        self._net = net.to(torch.device(device))
        if output not in net.blobs:
            raise CaffeError(f"the net {net.name!r} has no blob {output!r}, which is the output of the ONNX model")
        self._input, self._output = net.blobs[net.inputs[0]], net.blobs[output]

    def run(self, images: NDArray[np.float32]) -> Scores:
        import torch

        began = time.perf_counter()
        if images.shape != self._input.shape:
            self._input.reshape(*images.shape)
            self._net.reshape()
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            self._input.tensor = torch.from_numpy(images).to(self._net.device)
            self._net.forward_layers()
            scores = self._output.tensor.cpu().numpy().copy()
        self.seconds += time.perf_counter() - began
        return rows(scores)


class OnnxRuntime:
    """ONNX Runtime in Python, on the CPU or on CUDA with TF32 off."""

    name = "onnxruntime"

    def __init__(self, path: Path, device: str = "cpu") -> None:
        import onnxruntime

        self.version = onnxruntime.__version__
        self.seconds = 0.0
        providers: list[Any] = ["CPUExecutionProvider"]
        if device.startswith("cuda"):
            if hasattr(onnxruntime, "preload_dlls"):  # since 1.21: finds the CUDA libraries of torch's wheels
                onnxruntime.preload_dlls()
            index = device.partition(":")[2] or "0"
            providers = [("CUDAExecutionProvider", {"device_id": index, "use_tf32": "0"})]
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors come as exceptions; warnings are about speed
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # its exceptions have no common class of their own
            raise CaffeError(f"{path}: ONNX Runtime cannot load it: {one_line(error)}") from None
        if providers[0] != "CPUExecutionProvider" and "CUDAExecutionProvider" not in self._session.get_providers():
            raise CaffeError("ONNX Runtime's CUDA provider does not work here; expected onnxruntime-gpu and CUDA")
        self._path = path
        self._inputs = self._session.get_inputs()
        names = [output.name for output in self._session.get_outputs()]
        self.output: str = "prob" if "prob" in names else names[0]

    @property
    def metadata(self) -> dict[str, str]:
        """What the model says about itself."""
        found: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        return found

    def check_input(self, shape: Sequence[int]) -> None:
        """CaffeError unless the model takes images of ``shape`` (channels, height, width), any number at a time."""
        wanted = [list(value.shape) for value in self._inputs]
        if len(wanted) != 1 or len(wanted[0]) != 4 or isinstance(wanted[0][0], int):
            raise CaffeError(f"{self._path}: takes inputs {wanted}; expected one, [N, channels, height, width]")
        if wanted[0][1:] != list(shape):
            raise CaffeError(f"{self._path}: takes images {wanted[0][1:]}, the transformed ones are {list(shape)}")

    def run(self, images: NDArray[np.float32]) -> Scores:
        began = time.perf_counter()
        (scores,) = self._session.run([self.output], {self._inputs[0].name: images})
        self.seconds += time.perf_counter() - began
        return rows(scores)


def rows(scores: NDArray[np.float32]) -> Scores:
    """One row of scores an image, from outputs such as (n, classes, 1, 1)."""
    return scores.reshape(len(scores), -1)


def one_line(error: object) -> str:
    """An error's text without line breaks."""
    return " ".join(str(error).split())
