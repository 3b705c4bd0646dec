"""Caffe's DataTransformer: mirror, crop, mean and scale, out = (pixel - mean) * scale in single precision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caffe_compat import compat, glog, kernels, rng
from caffe_compat.data.buffers import Scratch
from caffe_compat.data.datum import copy_images
from caffe_compat.data.mean import read_mean
from caffe_compat.data.picture import AS_STORED, COLOR, GRAY
from caffe_compat.errors import CaffeError
from caffe_compat.libc_rand import RandShare
from caffe_compat.proto import caffe_pb2

Generator = TypeVar("Generator", bound="rng.Rng | RandShare")


class Placement(NamedTuple):
    """Where in the source image the output lies, and whether it is mirrored."""

    mirror: bool
    top: int
    left: int


class Chance(NamedTuple):
    """What is left to chance about an image: the mirror, and two random words to place the crop; None: the middle."""

    mirror: bool
    offsets: tuple[int, int] | None


class Transformer:
    """What a TransformationParameter asks for; decisions are drawn per image, in the order of delivery.

    Images have shape (channels, height, width), uint8 or float32. The mean is indexed by the position in the source
    image, before mirroring.
    """

    def __init__(self, param: Any, phase: int) -> None:
        self.crop: int = param.crop_size
        self.random_crop = bool(self.crop) and phase == caffe_pb2.TRAIN
        self.mirror: bool = param.mirror  # at random, in both phases
        self.scale = np.float32(param.scale)
        self.mode = _decoding(param)
        self.compat = compat.active()
        self.random_first = 0  # images to come that are cropped at random in any phase
        self.rng: rng.Rng | RandShare | None = None
        self._means: dict[torch.device, Tensor] = {}
        self._scratch = Scratch()
        self.mean_file: str = param.mean_file
        self.mean_values = np.array(param.mean_value, np.float32)
        if self.mean_file:
            if len(self.mean_values):
                raise CaffeError("mean_file: Cannot specify mean_file and mean_value at the same time")
            glog.info("data_transformer.cpp:25", f"Loading mean file from: {self.mean_file}")
            self.mean = read_mean(self.mean_file)
            self.negative_means = -self.mean, np.ascontiguousarray(-self.mean[:, :, ::-1])  # the second mirrored

    @property
    def random(self) -> bool:
        """Whether something is left to chance."""
        return self.random_crop or self.mirror or self.random_first > 0

    def init_rng(self, batch_size: int = 1) -> None:
        """Seed the transformer's own generator from the main one, if it will be needed at all.

        That of 2014 was the C library's, which nobody seeded, and the first batch was fetched at once; at that time
        every layer was in TRAIN phase.
        """
        if self.compat.random_first_test_batch and self.crop and not self.random_crop:
            self.random_first = batch_size
        if not self.random:
            self.rng = None
        elif self.compat.unseeded_rand:
            cropped = self.random_crop or self.random_first
            self.rng = RandShare(self.compat.rand, batch_size * (2 * bool(cropped) + self.mirror))
        else:
            self.rng = rng.Rng(rng.next_data_seed())

    def load_rng(self, place: Any) -> None:
        """Go on from a state of the generator. CaffeError if it is none."""
        self.rng = restored(place, RandShare(self.compat.rand, 0) if self.compat.unseeded_rand else rng.Rng(0))

    def shape(self, image: Sequence[int]) -> tuple[int, int, int]:
        """Output's shape for an image's shape. CaffeError if crop or mean do not fit it."""
        channels, height, width = image
        if min(height, width) < self.crop:
            raise CaffeError(f"crop_size: {self.crop} is larger than the image of shape {list(image)}")
        if self.mean_file and self.mean.shape != tuple(image):
            raise CaffeError(
                f"mean_file: {self.mean_file} is of shape {list(self.mean.shape)}, the image {list(image)}"
            )
        if len(self.mean_values) not in (0, 1, channels):
            raise CaffeError(
                f"mean_value: {len(self.mean_values)} values; expected 1 or {channels}, one for each channel"
            )
        return (channels, self.crop, self.crop) if self.crop else (channels, height, width)

    def draw(self, count: int) -> list[Chance]:
        """Decide about the next images, as far as their sizes need not be known."""
        cropped = count if self.random_crop else min(count, self.random_first)
        self.random_first = max(0, self.random_first - count)
        needed = 2 * cropped + self.mirror * count
        words = iter(self._words(needed) if needed else [])
        chances = []
        for i in range(count):
            if self.compat.unseeded_rand:  # the crop first
                offsets = (next(words), next(words)) if i < cropped else None
                chances.append(Chance(self.mirror and next(words) % 2 == 1, offsets))
            else:
                mirror = self.mirror and next(words) % 2 == 1
                chances.append(Chance(mirror, (next(words), next(words)) if i < cropped else None))
        return chances

    def place(self, chance: Chance, image: Sequence[int]) -> Placement:
        """What was decided about an image, now that its shape is known."""
        if not self.crop:
            return Placement(chance.mirror, 0, 0)
        down, right = image[1] - self.crop, image[2] - self.crop
        if chance.offsets is None:
            return Placement(chance.mirror, down // 2, right // 2)
        top, left = chance.offsets
        if self.compat.crop_below_margin:
            return Placement(chance.mirror, top % max(1, down), left % max(1, right))
        return Placement(chance.mirror, top % (down + 1), left % (right + 1))

    def _words(self, count: int) -> list[int]:
        assert self.rng is not None
        return self.rng.u32(count).tolist()

    def cut(self, images: Sequence[NDArray], places: Sequence[Placement], out: NDArray) -> None:
        """Copy the placed parts of the images into ``out`` (n, channels, height, width), which is contiguous."""
        height, width = out.shape[2:]
        cuts = [image[:, at.top : at.top + height, at.left : at.left + width] for image, at in zip(images, places)]
        copy_images(cuts, out)
        for at, target in zip(places, out):
            if at.mirror:
                import cv2

                rows = target.reshape(-1, width)
                cv2.flip(rows, 1, rows)  # several times faster than numpy's negative stride

    def apply(self, images: Sequence[NDArray], places: Sequence[Placement], out: NDArray[np.float32]) -> None:
        """Transform images into ``out`` (n, channels, height, width), which is contiguous.

        Few enough for the processor's cache, where each step, faster than a function that converts on the fly, is to
        find what the one before has left.
        """
        whole = all(image.dtype == np.uint8 for image in images)
        cut = self._scratch.take(out.shape, np.uint8 if whole else np.float32)
        self.cut(images, places, cut)
        if self.mean_file:
            import cv2

            height, width = out.shape[2:]
            rows = out.reshape(-1, width)
            copy_images([self._negative_mean(at, height, width) for at in places], out)
            cv2.accumulate(cut.reshape(rows.shape), rows)  # pixel - mean is -mean + pixel, to the bit
        else:
            np.copyto(out, cut)
        self.end(out)

    def _negative_mean(self, at: Placement, height: int, width: int) -> NDArray[np.float32]:
        """What is to be added to an image's placed part, mirrored as that is."""
        mean, left = self.negative_means[at.mirror], at.left
        if at.mirror:
            left = mean.shape[2] - width - left
        return mean[:, at.top : at.top + height, left : left + width]

    def end(self, out: NDArray[np.float32]) -> None:
        """What is left to do with images (..., channels, height, width) after a mean image: mean values and scale."""
        if len(self.mean_values):
            np.subtract(out, self.mean_values[:, None, None], out=out)
        if self.scale != 1:
            np.multiply(out, self.scale, out=out)

    def finish(
        self, cuts: Tensor, places: Sequence[Placement], dtype: torch.dtype = torch.float32, channels_last: bool = False
    ) -> Tensor:
        """What ``apply`` does after ``cut``, for a whole batch (n, channels, height, width) on its device.

        ``dtype`` and ``channels_last`` say how it is stored; the arithmetic is float32.
        """
        layout = torch.channels_last if channels_last else torch.contiguous_format
        if kernels.usable(cuts):
            return self._finish_in_kernel(cuts, places, torch.empty_like(cuts, dtype=dtype, memory_format=layout))
        return self._finish(cuts, places).to(dtype, memory_format=layout)

    def _finish_in_kernel(self, cuts: Tensor, places: Sequence[Placement], out: Tensor) -> Tensor:
        from caffe_compat.kernels import transform

        mean = None
        if self.mean_file:
            mean = self._on(cuts.device, self.mean)
        elif len(self.mean_values):
            mean = self._on(cuts.device, self.mean_values).expand(cuts.shape[1]).contiguous()
        where = torch.tensor(places, dtype=torch.int32).to(cuts.device, non_blocking=True)
        transform.finish(cuts, where, mean, float(self.scale), out)
        return out

    def _finish(self, cuts: Tensor, places: Sequence[Placement]) -> Tensor:
        out = cuts.to(torch.float32)
        if self.mean_file:
            _, _, height, width = out.shape
            rows, columns = sources(torch.tensor(places).to(out.device, non_blocking=True), height, width)
            out -= self._on(out.device, self.mean)[:, rows[:, :, None], columns[:, None, :]].transpose(0, 1)
        elif len(self.mean_values):
            out -= self._on(out.device, self.mean_values)[:, None, None]
        if self.scale != 1:
            out *= float(self.scale)
        return out

    def _on(self, device: torch.device, mean: NDArray[np.float32]) -> Tensor:
        """The mean on a device, copied once, without waiting for the device."""
        if device not in self._means:
            self._means[device] = torch.from_numpy(mean).to(device, non_blocking=True)
        return self._means[device]


def sources(places: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Rows (n, height) and columns (n, width) of the source images that outputs of this size are cut from.

    ``places``: (n, 3), a ``Placement`` in each row, on the device that the result shall be on.
    """
    mirror, top, left = places.unsqueeze(2).unbind(1)
    columns = torch.arange(width, device=places.device).expand(len(places), width)
    columns = left + torch.where(mirror > 0, width - 1 - columns, columns)
    return top + torch.arange(height, device=places.device), columns


def _decoding(param: Any) -> int:
    """How encoded images are decoded."""
    if param.force_color and param.force_gray:
        raise CaffeError("force_color: cannot set both force_color and force_gray")
    return COLOR if param.force_color else GRAY if param.force_gray else AS_STORED


def restored(place: Any, generator: Generator) -> Generator:
    """The generator, put back to a place that it was at. CaffeError if it cannot have been."""
    try:
        generator.set_state(place)
    except (ValueError, AttributeError) as error:
        raise CaffeError(f"state of the data: {error}") from None
    return generator
