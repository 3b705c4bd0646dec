"""onnx's reference evaluator, with those of its operators put right that Caffe's nets need and it gets wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from onnx.reference.ops.op_conv_transpose import ConvTranspose as UngroupedConvTranspose
from onnx.reference.ops.op_max_pool import MaxPool as MaxPoolByStride

Array = NDArray[np.float32]


class LRN(OpRun):
    """The operator as ONNX specifies it. The evaluator's own loops over as many channels as there are images."""

    def _run(self, x: Array, alpha: float, beta: float, bias: float, size: int) -> tuple[Array]:
        padded = np.pad(x**2, [(0, 0), (size // 2, size // 2), (0, 0), (0, 0)])
        total = sum(padded[:, i : i + x.shape[1]] for i in range(size))
        return (x / (bias + np.float32(alpha / size) * total) ** np.float32(beta),)


class ConvTranspose(UngroupedConvTranspose):
    """One group after the other. The evaluator's own cuts the weights of several groups the wrong way."""

    def _run(self, x: Array, weight: Array, bias: Any = None, group: int = 1, **window: Any) -> Any:  # type: ignore[override]
        biases = [None] * group if bias is None else np.split(bias, group)
        parts = zip(np.split(x, group, 1), np.split(weight, group), biases)
        tops = [super(ConvTranspose, self)._run(*part, group=1, **window)[0] for part in parts]
        return (np.concatenate(tops, 1),)


class MaxPool(MaxPoolByStride):
    """The one of the evaluator's two ways that gives indices. With a stride of 1 it takes the other, which does not."""

    def _run(self, x: Array, **window: Any) -> Any:  # type: ignore[override]
        if len(self.onnx_node.output) == 1:
            return super()._run(x, **window)
        return self._max_pool(x, **window)


def reference_evaluator(model: onnx.ModelProto) -> ReferenceEvaluator:
    """An evaluator of the model in numpy: slow, but nobody's optimiser has been there."""
    return ReferenceEvaluator(model, new_ops=[LRN, ConvTranspose, MaxPool])
