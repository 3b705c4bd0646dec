"""Pictures that compress and decode like photographs: smooth colours with grain."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caffe_compat.cores import cores

BLUR, GRAIN = 32, 12  # pixels between independent colours; levels of noise, plus and minus
QUALITY = 90  # of JPEGs


def picture(number: int, height: int, width: int) -> NDArray[np.uint8]:
    """The picture of a number, (height, width, 3)."""
    import cv2

    noise = np.random.default_rng(number)
    colours = noise.integers(0, 256, (-(-height // BLUR), -(-width // BLUR), 3), np.uint8)
    smooth = cv2.resize(colours, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    smooth += noise.integers(-GRAIN, GRAIN + 1, smooth.shape, np.int16)
    return np.clip(smooth, 0, 255).astype(np.uint8)


def jpeg(number: int, height: int, width: int) -> bytes:
    """The same as a JPEG file."""
    import cv2

    content: bytes = cv2.imencode(".jpg", picture(number, height, width), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[
        1
    ].tobytes()
    return content


def write_folders(folder: Path, images: int, classes: int, height: int, width: int) -> None:
    """JPEGs in a folder for each class, as ImageNet's training images."""
    for number in range(classes):
        (folder / f"n{number:08d}").mkdir(parents=True)

    def write(number: int) -> None:
        file = folder / f"n{number % classes:08d}" / f"{number:08d}.JPEG"
        file.write_bytes(jpeg(number, height, width))

    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(write, range(images)))
