"""kernel_size, stride, pad and dilation of convolution-like layers, in the ways a prototxt can spell them; windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from caffe_compat.layers.base import Layer, Shape


@dataclass(frozen=True)
class Window:
    """One value for each spatial axis. A dilation of 0 has all taps of a kernel read the same pixel."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pad: tuple[int, ...]
    dilation: tuple[int, ...]

    def __str__(self) -> str:
        return f"kernel {list(self.kernel)} with dilation {list(self.dilation)}"

    @property
    def extent(self) -> tuple[int, ...]:
        """Pixels that a dilated kernel spans."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation))

    def onnx(self) -> dict[str, Any]:
        """The attributes of ONNX operators that say the same."""
        return {"kernel_shape": self.kernel, "strides": self.stride, "pads": self.pad * 2, "dilations": self.dilation}

    def convolved(self, size: Shape) -> Shape:
        """Output size of a convolution: (size + 2 pad - extent) / stride + 1, divided as C does: towards 0."""
        rows = zip(size, self.pad, self.extent, self.stride)
        return tuple(int((n + 2 * p - e) / s) + 1 for n, p, e, s in rows)

    def beyond(self, size: Shape) -> list[int]:
        """By how much the kernel is larger than the padded bottom, in the order and form that torch's ``pad`` takes."""
        over = [max(0, e - n - 2 * p) for n, p, e in zip(size, self.pad, self.extent)]
        return [pad for n in reversed(over) for pad in (0, n)]

    def transposed(self, size: Shape) -> Shape:
        """Output size of a deconvolution: stride * (size - 1) + extent - 2 pad."""
        rows = zip(size, self.pad, self.extent, self.stride)
        return tuple(s * (n - 1) + e - 2 * p for n, p, e, s in rows)


def check_images(layer: Layer, shape: Shape) -> None:
    """Fail unless a bottom has the axes of images."""
    if len(shape) != 4 or 0 in shape[1:]:
        layer.fail(f"bottom of shape {list(shape)}; expected 4 axes: num, channels, height, width, but for num not 0")


def read_window(layer: Layer, param: Any, axes: int) -> Window:
    """The window of a ConvolutionParameter over ``axes`` spatial axes.

    Either a repeated field (one value for all axes, or one for each) or, with two axes, its _h and _w forms.
    """
    return Window(
        _values(layer, param, "kernel_size", "kernel", axes, None),
        _values(layer, param, "stride", "stride", axes, 1),
        _values(layer, param, "pad", "pad", axes, 0),
        _values(layer, param, "dilation", "", axes, 1),
    )


def taps(x: Tensor, size: Sequence[int], kernel: Sequence[int], stride: Sequence[int]) -> Iterator[Tensor]:
    """For each pixel of a window, row by row, a view of it in all windows: (n, c, *size) of x, (n, c, h, w)."""
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            rows = slice(i, i + (size[0] - 1) * stride[0] + 1, stride[0])
            columns = slice(j, j + (size[1] - 1) * stride[1] + 1, stride[1])
            yield x[:, :, rows, columns]


def _values(layer: Layer, param: Any, name: str, prefix: str, axes: int, default: int | None) -> tuple[int, ...]:
    given = list(getattr(param, name))
    if prefix and (param.HasField(f"{prefix}_h") or param.HasField(f"{prefix}_w")):
        if axes != 2:
            layer.fail(f"{prefix}_h and {prefix}_w are for 2 spatial axes, this bottom has {axes}")
        if given:
            layer.fail(f"give either {name} or {prefix}_h and {prefix}_w, not both")
        given = [getattr(param, f"{prefix}_h"), getattr(param, f"{prefix}_w")]
    if not given and default is not None:
        given = [default]
    if len(given) not in (1, axes) and axes:
        layer.fail(f"{name} needs 1 value or {axes}, one for each spatial axis; got {len(given)}")
    values = tuple(given * axes if len(given) == 1 else given)
    if name in ("kernel_size", "stride") and min(values, default=1) < 1:
        layer.fail(f"{name}: {min(values)}, expected at least 1")
    return values
