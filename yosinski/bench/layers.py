"""Layer by layer, forward and backward: this runtime's and torch's own modules."""

from __future__ import annotations

from time import perf_counter

import torch
from torch import Tensor, nn

from caffe_compat.net import Net
from yosinski.bench.comparison import Comparison, Progress, Samples, waiting
from yosinski.bench.nets import Size, build, noise
from yosinski.bench.plain import PlainCaffeNet

WARM_UP = 1


def measure(size: Size, rounds: int, batch: int, device: torch.device, progress: Progress | None = None) -> Comparison:
    """Time each layer in passes of ours and of plain torch in turn; all layers but the input and flatten."""
    net, plain = build(size, batch, device), PlainCaffeNet(size.net).to(device)
    images, labels = noise(size, batch, device)
    names = [layer.name for layer in net.layers if layer.type not in ("Input", "Split")]
    samples: Samples = {
        f"{name}: {way}, {who}": [] for name in names for way in ("forward", "backward") for who in ("ours", "torch")
    }
    total = WARM_UP + rounds * max(1, size.passes // 5)  # a pass of the small net is soon over
    for number in range(total):
        found = {**our_pass(net), **plain_pass(plain, images, labels)}
        if number >= WARM_UP:
            for name, times in samples.items():
                times.append(found[name])
        if progress:
            progress(f"{size.title}, layer by layer", number + 1, total)
    return Comparison(f"net/{size.name}-layers", f"{size.title}, {batch} images, layer by layer", samples, table=True)


def our_pass(net: Net) -> dict[str, float]:
    """Seconds by "LAYER: WAY, ours", the layers run one by one, as `caffe time` does."""
    took = {}
    net.clear_param_diffs()
    for i, layer in enumerate(net.layers):
        began = now(net.device)
        net.forward_layers(i, i)
        took[f"{layer.name}: forward, ours"] = now(net.device) - began
    for i, layer in reversed(list(enumerate(net.layers))):
        began = now(net.device)
        net.backward_layers(i, i)
        took[f"{layer.name}: backward, ours"] = now(net.device) - began
    return took


def plain_pass(plain: nn.Module, images: Tensor, labels: Tensor) -> dict[str, float]:
    """Seconds by "LAYER: WAY, torch"; every module's graph ends at its own input."""
    took, graphs = {}, []
    torch.backends.cudnn.deterministic = False  # as in PlainCaffeNet
    modules = dict(plain.named_children()) | {"loss": Loss(labels)}
    values = images
    for name, module in modules.items():
        leaf = values.detach().requires_grad_(values is not images)
        inside = leaf.clone()  # since modules in place refuse a leaf
        began = now(images.device)
        values = module(inside)
        took[f"{name}: forward, torch"] = now(images.device) - began
        graphs.append((name, leaf, module, values))
    diff = torch.ones((), device=images.device)
    for name, leaf, module, top in reversed(graphs):
        wanted = [*module.parameters(), *([leaf] if leaf.requires_grad else [])]
        began = now(images.device)
        found = torch.autograd.grad(top, wanted, diff)
        took[f"{name}: backward, torch"] = now(images.device) - began
        diff = found[-1]
    return took


def now(device: torch.device) -> float:
    """Seconds, once the device has done what it was told."""
    wait = waiting(device)
    if wait is not None:
        wait()
    return perf_counter()


class Loss(nn.Module):
    """The cross entropy with labels that are known."""

    def __init__(self, labels: Tensor) -> None:
        super().__init__()
        self.labels = labels

    def forward(self, scores: Tensor) -> Tensor:
        """The mean over the batch."""
        return nn.functional.cross_entropy(scores, self.labels)
