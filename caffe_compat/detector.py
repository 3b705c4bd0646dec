"""``caffe.Detector``: class scores of windows in images (R-CNN)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from caffe_compat.classifier import ImageNet
from caffe_compat.errors import CaffeError
from caffe_compat.io import load_image, resize_image

Window = Sequence[float]  # top, left, bottom, right


class Detector(ImageNet):
    """A net that scores windows of images.

    Args:
        model_file, pretrained_file: the definition and the weights.
        mean, input_scale, raw_scale, channel_swap: as of ``io.Transformer``.
        context_pad: pixels of the input, on each side, that show what surrounds the window; None: the window alone.
    """

    def __init__(
        self,
        model_file: str | os.PathLike[str],
        pretrained_file: str | os.PathLike[str],
        mean: np.ndarray | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
        context_pad: int | None = None,
    ) -> None:
        super().__init__(model_file, pretrained_file, mean, input_scale, raw_scale, channel_swap)
        self.configure_crop(context_pad)

    def configure_crop(self, context_pad: int | None) -> None:
        """Set ``context_pad``, and the image of the mean that lies where a window's surroundings leave the image."""
        input_ = self.inputs[0]
        shape = self.blobs[input_].shape[1:]
        self.context_pad = context_pad
        mean = np.broadcast_to(self.transformer.mean.get(input_, 0.0), shape)
        # The mean as it would have to be in an image for `preprocess` to make zeros of it.
        image = mean / self.transformer.raw_scale.get(input_, 1.0)
        if input_ in self.transformer.channel_swap:
            image = image[np.argsort(self.transformer.channel_swap[input_])]
        self.crop_mean = image.transpose(1, 2, 0).astype(np.float32)

    def detect_windows(
        self, images_windows: Iterable[tuple[str | os.PathLike[str], Iterable[Window]]]
    ) -> list[dict[str, Any]]:
        """Score windows of image files: a dict ``window``, ``prediction``, ``filename`` for each."""
        crops, found = [], []
        for filename, windows in images_windows:
            image = load_image(filename)
            for window in windows:
                crops.append(self.crop(image, np.asarray(window)))
                found.append({"window": window, "filename": filename})
        if found:
            for detection, prediction in zip(found, self.scores(crops)):
                detection["prediction"] = prediction
        return found

    def detect_selective_search(self, image_fnames: Iterable[str | os.PathLike[str]]) -> list[dict[str, Any]]:
        """Score the windows that selective search proposes; needs the package ``selective_search_ijcv_with_python``."""
        try:
            import selective_search_ijcv_with_python as selective_search
        except ImportError as error:
            raise CaffeError(f"selective search: {error}") from None
        files = [os.path.abspath(name) for name in image_fnames]  # noqa: PTH100 - strings, which Matlab is given
        return self.detect_windows(zip(files, selective_search.get_windows(files)))

    def crop(self, im: np.ndarray, window: np.ndarray) -> np.ndarray:
        """Cut a window out of an image (height, width, channels), with context if that is asked for."""
        if not self.context_pad:
            top, left, bottom, right = window.astype(int)
            return im[top:bottom, left:right]
        size = self.crop_mean.shape[1]
        half = (window[2:] - window[:2] + 1) / 2
        reach = half * size / (size - 2 * self.context_pad)
        center = window[:2] + half
        box = np.round(np.concatenate([center - reach, center + reach]))
        scale = size / (box[2:] - box[:2] + 1)  # from pixels of the image to those of the input, down and across
        start = np.round(np.maximum(0, -box[:2]) * scale).astype(int)
        box = box.clip(0, [*im.shape[:2]] * 2)
        if (box[2:] <= box[:2]).any():
            raise CaffeError(f"window {window.tolist()} lies outside the image of {im.shape[0]} x {im.shape[1]} pixels")
        extent = np.round((box[2:] - box[:2] + 1) * scale).astype(int)
        end = np.minimum(start + extent, size)
        top, left, bottom, right = box.astype(int)
        crop = self.crop_mean.copy()
        crop[start[0] : end[0], start[1] : end[1]] = resize_image(im[top:bottom, left:right], end - start)
        return crop
