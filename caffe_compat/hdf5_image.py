"""HDF5 files built in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def hdf5_image(fill: Callable[[Any], None]) -> bytes:
    """The bytes of the HDF5 file that ``fill``, called with an open h5py.File, makes.

    To be written like any other bytes: on a full disk the HDF5 library itself does not raise an error but crashes.
    """
    import h5py

    with h5py.File("image", "w", driver="core", backing_store=False) as file:
        fill(file)
        file.flush()
        return file.id.get_file_image()
