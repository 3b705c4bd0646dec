"""How the C library hands out memory for the blobs of nets on a CPU."""

from __future__ import annotations

import ctypes
import functools
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
LARGE = 1 << 30  # bytes


@functools.cache
def reuse_blobs() -> None:
    """Let freed memory stay with the process, so that the next iteration's blobs need no fresh pages.

    By default glibc maps every array of more than 32 MB anew and gives it back when it is freed; clearing the pages
    of CaffeNet's blobs again and again takes a fifth of an iteration. Does nothing where the C library is not glibc.
    """
    if sys.platform.startswith("linux"):
        library = ctypes.CDLL(None)
        if hasattr(library, "gnu_get_libc_version"):
            library.mallopt(M_MMAP_THRESHOLD, LARGE)
            library.mallopt(M_TRIM_THRESHOLD, LARGE)
