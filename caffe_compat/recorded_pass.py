"""A net's forward and backward pass as one CUDA graph: recorded once, launched by the host with a single call.

At a few milliseconds an iteration the host, which launches some two hundred kernels, is slower than the GPU. A graph
replays the very kernels that were recorded, on the same memory, with the random numbers that would have come next: the
results are those of the pass layer by layer, to the bit.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from caffe_compat import glog
from caffe_compat.blob import Blob, settle
from caffe_compat.errors import CaffeError
from caffe_compat.net import Net

Result = TypeVar("Result")
Recorder = Callable[[Callable[[], Tensor]], "tuple[Callable[[], None], Tensor]"]


def record_cuda(device: torch.device, work: Callable[[], Result]) -> tuple[Callable[[], None], Result]:
    """Record what ``work`` launches on a GPU, without running it. Returns what replays it, and the result.

    Raises:
        torch.AcceleratorError: ``work`` has broken the recording, by waiting for the device.
        RuntimeError: ``work`` has failed otherwise.
    """
    graph = torch.cuda.CUDAGraph()
    # Threads that read data ahead may go on allocating pinned memory meanwhile.
    with (
        torch.cuda.device(device),
        torch.cuda.graph(graph, stream=_stream(device), capture_error_mode="thread_local"),
    ):
        result = work()
    return graph.replay, result


@functools.cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """To record on. Torch's own is that of the first device that anything was recorded on."""
    return torch.cuda.Stream(device)


@dataclass
class Recording:
    """A pass, and the tensors that it reads and leaves, at the places in memory that it knows."""

    form: Any
    replay: Callable[[], None]
    loss: Tensor
    inputs: list[tuple[Blob, Tensor]]
    tops: list[tuple[Blob, Tensor]]
    diffs: list[tuple[Blob, Tensor]]
    learned: list[tuple[nn.Parameter, Tensor | None]]


class RecordedPass:
    """Stands for ``net.forward_backward``; layers that bring data run before the graph, which reads copies of theirs.

    A pass is recorded when it is asked for the second time in the same form: the first time, layer by layer, lets the
    libraries set themselves up. Data of other shapes or layouts, or parameters elsewhere in memory, are another form.
    Passes whose gradients add up to those of the one before (``iter_size``) have a recording of their own. A net that
    no graph can hold runs layer by layer, which one line of the log says.
    """

    def __init__(self, net: Net, record: Recorder | None = None) -> None:
        self.net, self._record = net, record or functools.partial(record_cuda, net.device)
        self._sources = [i for i, wiring in enumerate(net.wirings) if not wiring.bottoms]
        self._recordings: dict[bool, Recording] = {}
        self._seen: dict[bool, Any] = {}
        self._possible = True
        host = [layer for layer in net.layers if not layer.recordable]
        if host:
            self._give_up(" and ".join(f"{layer.name} ({layer.type})" for layer in host) + " need the host")

    def __call__(self) -> Tensor:
        """One pass each way; returns the loss, a scalar on the net's device.

        CaffeError if a layer that is said to be ``recordable`` waits for the device.
        """
        net = self.net
        if not self._possible or net.debug_info:
            return net.forward_backward()
        settle()
        for i in self._sources:
            net.forward_layers(i, i)
        adding = any(one.parameter.grad is not None for one in net.learnable)
        form, recording = self._form(), self._recordings.get(adding)
        if recording is None or recording.form != form:
            again, self._seen[adding] = self._seen.get(adding) == form, form
            settled = not adding or False in self._recordings  # it is that recording's diffs that are added to
            recording = self._try_to_record(form) if again and settled else None
            if recording is None:
                return self._pass()
            self._recordings[adding] = recording
        return self._run(recording)

    def _form(self) -> Any:
        """What has to be as it was when a pass was recorded."""
        parameters = [one.parameter for one in self.net.learnable]
        places = [(p.data_ptr(), None if p.grad is None else p.grad.data_ptr()) for p in parameters]
        return [(blob.shape, blob.tensor.dtype, blob.tensor.stride()) for blob in self._inputs()], places

    def _inputs(self) -> list[Blob]:
        return [self.net.blobs[name] for i in self._sources for name in self.net.wirings[i].tops]

    def _pass(self) -> Tensor:
        """All layers but those that bring data."""
        ends = [-1, *self._sources, len(self.net.layers)]
        loss = torch.zeros((), device=self.net.device)
        for before, after in pairwise(ends):
            if after - before > 1:
                loss = loss + self.net.forward_layers(before + 1, after - 1)
        self.net.backward_layers()
        return loss

    def _try_to_record(self, form: Any) -> Recording | None:
        net = self.net
        fresh = [(blob, blob.tensor) for blob in self._inputs()]
        learned = [(one.parameter, one.parameter.grad) for one in net.learnable]
        inputs = [(blob, tensor.clone()) for blob, tensor in fresh]
        _put(inputs)
        try:
            replay, loss = self._record(self._pass)
        except torch.AcceleratorError as error:  # torch's books about memory and random numbers may now be wrong
            reason = str(error.__context__ or error).splitlines()[0]
            raise CaffeError(f"{net.name}: no CUDA graph can hold it, it trains without: {reason}") from None
        except RuntimeError as error:
            self._give_up(str(error).splitlines()[0])
            for parameter, diff in learned:
                parameter.grad = diff
            _put(fresh)
            return None
        tops = [(blob, blob.tensor) for blob in net.blobs.values()]
        diffs = [(net.blobs[name], net.blobs[name].grad) for name in self._names_of_diffs()]
        learned = [(one.parameter, one.parameter.grad) for one in net.learnable]
        _put(fresh)
        glog.info("recorded_pass", f"{net.name}: each pass is one CUDA graph from now on")
        return Recording(form, replay, loss, inputs, tops, diffs, learned)

    def _names_of_diffs(self) -> set[str]:
        """Blobs whose diffs a pass reads or writes."""
        found: set[str] = set()
        for wiring, need in zip(self.net.wirings, self.net.needs):
            found.update(name for name, weight in zip(wiring.tops, wiring.loss_weights) if weight)
            found.update(name for name, flag in zip(wiring.bottoms, need.bottoms if need else ()) if flag)
        return found

    def _run(self, recording: Recording) -> Tensor:
        for blob, copy in recording.inputs:
            copy.copy_(blob.tensor)
        recording.replay()
        _put(recording.tops)
        for blob, diff in recording.diffs:
            blob.grad = diff
        for parameter, learned in recording.learned:
            parameter.grad = learned
        return recording.loss.clone()  # the next replay writes over it

    def _give_up(self, reason: str) -> None:
        glog.warning("recorded_pass", f"{self.net.name}: no CUDA graph, since {reason}; it runs layer by layer")
        self._possible = False


def _put(tensors: list[tuple[Blob, Tensor]]) -> None:
    for blob, tensor in tensors:
        blob.tensor = tensor
