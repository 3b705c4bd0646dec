"""Data: images and labels from an LMDB or LevelDB of Datum records, or an index over an LMDB."""

from __future__ import annotations

from typing import Any

from caffe_compat import glog
from caffe_compat.data import held, nvjpeg
from caffe_compat.data.db import Database, open_db
from caffe_compat.data.held import HeldImages
from caffe_compat.data.held_reader import DeviceReader, HeldReader
from caffe_compat.data.nvjpeg import NvjpegReader
from caffe_compat.data.reader import Reader
from caffe_compat.data.transform import Transformer
from caffe_compat.layers.prefetching import PrefetchingLayer
from caffe_compat.layers.registry import register


@register
class Data(PrefetchingLayer):
    """Tops: images (batch_size, channels, height, width) after ``transform_param``, and labels (batch_size).

    The records come in key order, over and over; a batch may reach across the end. The shape is that of the batch's
    first image: all others have to have it too, the next batch need not. ``backend`` is not looked at, since a
    database shows what it is, and ``rand_skip`` has no effect in Caffe 1.0 either.
    """

    type = "Data"
    num_tops = (1, 2)
    field = "data_param"
    source = "a database"
    log_place = "data_layer.cpp:45"

    def __init__(self, param: Any, phase: int, where: str = "") -> None:
        super().__init__(param, phase, where)
        self.check_source()
        with self.naming():
            self._db: Database | None = self._open_db()  # Caffe's constructor does so, before it logs the tops
        self._place = held.active()
        self._decoder = nvjpeg.active()
        self._images: HeldImages | None = None

    def open(self) -> Reader | HeldReader:
        transformer, batch_size = Transformer(self.param.transform_param, self.phase), self.settings.batch_size
        if self._place is not None and self._images is None:
            with self._db or self._open_db() as db:
                self._images = held.hold(db, transformer.mode, self._place)
        if self._images is None:
            db, self._db = self._db or self._open_db(), None
            if self._decoder is not None:
                return NvjpegReader(db, transformer, batch_size, self._decoder)
            return Reader(db, transformer, batch_size)
        on_host = self._images.pixels.device.type == "cpu"
        return (HeldReader if on_host else DeviceReader)(self._images, transformer, batch_size)

    def _open_db(self) -> Database:
        db = open_db(self.settings.source)
        place = "db_leveldb.cpp:18" if db.backend == "leveldb" else "db_lmdb.cpp:35"
        glog.info(place, f"Opened {db.backend} {db.path}")
        return db
