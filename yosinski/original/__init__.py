"""The original numbers: what the logs of the 2014 study say, net by net, with what is known to be missing.

The data lie beside this file: ``nets.csv`` (one row a net), ``test_curves.npz`` (every test), ``train_losses.npz``
(every displayed training loss, as the low and high bytes of float16, which compress better apart), ``facts.json``
(where all this comes from, sizes, schedules, known gaps).
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffe_compat.errors import CaffeError
from yosinski.logs import LOSS, TEST

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class OriginalNet:
    """One of the study's 170 nets.

    Attributes:
        name: of its folder, such as ``transfer0A0B_1_3``.
        family: base, selffer, selffer+, transfer, transfer+, random or reduced.
        split: 0 to 3, natman, whole, or the images a class of a reduced net.
        base, target: halves; ``base`` is empty where nothing is copied, ``target`` may be "whole".
        n: layers copied (or, in family random, frozen at random); 0 for none.
        log_files: how many there are, empty ones included; 0: the net is known by its definition only.
        top1: mean of its 10 best tests, the paper's statistic; nan without logs.
        last_top1, last_loss: of its last test; nan without logs.
        process_starts: iterations at which a process of the surviving weights' history began, None where its log is
            lost. There the training data, the crops and the test cursor begin anew.
    """

    name: str
    family: str
    split: str
    base: str
    target: str
    n: int
    log_files: int
    top1: float
    last_top1: float
    last_loss: float
    process_starts: tuple[int | None, ...]

    @property
    def has_log(self) -> bool:
        return bool(self.process_starts)

    @property
    def half(self) -> str:
        """The data that it trains and tests on, a key of ``facts()["validation_images"]``: 0A, natmanB, whole."""
        return "whole" if self.target == "whole" else self.split + self.target

    @property
    def training_set(self) -> str:
        """Nets of one training set see the same images in the same order."""
        return self.name if self.family == "reduced" and self.split != "1300" else self.half

    @property
    def classes(self) -> int:
        return {"whole": 1000, "natmanA": 449, "natmanB": 551}.get(self.half, 500)

    @property
    def schedule(self) -> dict[str, float]:
        """base_lr, gamma, stepsize and max_iter of its solver."""
        schedules: dict[str, dict[str, float]] = facts()["schedules"]
        return schedules["reduced" if self.family == "reduced" else "study"]

    @property
    def gaps(self) -> list[str]:
        """What is known to be missing or odd, in words."""
        return [gap["note"] for gap in facts()["gaps"] if any(fnmatchcase(self.name, net) for net in gap["nets"])]

    def tests(self) -> NDArray[np.void]:
        """Every test that survives, as ``yosinski.logs.TEST`` by rising iteration."""
        names, top1, loss = _curves()
        table = np.zeros(top1.shape[1] if self.has_log else 0, TEST)
        if self.has_log:
            row = names[self.name]
            table["iteration"] = np.arange(1, len(table) + 1) * facts()["test_interval"]
            table["top1"], table["loss"] = top1[row], loss[row]
        return table[~np.isnan(table["top1"])]

    def losses(self) -> NDArray[np.void]:
        """Every displayed training loss that survives, as ``yosinski.logs.LOSS``; ``batch`` equals ``iteration``."""
        names, values = _losses()
        table = np.zeros(values.shape[1] if self.has_log else 0, LOSS)
        if self.has_log:
            table["iteration"] = table["batch"] = np.arange(1, len(table) + 1) * facts()["display"]
            table["loss"] = values[names[self.name]]
            table["lr"] = self.rate(table["iteration"])
        return table[~np.isnan(table["loss"])]

    def rate(self, iteration: NDArray[np.int64]) -> NDArray[np.float64]:
        """The learning rate printed at that label, by the rule of its solver; the logs agree with it everywhere."""
        schedule = self.schedule
        return np.asarray(schedule["base_lr"] * schedule["gamma"] ** (iteration // schedule["stepsize"]), np.float64)


@cache
def facts() -> dict[str, Any]:
    """Source, schedules, sizes of the data sets, and known gaps: ``facts.json``."""
    found: dict[str, Any] = json.loads((FOLDER / "facts.json").read_text(encoding="utf-8"))
    return found


@cache
def nets() -> dict[str, OriginalNet]:
    """All 170 nets by name."""
    found = {}
    with (FOLDER / "nets.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            found[row["net"]] = OriginalNet(
                name=row["net"],
                family=row["family"],
                split=row["split"],
                base=row["base"],
                target=row["target"],
                n=int(row["n"]),
                log_files=int(row["log_files"]),
                top1=float(row["mean_best10_top1"] or "nan"),
                last_top1=float(row["final_top1"] or "nan"),
                last_loss=float(row["final_test_loss"] or "nan"),
                process_starts=tuple(None if at == "?" else int(at) for at in row["process_starts"].split()),
            )
    return found


def find_net(name: str) -> OriginalNet:
    """The net of that name. CaffeError if it is none of the study's 170."""
    try:
        return nets()[name]
    except KeyError:
        raise CaffeError(f"{name!r} is none of the study's 170 nets, such as half0A or transfer0A0B_1_3") from None


def logged() -> list[OriginalNet]:
    """The 148 nets whose logs survive."""
    return [net for net in nets().values() if net.has_log]


@cache
def _curves() -> tuple[dict[str, int], NDArray[np.float32], NDArray[np.float32]]:
    with np.load(FOLDER / "test_curves.npz", allow_pickle=False) as file:
        return {name: i for i, name in enumerate(file["nets"].tolist())}, file["top1"], file["test_loss"]


@cache
def _losses() -> tuple[dict[str, int], NDArray[np.float16]]:
    with np.load(FOLDER / "train_losses.npz", allow_pickle=False) as file:
        both = np.stack([file["low"], file["high"]], axis=-1)
        return {name: i for i, name in enumerate(file["nets"].tolist())}, both.view("<f2")[..., 0]
