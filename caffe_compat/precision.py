"""float32 as Caffe means it, and the faster arithmetic that a user may ask for instead.

Nets take the precision that is in force when they are built::

    with precision.use("bf16"):
        solver = Solver("solver.prototxt")

fp32  every product and sum in float32, without TF32, which torch would else let cuDNN use. The default.
tf32  the GPU may round the factors of convolutions and matrix products to TF32's 10 bits of mantissa; nothing else
      changes. A CPU has no such units, so there it is fp32.
bf16  factors of convolutions and inner products are rounded to bfloat16's 7 bits and their products summed in float32;
      blobs that only such layers read, and the diffs of those blobs, are stored in bfloat16. Parameters, their diffs,
      history and update, and every other layer's arithmetic stay in float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch
from torch import Tensor

from caffe_compat.errors import CaffeError


@dataclass(frozen=True)
class Precision:
    """How a net multiplies and what it stores between layers; see the module."""

    name: str
    tf32: bool = False
    bf16: bool = False

    def __str__(self) -> str:
        return self.name

    @property
    def channels_last(self) -> bool:
        """Whether a GPU's convolutions want the channels last in memory, as those of its matrix units do."""
        return self.tf32 or self.bf16

    def prepare(self, device: torch.device) -> None:
        """Set torch's switches, which hold for the whole process, for what a net computes next on the device.

        Some of cuDNN's algorithms add up in an order that changes from run to run; those are not for us.
        """
        if device.type == "cuda":
            torch.backends.cudnn.deterministic = True
            torch.backends.cudnn.allow_tf32 = self.tf32
            torch.backends.cuda.matmul.allow_tf32 = self.tf32
            torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False

    def factor(self, x: Tensor) -> Tensor:
        """A factor of a product, rounded as the precision asks.

        On a GPU in bfloat16, for its matrix units; on a CPU the rounded values in float32, which are multiplied and
        summed just so.
        """
        if not self.bf16:
            return x
        rounded = x.to(torch.bfloat16)
        return rounded if x.is_cuda else rounded.float()

    def kernel(self, weight: Tensor) -> Tensor:
        """A convolution's weight as a factor. Its layout decides about that of the top, which the layers above keep."""
        factor = self.factor(weight)
        if weight.is_cuda and weight.dim() == 4 and self.channels_last:
            return factor.contiguous(memory_format=torch.channels_last)
        return factor

    def product(self, a: Tensor, b: Tensor) -> Tensor:
        """The matrix product of two factors, (n, k) · (k, m), in float32."""
        return torch.mm(a, b, out_dtype=torch.float32) if a.dtype == torch.bfloat16 else a @ b


FP32, TF32, BF16 = Precision("fp32"), Precision("tf32", tf32=True), Precision("bf16", bf16=True)
_NAMED = {precision.name: precision for precision in (FP32, TF32, BF16)}
_active = ContextVar("precision", default=FP32)


def active() -> Precision:
    """The precision in force."""
    return _active.get()


def parse(name: str) -> Precision:
    """A precision by its name. CaffeError for others."""
    if name not in _NAMED:
        raise CaffeError(f"precision: {name!r}, expected {', '.join(_NAMED)}")
    return _NAMED[name]


@contextmanager
def use(precision: str | Precision) -> Iterator[Precision]:
    """Put a precision in force for nets and solvers built inside."""
    chosen = parse(precision) if isinstance(precision, str) else precision
    token = _active.set(chosen)
    try:
        yield chosen
    finally:
        _active.reset(token)
