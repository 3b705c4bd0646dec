"""``caffe.Classifier``: class probabilities of images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe_compat.io import Transformer, center_crop, resize_image
from caffe_compat.io import oversample as ten_crops
from caffe_compat.proto import caffe_pb2
from caffe_compat.pycaffe import Net


class ImageNet(Net):
    """A net in phase TEST with one image as input, and the transformer for it."""

    def __init__(
        self,
        model_file: str | os.PathLike[str],
        pretrained_file: str | os.PathLike[str],
        mean: np.ndarray | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ) -> None:
        super().__init__(model_file, caffe_pb2.TEST, weights=pretrained_file)
        input_ = self.inputs[0]
        self.transformer = transformer = Transformer({input_: self.blobs[input_].shape})
        transformer.set_transpose(input_, (2, 0, 1))
        if mean is not None:
            transformer.set_mean(input_, mean)
        if input_scale is not None:
            transformer.set_input_scale(input_, input_scale)
        if raw_scale is not None:
            transformer.set_raw_scale(input_, raw_scale)
        if channel_swap is not None:
            transformer.set_channel_swap(input_, channel_swap)

    def scores(self, images: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """The first output for images (height, width, channels) of any size."""
        input_ = self.inputs[0]
        data: dict[str, Any] = {input_: np.array([self.transformer.preprocess(input_, image) for image in images])}
        return self.forward_all(**data)[self.outputs[0]]


class Classifier(ImageNet):
    """A net that classifies images.

    Args:
        model_file, pretrained_file: the definition and the weights.
        image_dims: height and width to which images are resized before they are cropped; None: the input's.
        mean, input_scale, raw_scale, channel_swap: as of ``io.Transformer``.
    """

    def __init__(
        self,
        model_file: str | os.PathLike[str],
        pretrained_file: str | os.PathLike[str],
        image_dims: Sequence[int] | None = None,
        mean: np.ndarray | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ) -> None:
        super().__init__(model_file, pretrained_file, mean, input_scale, raw_scale, channel_swap)
        self.crop_dims = np.array(self.blobs[self.inputs[0]].shape[2:])
        self.image_dims = self.crop_dims if image_dims is None else np.array(image_dims)

    def predict(self, inputs: Sequence[np.ndarray], oversample: bool = True) -> np.ndarray:
        """Probabilities (images, classes) for images (height, width, channels).

        ``oversample``: the mean over ten crops (``io.oversample``), otherwise those of the centre.
        """
        images = [resize_image(image, self.image_dims) for image in inputs]
        if not oversample:
            return self.scores([center_crop(image, self.crop_dims) for image in images])
        return self.scores(ten_crops(images, self.crop_dims)).reshape(len(images), 10, -1).mean(1)
