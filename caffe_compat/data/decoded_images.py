"""Images decoded once for the readers of several streams."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future

from numpy.typing import NDArray


class DecodedImages:
    """Images of a source, decoded by whoever needs one first and kept until all readers have had it.

    Used by the threads of several readers. The newest ``limit`` images are kept for those who are behind.
    """

    def __init__(self, limit: int) -> None:
        self.readers = 0
        self._limit = limit
        self._lock = threading.Lock()
        self._images: OrderedDict[Hashable, tuple[Future[NDArray], list[int]]] = OrderedDict()

    def get(self, key: Hashable, decode: Callable[[], NDArray]) -> NDArray:
        """The image of a key, which nobody may write into; errors of ``decode`` are everybody's own."""
        if self.readers < 2:
            return decode()
        with self._lock:
            image, waiting = self._images.get(key, (None, [0]))
            if image is None:
                mine: Future[NDArray] = Future()
                self._images[key] = mine, [self.readers - 1]
                if len(self._images) > self._limit:
                    self._images.popitem(last=False)
            else:
                waiting[0] -= 1
                if waiting[0] <= 0:
                    del self._images[key]
        if image is not None:
            return image.result()
        try:
            mine.set_result(decode())
        except BaseException as error:
            mine.set_exception(error)
        return mine.result()
