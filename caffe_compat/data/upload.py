"""Batches on their way to a GPU while it is at work on those before."""

from __future__ import annotations

import functools

import torch

from caffe_compat.data.batches import Batch


def uploaded(batch: Batch, device: torch.device) -> Batch:
    """The batch; images in pinned memory begin to move to the device, if it is a GPU. For the thread that reads."""
    if device.type == "cuda" and batch.data.is_pinned():
        with torch.cuda.stream(_stream(device)):
            batch.data = batch.data.to(device, non_blocking=True)
            batch.arrival = torch.cuda.Event()
            batch.arrival.record()
    return batch


def wait(batch: Batch) -> None:
    """Let the device's work from here on wait until the images are there."""
    if batch.arrival is not None:
        current = torch.cuda.current_stream(batch.data.device)
        current.wait_event(batch.arrival)
        batch.data.record_stream(current)


@functools.cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """Beside that of the nets, so that copies and kernels go on at the same time."""
    return torch.cuda.Stream(device)
