"""The study's nets and their training from torch's own parts, as somebody would write it without Caffe in mind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, repeat

import torch
from torch import Tensor, nn

from yosinski.caffenet import DROPPED, NORMALIZED, POOLED, CaffeNet, Conv

MOMENTUM = 0.9


class PlainCaffeNet(nn.Sequential):
    """CaffeNet of a size; its modules have the names of Caffe's layers, its weights start as the study's do."""

    def __init__(self, net: CaffeNet) -> None:
        super().__init__()
        channels, side = net.channels, net.crop
        for number, layer in enumerate(net.layers, start=1):
            top = layer.num_output
            weighted: nn.Conv2d | nn.Linear
            if isinstance(layer, Conv):
                kernel, stride, pad = layer.kernel_size, layer.stride, layer.pad
                weighted = nn.Conv2d(channels, top, kernel, stride, pad, groups=layer.group)
                side = (side + 2 * pad - kernel) // stride + 1
                self.add_module(f"conv{number}", weighted)
            else:
                if side:
                    self.add_module("flatten", nn.Flatten())
                    channels, side = channels * side * side, 0
                weighted = nn.Linear(channels, top)
                self.add_module(f"fc{number}", weighted)
            nn.init.normal_(weighted.weight, std=layer.std)
            nn.init.constant_(weighted.bias, layer.bias)  # type: ignore[arg-type]
            channels = top
            if number < len(net.layers):
                self.add_module(f"relu{number}", nn.ReLU(inplace=True))
            if number in POOLED:
                self.add_module(f"pool{number}", nn.MaxPool2d(3, 2, ceil_mode=True))
                side = side // 2  # ceil((side - 3) / 2) + 1
            if number in NORMALIZED:
                self.add_module(f"norm{number}", nn.LocalResponseNorm(5, 1e-4, 0.75))
            if number in DROPPED:
                self.add_module(f"drop{number}", nn.Dropout(0.5))

    def forward(self, images: Tensor) -> Tensor:
        """Scores, batch x classes, of images, batch x channels x crop x crop."""
        torch.backends.cudnn.deterministic = False  # as torch has it, and our nets have not
        scores: Tensor = super().forward(images)
        return scores


def sgd(net: nn.Module, rate: float, decay: float) -> torch.optim.SGD:
    """Caffe's multipliers as parameter groups: biases learn at twice the rate and do not decay."""
    named = list(net.named_parameters())
    weights = [parameter for name, parameter in named if name.endswith("weight")]
    biases = [parameter for name, parameter in named if name.endswith("bias")]
    groups = [
        {"params": weights, "weight_decay": decay},
        {"params": biases, "lr": 2 * rate, "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=rate, momentum=MOMENTUM)


class PlainLoop:
    """The obvious training loop.

    Args:
        net: on the device where it is to be trained.
        batches: (images, labels) without end.
        step_size: iterations until the rate falls to a tenth.
        precision: fp32; tf32, or bf16 by autocast, on a GPU.
    """

    def __init__(
        self,
        net: nn.Module,
        batches: Iterator[tuple[Tensor, Tensor]],
        rate: float,
        decay: float,
        step_size: int,
        precision: str = "fp32",
    ) -> None:
        self.net, self.batches, self.precision = net, batches, precision
        self.optimizer = sgd(net, rate, decay)
        self.schedule = torch.optim.lr_scheduler.StepLR(self.optimizer, step_size)
        self.criterion: Callable[[Tensor, Tensor], Tensor] = nn.CrossEntropyLoss()
        self.device = next(net.parameters()).device

    def step(self, iterations: int) -> float:
        """Train for so many iterations; the loss of the last."""
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = self.precision == "tf32"
        loss = torch.zeros(())
        for _ in range(iterations):
            images, labels = next(self.batches)
            images = images.to(self.device, non_blocking=True)
            labels = labels.to(self.device, non_blocking=True)
            self.optimizer.zero_grad()
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
                loss = self.criterion(self.net(images), labels)
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
        return loss.item()


def forever(batches: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of a DataLoader again and again."""
    return chain.from_iterable(repeat(batches))
