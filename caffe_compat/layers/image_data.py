"""ImageData: pictures from files that a list names."""

from __future__ import annotations

from caffe_compat import glog, rng
from caffe_compat.data.batches import BatchReader
from caffe_compat.data.image_list import ImageListReader
from caffe_compat.data.picture import COLOR, GRAY
from caffe_compat.data.transform import Transformer
from caffe_compat.errors import CaffeError
from caffe_compat.layers.prefetching import PrefetchingLayer
from caffe_compat.layers.registry import register


@register
class ImageData(PrefetchingLayer):
    """Pictures and labels of the list ``source``, "name label" in each line, over and over.

    ``root_folder`` is put in front of the names as it is. Pictures are read in colour (BGR) or, without ``is_color``,
    grey, and resized to ``new_height`` x ``new_width`` if these are given. ``shuffle`` shuffles the list at set-up and
    at each end; ``rand_skip`` begins at a random one of the first ``rand_skip`` pictures.
    """

    type = "ImageData"
    field = "image_data_param"
    source = "a list of pictures and labels"
    log_place = "image_data_layer.cpp:90"

    def open(self) -> BatchReader:
        param = self.settings
        size = (param.new_height, param.new_width)
        if any(size) and not all(size):
            raise CaffeError(f"image_data_param: new_height: {size[0]}, new_width: {size[1]}; expected both or neither")
        transformer = Transformer(self.param.transform_param, self.phase)
        glog.info("image_data_layer.cpp:38", f"Opening file {param.source}")
        mode = COLOR if param.is_color else GRAY
        return ImageListReader(
            param.source, param.root_folder, mode, size if all(size) else None, transformer, param.batch_size
        )

    def begin(self, reader: BatchReader) -> None:
        assert isinstance(reader, ImageListReader)
        if self.settings.shuffle:
            glog.info("image_data_layer.cpp:53", "Shuffling data")
            reader.shuffle(rng.next_data_seed())
        glog.info("image_data_layer.cpp:63", f"A total of {len(reader)} images.")
        if self.settings.rand_skip:
            skip = rng.next_data_seed() % self.settings.rand_skip
            glog.info("image_data_layer.cpp:70", f"Skipping first {skip} data points.")
            if skip >= len(reader):
                raise CaffeError(
                    f"image_data_param.rand_skip: {self.settings.rand_skip}; the list has {len(reader)} pictures, not "
                    f"enough to skip {skip}"
                )
            reader.skip(skip)
