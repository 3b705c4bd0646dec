"""Resizing images as pycaffe does, which means as the scikit-image and SciPy of its time did."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from caffe_compat.errors import CaffeError


def resize_image(im: np.ndarray, new_dims: Sequence[int] | np.ndarray, interp_order: int = 1) -> np.ndarray:
    """Resize an image without smoothing it first.

    Args:
        im: (height, width, channels) of any type.
        new_dims: new height and width.
        interp_order: 0 takes the nearest pixel, 1 interpolates linearly.

    Returns:
        Float32 of shape (*new_dims, channels).

    With 1 or 3 channels pixels are squares, and the image lies on ground of its smallest value, which shows at the edge
    of an enlarged image (``skimage.transform.resize`` with mode "constant", without anti-aliasing, on values scaled to
    [0, 1]). With other numbers of channels pixels are points, and corners stay corners (``scipy.ndimage.zoom``).
    """
    if interp_order not in (0, 1):
        raise CaffeError(f"resize_image: interp_order is {interp_order}; expected 0 (nearest) or 1 (linear)")
    image = np.asarray(im, np.float64)
    squares = image.shape[-1] in (1, 3)
    ground = image.min() if squares else 0.0
    image = image - ground
    for axis, size in enumerate(new_dims):
        old = image.shape[axis]
        if squares:
            at = (np.arange(size) + 0.5) * (old / size) - 0.5
        else:
            at = np.linspace(0, old - 1, size) if size > 1 else np.zeros(1)
        image = _sample(image, axis, np.floor(at + 0.5) if interp_order == 0 else at)
    return (image + ground).astype(np.float32)


def _sample(image: np.ndarray, axis: int, at: np.ndarray) -> np.ndarray:
    """Values at positions along an axis, linear between pixels; beyond the image lie zeros."""
    image = np.moveaxis(image, axis, 0)
    low = np.floor(at).astype(int)
    result = np.zeros((len(at), *image.shape[1:]))
    for pixel, weight in ((low, low + 1 - at), (low + 1, at - low)):
        weight = np.where((pixel >= 0) & (pixel < len(image)), weight, 0.0)
        result += image[pixel.clip(0, len(image) - 1)] * weight.reshape(-1, *[1] * (image.ndim - 1))
    return np.moveaxis(result, 0, axis)
