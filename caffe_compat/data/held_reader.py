"""From images held in memory to batches: those of ``Reader``, to the bit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from numpy.typing import NDArray
from torch import Tensor

from caffe_compat.data.batches import Batch, State
from caffe_compat.data.held import HeldImages
from caffe_compat.data.reader import ImageReader, round_and_round
from caffe_compat.data.transform import Placement, Transformer, sources
from caffe_compat.errors import CaffeError


class HeldReader(ImageReader[int]):
    """Reads images in the host's memory round and round. Items are their numbers."""

    def __init__(self, images: HeldImages, transformer: Transformer, batch_size: int) -> None:
        super().__init__(transformer, batch_size)
        self.images = images
        self._numbers = round_and_round(self._from, 0)

    def first_shape(self) -> tuple[int, int, int]:
        return self._shape(0, self.images.pixels[0].shape)

    def load_state(self, state: State) -> None:
        super().load_state(state)
        self._numbers = round_and_round(self._from, self._records % len(self.images))

    def _from(self, first: int) -> range:
        return range(first, len(self.images))

    def _next(self) -> int:
        return next(self._numbers)

    def _load(self, item: int) -> tuple[NDArray, int]:
        return self.images.pixels[item].numpy(), int(self.images.labels[item])

    def _error(self, item: int, reason: object) -> CaffeError:
        return CaffeError(f"{self.images.path}: record number {item}: {reason}")


@dataclass(kw_only=True)
class HeldBatch(Batch):
    """A batch whose images are cut where they are held, by ``on``; ``data`` has no more than their shape."""

    images: HeldImages
    numbers: list[int]

    def on(self, device: torch.device) -> Tensor:
        assert self.places is not None
        pixels = self.images.pixels
        _, channels, height, width = self.data.shape
        table = torch.tensor([(n, *place) for n, place in zip(self.numbers, self.places)])
        table = table.to(pixels.device, non_blocking=True)
        rows, columns = sources(table[:, 1:], height, width)
        planes = torch.arange(channels, device=pixels.device)[None, :, None, None]
        cut = pixels[table[:, 0, None, None, None], planes, rows[:, None, :, None], columns[:, None, None, :]]
        return cut.to(device, non_blocking=True)


class DeviceReader(HeldReader):
    """Reads images in a device's memory: here it is only decided which, and where they are cut."""

    def read(self) -> HeldBatch:
        numbers, chances, state = self._decide()
        image = self.images.pixels.shape[1:]
        shape = self._shape(numbers[0], image)
        places: list[Placement] = [self.transformer.place(chance, image) for chance in chances]
        data = torch.empty((len(numbers), *shape), dtype=torch.uint8, device="meta")
        label = torch.from_numpy(self.images.labels[numbers]).float()
        return HeldBatch(data, label, places, state, images=self.images, numbers=numbers)
