"""Data: images and labels from an LMDB or LevelDB of Datum records."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from caffe_compat import glog, rng
from caffe_compat.data.db import Database, open_db
from caffe_compat.data.prefetch import Prefetcher
from caffe_compat.data.reader import Batch, Reader, State
from caffe_compat.data.transform import Transformer
from caffe_compat.errors import CaffeError
from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.registry import register


@register
class Data(Layer):
    """Tops: images (batch_size, channels, height, width) after ``transform_param``, and labels (batch_size).

    The records come in key order, over and over; a batch may reach across the end. The shape is that of the batch's
    first image: all others have to have it too, the next batch need not. ``backend`` is not looked at, since a
    database shows what it is, and ``rand_skip`` has no effect in Caffe 1.0 either.
    """

    type = "Data"
    num_bottoms = (0, 0)
    num_tops = (1, 2)

    def __init__(self, param: Any, phase: int, where: str = "") -> None:
        super().__init__(param, phase, where)
        if not param.data_param.source:
            self.fail("data_param.source is missing: the path of a database")
        self._db = self._open()

    def setup(self, shapes: list[Shape]) -> None:
        param = self.param.data_param
        if param.batch_size < 1:
            self.fail("data_param.batch_size: 0; expected at least 1")
        if param.prefetch < 1:
            self.fail("data_param.prefetch: 0; expected at least 1")
        self.reader, image = self._read(self._db)
        self._shape: Shape = (param.batch_size, *image)
        glog.info("data_layer.cpp:45", f"output data size: {','.join(map(str, self._shape))}")
        # Caffe seeds a generator for the transformer twice, then one that its prefetching thread never uses.
        self.reader.transformer.init_rng()
        self.reader.transformer.init_rng()
        rng.main().next_u32()
        self._start(self.reader.state())

    def _open(self) -> Database:
        try:
            db = open_db(self.param.data_param.source)
        except CaffeError as error:
            self.fail(str(error))
        place = "db_lmdb.cpp:35" if db.backend == "lmdb" else "db_leveldb.cpp:18"
        glog.info(place, f"Opened {db.backend} {db.path}")
        return db

    def _read(self, db: Database) -> tuple[Reader, tuple[int, int, int]]:
        """A reader at the first record, and the shape of the images it gives."""
        try:
            transformer = Transformer(self.param.transform_param, self.phase)
            reader = Reader(db, transformer, self.param.data_param.batch_size)
            return reader, reader.first_shape()
        except CaffeError as error:
            self.fail(str(error))

    def _start(self, state: State) -> None:
        """Start prefetching; ``state``: the reader's, behind the last batch delivered."""
        self._state = state
        self._batches: Prefetcher[Batch] = Prefetcher(self.reader.read, self.param.data_param.prefetch)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        return [self._shape, self._shape[:1]][: len(self.param.top)]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        if not self._batches.alive:
            self.load_data_state(self._state)  # a forked child reads for itself, from where its parent stood
        self.reader.device = self.device
        try:
            batch = self._batches.get()
        except CaffeError as error:
            self.fail(str(error))
        self._state = batch.state
        self._shape = tuple(batch.data.shape)
        data = batch.data.to(self.device, non_blocking=True)
        if batch.places is not None:
            data = self.reader.transformer.finish(data, batch.places)
        return (data, batch.label.to(self.device, non_blocking=True))[: len(self.param.top)]

    def data_state(self) -> State:
        """Where the layer stands: what ``load_data_state`` needs so that the same batches follow.

        Integers and numpy arrays only: ``records`` delivered so far, and the ``rng`` of crop and mirror.
        """
        return self._state

    def load_data_state(self, state: State) -> None:
        """Deliver next what followed when ``data_state`` gave this state."""
        self.close()
        self.reader, _ = self._read(self._open())
        try:
            self.reader.load_state(state)
        except CaffeError as error:
            self.fail(str(error))
        self._start(state)

    def close(self) -> None:
        """Stop prefetching and close the database."""
        if self._batches.alive:  # a forked child leaves its parent's thread and database alone
            self._batches.close()
            self.reader.close()
