"""WindowData: windows of images, objects and background, as R-CNN trains on."""

from __future__ import annotations

import numpy as np

from caffe_compat import glog, rng
from caffe_compat.data.batches import BatchReader
from caffe_compat.data.transform import Transformer
from caffe_compat.data.window_file import LABEL, read_windows
from caffe_compat.data.window_reader import WindowReader
from caffe_compat.layers.prefetching import PrefetchingLayer
from caffe_compat.layers.registry import register


@register
class WindowData(PrefetchingLayer):
    """Windows of the images in the file ``source``, picked at random in both phases, warped to ``crop_size``.

    Of each batch the share ``fg_fraction``, at its end, overlaps with an object by ``fg_threshold`` or more; the rest,
    labelled 0, by less than ``bg_threshold``. ``context_pad`` pixels around each window show what is around it in the
    image, 0 outside. ``crop_mode: "square"`` cuts out squares instead of warping. From ``transform_param`` come
    ``crop_size``, ``mirror`` and the mean; ``scale`` is that of ``window_data_param``, as in Caffe.
    """

    type = "WindowData"
    field = "window_data_param"
    source = "a window file"
    log_place = "window_data_layer.cpp:179"

    def open(self) -> BatchReader:
        param = self.settings
        transformer = Transformer(self.param.transform_param, self.phase)
        glog.info(
            "window_data_layer.cpp:52",
            f"Window data layer:\n  foreground (object) overlap threshold: {param.fg_threshold:g}"
            f"\n  background (non-object) overlap threshold: {param.bg_threshold:g}"
            f"\n  foreground sampling fraction: {param.fg_fraction:g}"
            f"\n  cache_images: {param.cache_images:d}\n  root_folder: {param.root_folder}",
        )
        windows = read_windows(param.source, param.root_folder, param.bg_threshold, param.fg_threshold)
        glog.info("window_data_layer.cpp:156", f"Number of images: {len(windows.images)}")
        labels, counts = np.unique(windows.foreground[:, LABEL], return_counts=True)
        for label, count in [(0, len(windows.background)), *zip(labels, counts)]:
            glog.info("window_data_layer.cpp:160", f"class {label} has {count} samples")
        glog.info("window_data_layer.cpp:164", f"Amount of context padding: {param.context_pad}")
        glog.info("window_data_layer.cpp:167", f"Crop mode: {param.crop_mode}")
        return WindowReader(windows, transformer, param)

    def begin(self, reader: BatchReader) -> None:
        assert isinstance(reader, WindowReader)
        reader.seed(rng.next_data_seed())
