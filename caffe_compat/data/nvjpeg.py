"""JPEG records decoded on a GPU by nvJPEG, by way of torchvision. Its pixels differ a little from OpenCV's.

Data layers do so that are built within ``with nvjpeg.use(device)``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caffe_compat import glog
from caffe_compat.data.batches import Batch
from caffe_compat.data.datum import Record, parse
from caffe_compat.data.db import Database
from caffe_compat.data.picture import AS_STORED, END_OF_IMAGE, GRAY, JPEG, Buffer
from caffe_compat.data.reader import Reader
from caffe_compat.data.transform import Placement, Transformer
from caffe_compat.errors import CaffeError

# Markers, each behind 0xFF: frames that are sequential or progressive and Huffman coded, the start of a scan, and the
# segments with which cameras and Adobe's programs say how the picture is turned and which colours it has.
FRAMES, SCAN, EXIF, ADOBE = (0xC0, 0xC1, 0xC2), 0xDA, 0xE1, 0xEE
YCBCR = 1  # Adobe's number of it

_active: ContextVar[torch.device | None] = ContextVar("nvjpeg", default=None)


def active() -> torch.device | None:
    """Where data layers that are built now decode JPEG records; None: on the host, by OpenCV."""
    return _active.get()


@contextmanager
def use(device: torch.device | None) -> Iterator[None]:
    """Decode the JPEG records of data layers that are built within this context on a GPU."""
    token = _active.set(device)
    try:
        yield
    finally:
        _active.reset(token)


def check(device: torch.device) -> None:
    """CaffeError unless a JPEG can be decoded on the device."""
    if device.type != "cuda":
        raise CaffeError(f"nvjpeg: it decodes on a GPU, and the device is {device}")
    import cv2

    picture = cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8))[1]
    try:
        decode_jpegs([torch.from_numpy(picture.ravel())], False, device)
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CaffeError(
            f"nvjpeg: torchvision decodes no JPEG on {device}: {reason}; expected a torchvision for CUDA"
        ) from None


def decode_jpegs(files: list[Tensor], gray: bool, device: torch.device) -> list[Tensor]:
    """Pixels, uint8 (3, height, width) in the order RGB or (1, height, width), of whole files, uint8 on the host.

    RuntimeError if one of them is none.
    """
    from torchvision.io import ImageReadMode, decode_jpeg

    with torch.cuda.device(device):  # else torchvision makes a stream of another GPU wait for the pixels
        return list(decode_jpeg(files, ImageReadMode.GRAY if gray else ImageReadMode.RGB, device))


def suits(content: Buffer, mode: int) -> bool:
    """Whether a picture file is a whole JPEG of 8 bits in YCbCr, which OpenCV would not turn."""
    view = memoryview(content)
    if view[:2] != JPEG or view[-2:] != END_OF_IMAGE:
        return False
    at = 2
    while at + 16 <= len(view) and view[at] == 0xFF:
        marker, size = view[at + 1], int.from_bytes(view[at + 2 : at + 4], "big")
        if marker in FRAMES:
            bits, components, first_name = view[at + 4], view[at + 9], view[at + 10]
            return bits == 8 and components == 3 and first_name != ord("R")  # as the JPEG library tells RGB
        turned = marker == EXIF and mode != AS_STORED and view[at + 4 : at + 8] == b"Exif"
        other_colours = marker == ADOBE and view[at + 4 : at + 9] == b"Adobe" and view[at + 15] != YCBCR
        if marker == SCAN or turned or other_colours:
            return False
        at += 2 + size
    return False


class NvjpegReader(Reader):
    """Reads a database as ``Reader`` does, and decodes JPEGs in a GPU's memory, where they are cut, too.

    What is not for nvJPEG, or what it cannot decode, OpenCV decodes.
    """

    def __init__(self, db: Database, transformer: Transformer, batch_size: int, place: torch.device) -> None:
        super().__init__(db, transformer, batch_size)
        self.place = place
        self._stream = _stream(place) if place.type == "cuda" else None
        self._said = False

    def read(self) -> Batch:
        items, chances, state = self._decide()
        opened = self._in_parallel(self._open, items)
        label = torch.tensor([label for _, label in opened], dtype=torch.float32)
        with torch.cuda.stream(self._stream) if self._stream else nullcontext():
            images = self._decoded(items, [image for image, _ in opened])
            shape = self._shape(items[0], images[0].shape)
            for item, image in zip(items, images):
                self._check_shape(item, image.shape, shape)
            places = [self.transformer.place(chance, image.shape) for chance, image in zip(chances, images)]
            cuts = [self._cut(image, at, shape) for image, at in zip(images, places)]
            batch = Batch(torch.stack(cuts), label, places, state)
            if self._stream:  # torchvision would not wait until nobody is at work on memory that is free again
                batch.arrival = self._stream.record_event()
                batch.arrival.synchronize()
        return batch

    def _open(self, item: tuple[Buffer, Record]) -> tuple[Tensor | NDArray, int]:
        """A JPEG's bytes as a tensor, or an image as an array; and the label."""
        try:
            datum = parse(item[1])
        except CaffeError as error:
            raise self._error(item, error) from None
        if datum.encoded and suits(datum.data, self.transformer.mode):
            return torch.frombuffer(bytearray(datum.data), dtype=torch.uint8), datum.label
        return self._load(item)

    def _decoded(self, items: list[tuple[Buffer, Record]], images: list[Tensor | NDArray]) -> list[Tensor | NDArray]:
        """Instead of bytes pixels: tensors on the GPU, in the order RGB, or arrays in the order BGR."""
        found = iter(self._on_gpu([image for image in images if isinstance(image, Tensor)]))
        decoded: list[Tensor | NDArray] = []
        for item, image in zip(items, images):
            pixels = next(found) if isinstance(image, Tensor) else image
            if pixels is None:
                pixels = self._load(item)[0]
            if not self._said and not isinstance(pixels, Tensor):
                self._said = True
                glog.info("nvjpeg", str(self._error(item, "not for nvJPEG; such records are read on the host")))
            decoded.append(pixels)
        return decoded

    def _on_gpu(self, files: list[Tensor]) -> list[Tensor | None]:
        """Pixels of each file; None where nvJPEG gives none."""
        try:
            return [*decode_jpegs(files, self.transformer.mode == GRAY, self.place)] if files else []
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:  # which does not tell whose it is
            return [None] if len(files) == 1 else [pixels for file in files for pixels in self._on_gpu([file])]

    def _cut(self, image: Tensor | NDArray, at: Placement, shape: tuple[int, int, int]) -> Tensor:
        """The placed part of an image, in the order BGR, on the GPU."""
        if isinstance(image, Tensor):
            part = image[:, at.top : at.top + shape[1], at.left : at.left + shape[2]]
            return part.flip([0, 2] if at.mirror else [0])
        cut = np.empty(shape, image.dtype)
        self.transformer.cut([image], [at], cut[None])
        return torch.from_numpy(cut).to(self.place)


@functools.cache
def _stream(place: torch.device) -> torch.cuda.Stream:
    """For all readers: torch has a few streams, which it hands out in turn, also to whoever records a pass."""
    return torch.cuda.Stream(place)
