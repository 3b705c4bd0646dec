"""Convolutions of shapes that torch's have no place for."""

from __future__ import annotations

from dataclasses import fields, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from caffe_compat.layers.spatial import Window

MOST_AXES = 3  # of torch's convolutions


def fits(window: Window, sides: tuple[int, ...], transposed: bool) -> bool:
    """Whether torch has that convolution of a bottom with these spatial sides."""
    return 1 <= len(sides) <= MOST_AXES and all(window.dilation) and (transposed or not any(window.beyond(sides)))


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None, window: Window, transposed: bool, group: int, size: tuple[int, ...]
) -> Tensor:
    """The convolution of ``x`` (batch, channels, ...) over any number of spatial axes, none included.

    ``size``: the top's spatial sides. A window that hangs over the far end, as it does where Caffe's rounding gives a
    kernel that is larger than the bottom a place all the same, finds zeros there.
    """
    still = [i for i, dilation in enumerate(window.dilation) if not dilation]
    if still:  # all taps read the same pixel: one tap of their weights' sum does the same
        weight = weight.sum([2 + i for i in still], keepdim=True)
        window = replace(window, kernel=tuple(weight.shape[2:]), dilation=tuple(max(1, d) for d in window.dilation))
    if not size:
        rows = x.unflatten(1, (group, -1))
        factor = weight.reshape(group, -1, weight.shape[1]) if transposed else weight.reshape(group, -1, rows.shape[2])
        product = torch.einsum("ngi,gio->ngo" if transposed else "ngi,goi->ngo", rows, factor)
        top = product.flatten(1)
    elif len(size) <= MOST_AXES:
        if not transposed:
            x = F.pad(x, window.beyond(tuple(x.shape[2:])))
        numbers = (window.stride, window.pad, window.dilation)
        top = torch.convolution(x, weight, None, *numbers, transposed, [0] * len(size), group)
    else:
        top = _peeled(x, weight, window, transposed, group, size)
    return top if bias is None else top + bias.view(-1, *[1] * len(size))


def _peeled(x: Tensor, weight: Tensor, window: Window, transposed: bool, group: int, size: tuple[int, ...]) -> Tensor:
    """One spatial axis fewer: the first one's places join the batch, and its taps are added up."""
    rest = Window(*(getattr(window, field.name)[1:] for field in fields(window)))
    stride, pad, dilation = window.stride[0], window.pad[0], window.dilation[0]
    places = x.shape[2] if transposed else size[0]  # at which the kernel lies
    reach = (places - 1) * stride + window.extent[0]
    length = max(reach, size[0] + 2 * pad) if transposed else max(reach, x.shape[2] + 2 * pad)
    if not transposed:
        x = F.pad(x, [0, 0] * (x.dim() - 3) + [pad, length - pad - x.shape[2]])
    top = x.new_zeros(0)
    for k in range(window.kernel[0]):
        at = slice(k * dilation, k * dilation + (places - 1) * stride + 1, stride)
        planes = (x if transposed else x[:, :, at]).movedim(2, 1)
        part = convolve(planes.flatten(0, 1), weight[:, :, k], None, rest, transposed, group, size[1:])
        part = part.unflatten(0, planes.shape[:2]).movedim(1, 2)
        if transposed:
            whole = part.new_zeros((*part.shape[:2], length, *size[1:]))
            part = whole.index_copy(2, torch.arange(length, device=x.device)[at], part)
        top = part if not k else top + part
    return top[:, :, pad : pad + size[0]] if transposed else top
