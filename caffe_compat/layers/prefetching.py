"""What the layers that read images ahead have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor

from caffe_compat import glog, parallel, rng
from caffe_compat.data import upload
from caffe_compat.data.batches import Batch, BatchReader, State
from caffe_compat.data.stream import BatchStream, Member, active
from caffe_compat.errors import CaffeError
from caffe_compat.layers.base import BRINGS_DATA, Layer, Shape


class PrefetchingLayer(Layer):
    """Tops: images (batch_size, channels, height, width) after ``transform_param``, and labels (batch_size).

    A thread keeps ``data_param.prefetch`` batches ready, whatever the layer's type. Nets that train in turn may get the
    same tensors, see ``data.stream``.
    """

    type: ClassVar[Any]
    num_bottoms = (0, 0)
    num_tops = (2, 2)
    no_onnx = BRINGS_DATA
    splits_batch = True
    field: ClassVar[str]  # of LayerParameter, with source and batch_size
    source: ClassVar[str]  # what ``source`` is the path of
    log_place: ClassVar[str]  # file and line of Caffe's source that logs the size of the output
    _batches: BatchStream | Member | None = None

    @abstractmethod
    def open(self) -> BatchReader:
        """A reader at its beginning."""

    def begin(self, reader: BatchReader) -> None:
        """Draw from the main generator what says where the reader begins."""

    @property
    def settings(self) -> Any:
        """The layer's own parameters."""
        return getattr(self.param, self.field)

    def check_source(self) -> None:
        """Fail unless the prototxt says where to read."""
        if not self.settings.source:
            self.fail(f"{self.field}.source is missing: the path of {self.source}")

    def setup(self, shapes: list[Shape]) -> None:
        self.check_source()
        if self.settings.batch_size < 1:
            self.fail(f"{self.field}.batch_size: 0; expected at least 1")
        if self.param.data_param.prefetch < 1:
            self.fail("data_param.prefetch: 0; expected at least 1")
        with self.naming():
            self.reader = self.open()
            # Caffe seeds a generator for the transformer twice, then one that its prefetching thread never uses.
            if not self.compat.unseeded_rand:
                self.reader.transformer.init_rng(self.settings.batch_size)
            self.begin(self.reader)
            whole: Shape = (self.settings.batch_size, *self.reader.first_shape())
            self._shape = parallel.world().part(whole)
        glog.info(self.log_place, f"output data size: {','.join(map(str, whole))}")
        self.reader.transformer.init_rng(self.settings.batch_size)
        rng.main().next_u32()
        self._state = self.reader.state()
        if not self.compat.unseeded_rand:
            self._start()

    def _start(self) -> None:
        """Start prefetching. Layers that share a rand() wait for the first forward, when all have set theirs aside."""
        streams, depth = active(), self.param.data_param.prefetch
        if streams is None or self.compat.unseeded_rand:
            self._batches = BatchStream(self.reader, depth)
        else:
            self._batches = streams.join(self._identity(), self._source_identity(), self.reader, depth)

    def _identity(self) -> bytes:
        """The same for layers that make the same batches from the same state of their readers."""
        param = type(self.param)()
        param.CopyFrom(self.param)
        for field in ("name", "top", "phase", "include", "exclude", "loss_weight"):
            param.ClearField(field)
        what = f"{self.phase} {self.compat} {type(self.reader).__name__}"
        return param.SerializeToString(deterministic=True) + what.encode()

    def _source_identity(self) -> bytes:
        """The same for layers that decode the same images."""
        settings = type(self.settings)()
        settings.CopyFrom(self.settings)
        settings.ClearField("batch_size")
        what = f"{self.type} {self.reader.transformer.mode} "
        return what.encode() + settings.SerializeToString(deterministic=True)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        return [self._shape, self._shape[:1]][: len(self.param.top)]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        if self._batches is None:
            self._start()
        elif not self._batches.alive:
            self.load_data_state(self._state)  # a forked child reads for itself, from where its parent stood
        assert self._batches is not None
        self._batches.reader.device = self.device
        with self.naming():
            batch = self._batches.get()
        self._state = batch.state
        self._shape = tuple(batch.data.shape)
        dtype = torch.bfloat16 if batch.places is not None and self.narrow[:1] == (True,) else torch.float32
        if batch.ready is None or batch.ready[0].dtype != dtype:  # else another net has had it before
            batch.ready = self._ready(batch, dtype)
        return batch.ready[: len(self.param.top)]

    def _ready(self, batch: Batch, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Images and labels on the layer's device; the dtype is that of images still to be finished."""
        upload.wait(batch)
        data, last = batch.on(self.device), self.device.type == "cuda" and self.precision.channels_last
        if batch.places is not None:
            data = self.reader.transformer.finish(data, batch.places, dtype, last)
        elif last:  # read before the net was on its GPU; later ones are laid out so, too
            data = data.contiguous(memory_format=torch.channels_last)
        return data, batch.label.to(self.device, non_blocking=True)

    def data_state(self) -> State:
        """Where the layer stands: what ``load_data_state`` needs so that the same batches follow.

        Integers and numpy arrays only: ``records`` delivered so far, ``rng``, the generator of random decisions (None
        where there are none), and what else the reader needs.
        """
        return self._state

    def load_data_state(self, state: State) -> None:
        """Deliver next what followed when ``data_state`` gave this state."""
        self.close()
        with self.naming():
            self.reader = self.open()
            self.reader.load_state(state)
        self._state = state
        self._start()

    def close(self) -> None:
        """Stop prefetching and close the source."""
        if self._batches is not None:
            self._batches.close()

    @contextmanager
    def naming(self) -> Iterator[None]:
        """Put the layer's name in front of errors."""
        try:
            yield
        except CaffeError as error:
            self.fail(str(error))
