"""``caffe.io``: arrays in Caffe's messages, images in files, and images on their way into a net.

What differs from pycaffe: images are read by OpenCV instead of scikit-image, whose JPEG decoder may round pixels
another way; ``Transformer.preprocess`` leaves the caller's array alone; ``resize_image`` knows the orders 0 and 1.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2, raw_blobs
from caffe_compat.resize import resize_image

__all__ = [
    "Transformer",
    "array_to_blobproto",
    "array_to_datum",
    "arraylist_to_blobprotovector_str",
    "blobproto_to_array",
    "blobprotovector_str_to_arraylist",
    "caffe_pb2",
    "datum_to_array",
    "load_image",
    "oversample",
    "resize_image",
]

# Messages


def blobproto_to_array(blob: Any, return_diff: bool = False) -> np.ndarray:
    """The values of a BlobProto (or its diff), float64, in its shape; old ones have four axes."""
    data = np.array(blob.diff if return_diff else blob.data, np.float64)
    return data.reshape(raw_blobs.shape_of(blob))


def array_to_blobproto(arr: np.ndarray, diff: np.ndarray | None = None) -> Any:
    """A BlobProto of an array of any shape; ``diff``: its gradient, of the same shape."""
    blob = caffe_pb2.BlobProto(data=np.asarray(arr, float).ravel())
    blob.shape.dim.extend(np.shape(arr))
    if diff is not None:
        blob.diff.extend(np.asarray(diff, float).ravel())
    return blob


def arraylist_to_blobprotovector_str(arraylist: Iterable[np.ndarray]) -> bytes:
    """Several arrays as a serialized BlobProtoVector."""
    return caffe_pb2.BlobProtoVector(blobs=map(array_to_blobproto, arraylist)).SerializeToString()


def blobprotovector_str_to_arraylist(str: bytes) -> list[np.ndarray]:
    """The arrays in a serialized BlobProtoVector."""
    return [blobproto_to_array(blob) for blob in caffe_pb2.BlobProtoVector.FromString(str).blobs]


def array_to_datum(arr: np.ndarray, label: int | None = None) -> Any:
    """A Datum of an array (channels, height, width): as bytes if it is uint8, otherwise as floats."""
    if arr.ndim != 3:
        raise CaffeError(f"array_to_datum: shape {list(arr.shape)}; expected 3 axes: channels, height, width")
    datum = caffe_pb2.Datum(**dict(zip(("channels", "height", "width"), arr.shape)))
    if arr.dtype == np.uint8:
        datum.data = arr.tobytes()
    else:
        datum.float_data.extend(arr.astype(float).ravel())
    if label is not None:
        datum.label = label
    return datum


def datum_to_array(datum: Any) -> np.ndarray:
    """The array in a Datum that is not an encoded image: uint8, or float64 if it has floats."""
    shape = (datum.channels, datum.height, datum.width)
    if datum.data:
        return np.frombuffer(datum.data, np.uint8).reshape(shape).copy()
    return np.array(datum.float_data, float).reshape(shape)


# Images


def load_image(filename: str | os.PathLike[str], color: bool = True) -> np.ndarray:
    """Read an image as float32 in [0, 1]: (height, width, 3) in RGB, or (height, width, 1) without ``color``.

    A grey image is given three equal channels, an alpha channel is dropped. Grey is 0.2125 R + 0.7154 G + 0.0721 B.
    CaffeError if it cannot be read.
    """
    import cv2

    try:
        content = np.frombuffer(Path(filename).read_bytes(), np.uint8)
    except OSError as error:
        raise CaffeError(f"{os.fspath(filename)}: cannot read the image: {error.strerror}") from None
    found = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if content.size else None
    if found is None:
        raise CaffeError(f"{os.fspath(filename)}: not an image that OpenCV can decode")
    image = found / {"uint8": 255, "uint16": 65535}.get(found.dtype.name, 1)
    image = np.atleast_3d(image)[:, :, :3]
    if image.shape[2] == 3:
        image = image[:, :, ::-1]  # OpenCV gives BGR
        if not color:
            image = (image @ [0.2125, 0.7154, 0.0721])[:, :, None]
    elif color:
        image = np.repeat(image, 3, axis=2)
    return np.ascontiguousarray(image, np.float32)


def oversample(images: Sequence[np.ndarray], crop_dims: Sequence[int] | np.ndarray) -> np.ndarray:
    """Ten crops of each image: its corners (top left, top right, bottom left, bottom right), its centre, their mirrors.

    ``images``: (height, width, channels), all alike; ``crop_dims``: height and width of a crop. Float32 of shape
    (10 * images, height, width, channels).
    """
    size, crop = np.array(images[0].shape[:2]), np.array(crop_dims)
    down, right = size - crop
    corners = [(y, x) for y in (0, down) for x in (0, right)]
    crops = []
    for image in images:
        five = [image[y : y + crop[0], x : x + crop[1]] for y, x in corners]
        five.append(center_crop(image, crop_dims))
        crops += five + [part[:, ::-1] for part in five]
    return np.array(crops, np.float32)


def center_crop(image: np.ndarray, crop_dims: Sequence[int] | np.ndarray) -> np.ndarray:
    """The middle of an image; the odd row or column stays at the end."""
    y, x = (np.array(image.shape[:2]) - crop_dims) // 2
    return image[y : y + crop_dims[0], x : x + crop_dims[1]]


class Transformer:
    """Turns images into inputs of a net, with settings for each input.

    ``inputs``: shapes (batch, channels, height, width) by name of the input.
    """

    def __init__(self, inputs: Mapping[str, Sequence[int]]) -> None:
        self.inputs = {name: tuple(shape) for name, shape in inputs.items()}
        self.transpose: dict[str, Sequence[int]] = {}
        self.channel_swap: dict[str, Sequence[int]] = {}
        self.raw_scale: dict[str, float] = {}
        self.mean: dict[str, np.ndarray] = {}
        self.input_scale: dict[str, float] = {}

    def _check_input(self, in_: str) -> None:
        if in_ not in self.inputs:
            raise CaffeError(f"{in_} is not one of the net inputs: {', '.join(self.inputs)}")

    def preprocess(self, in_: str, data: np.ndarray) -> np.ndarray:
        """An image as the input ``in_`` wants it, float32.

        ``data``: (height, width, channels) of any size. In this order: resize, transpose, swap channels, times
        raw_scale, minus mean, times input_scale; what is not set is left out.
        """
        self._check_input(in_)
        image = np.array(data, np.float32)
        size = self.inputs[in_][2:]
        if image.shape[:2] != size:
            image = resize_image(image, size)
        if in_ in self.transpose:
            image = image.transpose(self.transpose[in_])
        if in_ in self.channel_swap:
            image = image[list(self.channel_swap[in_])]
        if in_ in self.raw_scale:
            image *= self.raw_scale[in_]
        if in_ in self.mean:
            try:
                image -= self.mean[in_]
            except ValueError:
                raise CaffeError(
                    f"image of shape {list(image.shape)} for {in_}, whose mean has {list(self.mean[in_].shape)}; "
                    f"set_transpose({in_!r}, (2, 0, 1)) puts the channels in front"
                ) from None
        if in_ in self.input_scale:
            image *= self.input_scale[in_]
        return image

    def deprocess(self, in_: str, data: np.ndarray) -> np.ndarray:
        """Undo ``preprocess``, all but the resizing."""
        self._check_input(in_)
        image = np.array(data).squeeze()
        if in_ in self.input_scale:
            image /= self.input_scale[in_]
        if in_ in self.mean:
            image += self.mean[in_]
        if in_ in self.raw_scale:
            image /= self.raw_scale[in_]
        if in_ in self.channel_swap:
            image = image[np.argsort(self.channel_swap[in_])]
        if in_ in self.transpose:
            image = image.transpose(np.argsort(self.transpose[in_]))
        return image

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """The order of the axes: (2, 0, 1) makes (channels, height, width) of (height, width, channels)."""
        self._check_input(in_)
        if len(order) != len(self.inputs[in_]) - 1:
            raise CaffeError(f"transpose {tuple(order)} for {in_}: expected {len(self.inputs[in_]) - 1} axes")
        self.transpose[in_] = order

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """The order of the channels, the first axis after the transpose: (2, 1, 0) makes BGR of RGB."""
        self._check_input(in_)
        if len(order) != self.inputs[in_][1]:
            raise CaffeError(f"channel swap {tuple(order)} for {in_}: expected {self.inputs[in_][1]} channels")
        self.channel_swap[in_] = order

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """A factor before the mean is subtracted: 255 for nets that saw bytes, as images are in [0, 1] here."""
        self._check_input(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: np.ndarray) -> None:
        """What to subtract: one value a channel, or an image, (channels, height, width) or (height, width).

        A mean image of another size than the input is resized.
        """
        self._check_input(in_)
        shape = self.inputs[in_][1:]
        mean = np.asarray(mean)
        if mean.ndim == 1:
            if len(mean) != shape[0]:
                raise CaffeError(f"mean of {len(mean)} channels for {in_}, which has {shape[0]}")
            self.mean[in_] = mean[:, None, None]
            return
        if mean.ndim not in (2, 3):
            raise CaffeError(f"mean of shape {list(mean.shape)} for {in_}; expected 1, 2 or 3 axes")
        mean = mean.reshape((1,) * (3 - mean.ndim) + mean.shape)
        if mean.shape != shape:
            mean = resize_image(mean.transpose(1, 2, 0), shape[1:]).transpose(2, 0, 1)
        self.mean[in_] = mean

    def set_input_scale(self, in_: str, scale: float) -> None:
        """A factor after the mean is subtracted."""
        self._check_input(in_)
        self.input_scale[in_] = scale
