"""One net trained by several processes, as torchrun starts them: each has its part of every batch.

Where Caffe's own training on several GPUs gives each of them batch_size images, here batch_size is the whole batch, so
that a run has the numbers of one process. Process r of n takes the r-th n-th of the images. Everything random is drawn
by all for the whole batch, from the same streams, so that state and data stand alike everywhere, and what is written
by one can be resumed by any number.

Since all have equally many images, means over a part average to the mean over the whole. That holds for loss,
gradients, scores and statistics alike, and it is all that the processes exchange.
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch import Tensor

from caffe_compat import rng
from caffe_compat.errors import CaffeError

if TYPE_CHECKING:
    from caffe_compat.layers.base import Layer
    from caffe_compat.net import Net

PATIENCE = timedelta(minutes=10)  # that a process waits for the others
LAST_WORDS = timedelta(seconds=5)  # that one who failed has for saying why
LOOK_S = 1.0  # how often a process looks whether another one has failed
BUCKET = 25 << 20  # bytes of gradients that are worth a message


class World:
    """The processes that train together; this one is number ``rank`` of ``size``. One alone exchanges nothing."""

    def __init__(self, rank: int = 0, size: int = 1, store: Any = None) -> None:
        """``store``: torch.distributed's Store that all of them see, and which outlives a process that fails."""
        self.rank, self.size, self._store = rank, size, store

    @property
    def leads(self) -> bool:
        """Whether it is this process that writes files and log."""
        return self.rank == 0

    def rows(self, count: int) -> slice:
        """This process's part of a batch of ``count`` images. CaffeError if there is none of equal size for all."""
        if count % self.size:
            raise CaffeError(f"a batch of {count} images cannot be split evenly over {self.size} processes")
        each = count // self.size
        return slice(self.rank * each, (self.rank + 1) * each)

    def meet(self) -> None:
        """Wait for all the others to be here."""
        self.largest(0)

    def part(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of this process's part of a batch, whose first axis counts images. CaffeError as in ``rows``."""
        return (len(range(shape[0])[self.rows(shape[0])]), *shape[1:]) if shape else shape

    def sum(self, value: Tensor) -> Tensor:
        """The sum of a tensor over the processes, of the same shape; a new tensor unless this one is alone."""
        if self.size == 1:
            return value
        total = value.detach().clone()
        self._finish(self._begin(total))
        return total

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a tensor over the processes, like ``sum``."""
        return value if self.size == 1 else self.sum(value).div_(self.size)

    def largest(self, number: int) -> int:
        """The largest of the integers that the processes bring; all wait here for each other."""
        if self.size == 1:
            return number
        from torch.distributed import ReduceOp

        tensor = torch.tensor(number)
        self._finish(self._begin(tensor, ReduceOp.MAX))
        return int(tensor)

    def check_alike(self, net: Net) -> None:
        """CaffeError unless all processes have the same weights."""
        if self.size == 1:
            return
        digest = hashlib.sha256()
        for one in net.learnable:
            digest.update(one.parameter.detach().cpu().numpy().tobytes())
        mine = int.from_bytes(digest.digest()[:7], "little")
        if self.largest(mine) != -self.largest(-mine):
            raise CaffeError("the processes begin with different weights; do all read the same files?")

    def outputs(self, net: Net, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A net's output blobs for the whole batch, from those of the parts: images in their order, else means."""
        if self.size == 1:
            return dict(values)
        split = images(net)
        return {name: self._gather(value) if split[name] else self.mean(value) for name, value in values.items()}

    def start_means(self, tensors: Sequence[Tensor]) -> Any:
        """Begin to average tensors over the processes; ``finish_means`` has to be called, in the same order."""
        flat = tensors[0].contiguous().view(-1) if len(tensors) == 1 else torch.cat([t.reshape(-1) for t in tensors])
        return self._begin(flat), flat, tensors

    def finish_means(self, started: Any) -> list[Tensor]:
        """The means, in the tensors' shapes."""
        work, flat, tensors = started
        self._finish(work)
        pieces = flat.div_(self.size).split([tensor.numel() for tensor in tensors])
        return [piece.view(tensor.shape) for piece, tensor in zip(pieces, tensors)]

    def failed(self, reason: str) -> bool:
        """Tell the others why this process will end; whether it is the first that does, and so has to say it."""
        if self.size == 1:
            return True
        try:
            first: bool = self._store.add("failed", 1) == 1
            if first:
                self._store.set("reason", reason)
        except RuntimeError:  # the store has gone together with somebody
            return False
        return first

    def end_with_the_others(self, over: threading.Event) -> None:
        """Until ``over``, see to it that this process ends when another one fails or torchrun is killed.

        Most notice by themselves. One that waits for an answer on its GPU, or is long at work, is given a few seconds;
        without torchrun all are asked to stop, as SIGTERM does.
        """
        while not over.wait(LOOK_S):
            try:
                failed = self._store.check(["failed"])
            except RuntimeError:
                os.kill(os.getpid(), signal.SIGTERM)
                return
            if failed:
                if not over.wait(2 * LAST_WORDS.total_seconds()):
                    os._exit(1)
                return

    def _gather(self, value: Tensor) -> Tensor:
        whole = value.new_zeros(self.size, *value.shape)
        whole[self.rank] = value
        return self.sum(whole).flatten(0, 1)

    def _begin(self, tensor: Tensor, op: Any = None) -> Any:
        import torch.distributed as dist

        try:
            return dist.all_reduce(tensor, op or dist.ReduceOp.SUM, async_op=True)
        except RuntimeError as error:
            raise self._lost(error) from None

    def _finish(self, work: Any) -> None:
        try:
            work.wait()
        except RuntimeError as error:
            raise self._lost(error) from None

    def _lost(self, error: RuntimeError) -> CaffeError:
        """Why there is no answer: what somebody said before it ended, or else what the connection says."""
        try:
            self._store.wait(["reason"], LAST_WORDS)
            return CaffeError(self._store.get("reason").decode())
        except RuntimeError:
            said = re.sub(r"^\[[^]]*\] ", "", str(error)).split(". ")[0].splitlines()[0]  # without the place in C++
            return CaffeError(f"another process of this run has ended, or does not answer: {said}")


_world = World()


def world() -> World:
    """The processes of this run."""
    return _world


@contextmanager
def joined() -> Iterator[World]:
    """Join the processes that torchrun has started, within this context; where it has not, this one is alone.

    All draw from the same main random stream. When one fails, the others end too, and only the first to fail leaves
    this context with its error; the others' SystemExit says nothing.
    """
    global _world
    if "TORCHELASTIC_RUN_ID" not in os.environ or os.environ.get("WORLD_SIZE") == "1":
        yield _world
        return
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    store, rank, size = next(rendezvous("env://", timeout=PATIENCE))
    nccl = torch.cuda.is_available() and dist.is_nccl_available()
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if nccl else "gloo", store=store, rank=rank, world_size=size, timeout=PATIENCE
    )
    if nccl:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    if rank == 0:
        store.set("seed", str(int.from_bytes(os.urandom(4), "little")))
    rng.set_random_seed(int(store.get("seed")))
    _world = World(rank, size, store)
    over = threading.Event()
    threading.Thread(target=_world.end_with_the_others, args=(over,), name="others", daemon=True).start()
    try:
        yield _world
        _world.meet()  # nobody leaves, and takes the store along, while others are at work
    except Exception as error:
        if not _world.failed(" ".join(str(error).split()) or type(error).__name__):
            raise SystemExit(1) from None
        raise
    finally:
        _world = World()
        dist.destroy_process_group()
        over.set()


