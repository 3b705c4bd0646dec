"""Caffe's fillers: the first values of parameters and of DummyData's tops, bit for bit.

The random ones draw from the calling thread's main generator, in row-major order, as many words as Caffe does. All
arithmetic is in single precision, each step rounded, as in ``Filler<float>``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from caffe_compat import rng
from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2

Fail = Callable[[str], NoReturn]

_f32 = np.float32
_MAX = float(np.finfo(_f32).max)


def fill(filler: Any, shape: Sequence[int], fail: Fail | None = None) -> np.ndarray:
    """The values that ``filler``, a FillerParameter, gives a blob of ``shape``: a new float32 array.

    What Caffe's CHECKs refuse goes to ``fail`` as one line; it must raise, and by default raises CaffeError. Nothing
    has been drawn then.
    """
    shape = tuple(shape)

    def refuse(message: str) -> NoReturn:
        (fail or _raise)(f'filler "{filler.type}" of a blob of shape {list(shape)}: {message}')

    if filler.type not in FILLERS:
        refuse(f"there is no such filler; expected one of {', '.join(sorted(FILLERS))}")
    if min(shape, default=1) < 1:
        refuse("the blob is empty")
    if filler.type == "gaussian":
        if filler.sparse < -1:
            refuse(f"sparse: {filler.sparse}; expected -1 (off) or more")
    elif filler.sparse != -1:
        refuse(f"sparse: {filler.sparse}; only the gaussian filler can be sparse")
    return FILLERS[filler.type](filler, shape, refuse)


def _raise(message: str) -> NoReturn:
    raise CaffeError(message)


def _constant(filler: Any, shape: tuple[int, ...], refuse: Fail) -> np.ndarray:
    return np.full(shape, filler.value, dtype=_f32)


def _uniform(filler: Any, shape: tuple[int, ...], refuse: Fail) -> np.ndarray:
    if not (-_MAX <= filler.min <= filler.max <= _MAX and filler.min < _MAX):
        refuse(f"min: {filler.min} max: {filler.max}; expected finite values with min <= max")
    return rng.main().uniform(math.prod(shape), filler.min, filler.max).reshape(shape)


def _gaussian(filler: Any, shape: tuple[int, ...], refuse: Fail) -> np.ndarray:
    if not filler.std > 0:
        refuse(f"std: {filler.std}; expected more than 0")
    outputs = _first_axis(shape, refuse) if filler.sparse >= 0 else 0
    if filler.sparse > outputs:
        refuse(f"sparse: {filler.sparse}; expected no more than the first axis, {outputs}")
    values = rng.main().gaussian(math.prod(shape), filler.mean, filler.std)
    if filler.sparse >= 0:
        # The mean number of outputs that an input keeps. A product, not a choice: a negative value becomes -0.
        values *= rng.main().bernoulli_float(len(values), float(_f32(filler.sparse) / _f32(outputs)))
    return values.reshape(shape)


def _positive_unitball(filler: Any, shape: tuple[int, ...], refuse: Fail) -> np.ndarray:
    outputs = _first_axis(shape, refuse)
    rows = rng.main().uniform(math.prod(shape), 0, 1).reshape(outputs, -1)
    rows /= np.cumsum(rows, axis=1, dtype=_f32)[:, -1:]  # sum() would add in pairs; Caffe adds one after the other
    return rows.reshape(shape)


def _xavier(filler: Any, shape: tuple[int, ...], refuse: Fail) -> np.ndarray:
    """Glorot and Bengio 2010."""
    scale = np.sqrt(_f32(3) / _fan(filler, shape, refuse))
    return rng.main().uniform(math.prod(shape), -scale, scale).reshape(shape)


def _msra(filler: Any, shape: tuple[int, ...], refuse: Fail) -> np.ndarray:
    """He, Zhang, Ren and Sun 2015."""
    std = np.sqrt(_f32(2) / _fan(filler, shape, refuse))
    return rng.main().gaussian(math.prod(shape), 0, std).reshape(shape)


def _bilinear(filler: Any, shape: tuple[int, ...], refuse: Fail) -> np.ndarray:
    """The kernel with which a Deconvolution of stride f = ceil(width / 2) interpolates bilinearly."""
    if len(shape) != 4 or shape[2] != shape[3]:
        refuse("expected 4 axes and a square kernel")
    width = shape[3]
    f = math.ceil(width / 2)
    c = _f32((width - 1) / (2 * f))
    weight = _f32(1) - np.abs(np.arange(width, dtype=_f32) / _f32(f) - c)
    return np.broadcast_to(np.outer(weight, weight), shape).copy()


def _fan(filler: Any, shape: tuple[int, ...], refuse: Fail) -> np.float32:
    """The number of values that share an output (fan in), an input (fan out) or the mean of the two."""
    fan_in = math.prod(shape) // _first_axis(shape, refuse)
    fan_out = math.prod(shape) // (shape[1] if len(shape) > 1 else 1)
    if filler.variance_norm == caffe_pb2.FillerParameter.AVERAGE:
        return _f32(fan_in + fan_out) / _f32(2)
    return _f32(fan_out if filler.variance_norm == caffe_pb2.FillerParameter.FAN_OUT else fan_in)


def _first_axis(shape: tuple[int, ...], refuse: Fail) -> int:
    if not shape:
        refuse("expected at least one axis")
    return shape[0]


FILLERS: dict[str, Callable[[Any, tuple[int, ...], Fail], np.ndarray]] = {
    "bilinear": _bilinear,
    "constant": _constant,
    "gaussian": _gaussian,
    "msra": _msra,
    "positive_unitball": _positive_unitball,
    "uniform": _uniform,
    "xavier": _xavier,
}