def device_index() -> int:
    """The number of the GPU that is this process's own: its number on its machine."""
    return int(os.environ["LOCAL_RANK"]) if _world.size > 1 else 0


# Nets whose batch is split


def images(net: Net) -> dict[str, bool]:
    """For each blob, whether its first axis counts images, of which every process has its own.

    The others are alike everywhere, or numbers about the batch, of which the mean is to be taken. Found by asking each
    layer for its shapes if there were twice as many images. CaffeError, naming the layer, if one's results for an image
    depend on the other images, or if it brings batches that cannot be split.
    """
    found: dict[str, bool] = {}
    for wiring in net.wirings:
        layer, bottoms = wiring.layer, wiring.bottoms
        shapes = [net.blobs[name].shape for name in bottoms]
        if layer.no_split:
            layer.fail(f"{_splitting()}: {layer.no_split}")
        if layer.along == 0 and any(found[name] for name in bottoms):
            _refuse(layer)
        if not bottoms:
            found.update(dict.fromkeys(wiring.tops, layer.splits_batch))
            continue
        doubled = [_twice(shape) if found[name] else shape for name, shape in zip(bottoms, shapes)]
        try:
            more = layer.reshape(doubled)
        except CaffeError:
            _refuse(layer)
        for name, now, then in zip(wiring.tops, layer.reshape(shapes), more):
            if then not in (now, _twice(now)):
                _refuse(layer)
            found[name] = then != now
    return found


def check(net: Net) -> None:
    """Refuse a net whose batch cannot be split with the numbers of the whole. CaffeError, naming the layer."""
    if _world.size == 1:
        return
    split = images(net)
    for wiring in net.wirings:
        for name, weight in zip(wiring.tops, wiring.loss_weights):
            if weight and split[name]:
                wiring.layer.fail(
                    f"{_splitting()}: loss_weight on {name!r}, which has values for each image; expected one number, "
                    "such as the MEAN of a Reduction"
                )


def _twice(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (2 * shape[0], *shape[1:]) if shape else shape


def _refuse(layer: Layer) -> NoReturn:
    layer.fail(f"{_splitting()}: {layer.type} works across its first axis, the images")


def _splitting() -> str:
    return f"cannot split the batch over {_world.size} processes"


class SplitPass:
    """A net's forward and backward pass on this process's part of the batch, with the whole batch's gradients.

    Gradients travel in buckets while the backward pass goes on to the layers below.
    """

    def __init__(self, net: Net) -> None:
        self.net = net
        self.steps: list[tuple[int, list[torch.nn.Parameter]]] = []  # (run backward down to this layer, then send)
        lowest: dict[torch.nn.Parameter, int] = {}
        for i, layer in enumerate(net.layers):
            for parameter in layer.params:
                lowest.setdefault(parameter, i)
        learning = [one.parameter for one in net.learnable if one.lr_mult != 0]
        bucket: list[torch.nn.Parameter] = []
        for parameter in sorted(learning, key=lowest.__getitem__, reverse=True):
            bucket.append(parameter)
            if sum(p.numel() * p.element_size() for p in bucket) >= BUCKET:
                self.steps.append((lowest[parameter], bucket))
                bucket = []
        self.steps.append((0, bucket))

    def __call__(self) -> Tensor:
        """The loss of the part, a scalar; the gradients, in the parameters' ``grad``, are the whole batch's."""
        net = self.net
        loss = net.forward_layers()
        started, last = [], len(net.layers) - 1
        for first, parameters in self.steps:
            net.backward_layers(last, first)
            last = first - 1
            gradients = [p.grad for p in parameters if p.grad is not None]
            if gradients:
                reached = [p for p in parameters if p.grad is not None]
                started.append((reached, _world.start_means(gradients)))
        for parameters, means in started:
            for parameter, gradient in zip(parameters, _world.finish_means(means)):
                parameter.grad = gradient
        return loss
