"""Two processes that split each batch have the numbers of one; what cannot be split is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest
import torch

from caffe_compat.errors import CaffeError
from caffe_compat.parallel import World

from . import parallel_cases

NOISE = 2e-6  # of float32, relative to the largest value, over a pass or five iterations


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What both processes of ``parallel_cases`` found."""
    folder = tmp_path_factory.mktemp("parallel")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*torchrun, parallel_cases.__file__, str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((folder / f"process_{rank}.json").read_text()) for rank in range(2))
    assert first == second
    return first


@pytest.mark.parametrize("case", [*parallel_cases.SAME, *parallel_cases.SOLVERS, "pictures", "windows"])
def test_numbers_are_those_of_one_process(results: dict[str, Any], case: str) -> None:
    assert isinstance(results[case], float), results[case]
    assert results[case] < NOISE


REASONS = {
    "softmax over images": "Softmax works across its first axis, the images",
    "product over images": "InnerProduct works across its first axis, the images",
    "sum over images": "Reduction works across its first axis, the images",
    "images one behind the other": "Concat works across its first axis, the images",
    "reshape across images": "Reshape works across its first axis, the images",
    "choice of images": "it chooses among all images",
    "images filtered": "how many images remain differs from part to part",
    "sequences": "its first axis is the time",
    "input": "its values are the program's to give",
    "a loss for each image": "loss_weight on 'x', which has values for each image; expected one number, such as the "
    "MEAN of a Reduction",
}


@pytest.mark.parametrize(("case", "reason"), REASONS.items())
def test_what_cannot_be_split(results: dict[str, Any], case: str, reason: str) -> None:
    layer = "fc" if case == "product over images" else "x"
    assert results[case] == f"layer '{layer}': cannot split the batch over 2 processes: {reason}"


def test_uneven_batch(results: dict[str, Any]) -> None:
    even = "a batch of 7 images cannot be split evenly over 2 processes"
    assert results["uneven batch"] == f"layer 'odd': dummy_data_param: {even}"


def test_processes_that_begin_differently(results: dict[str, Any]) -> None:
    assert results["other weights"] == "the processes begin with different weights; do all read the same files?"


def test_parts_of_a_batch() -> None:
    assert [World(rank, 3).rows(12) for rank in range(3)] == [slice(0, 4), slice(4, 8), slice(8, 12)]
    assert World().rows(12) == slice(0, 12)
    assert World(1, 3).part((12, 3, 2)) == (4, 3, 2)
    with pytest.raises(CaffeError, match="a batch of 10 images cannot be split evenly over 3 processes"):
        World(0, 3).rows(10)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_masks_of_parts_are_parts_of_the_mask_on_a_gpu() -> None:
    """Dropout on a GPU draws for the whole batch in the shape (processes, part)."""
    torch.cuda.manual_seed(1)
    whole = torch.rand(1, 8, 33, 5, device="cuda")[0]
    torch.cuda.manual_seed(1)
    assert torch.equal(torch.rand(2, 4, 33, 5, device="cuda").flatten(0, 1), whole)


@pytest.mark.parametrize(("what", "status"), [("fails", 1), ("leaves", -signal.SIGTERM)])
def test_who_does_not_notice_is_ended(what: str, status: int) -> None:
    """One at work for long, while another process says that it has failed, or torchrun goes with its store."""
    code = f"""
import threading, time
from datetime import timedelta
from torch.distributed import TCPStore
from caffe_compat import parallel

parallel.LAST_WORDS, parallel.LOOK_S = timedelta(seconds=0.1), 0.05
torchrun = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
store = TCPStore("127.0.0.1", torchrun.port, is_master=False)
world = parallel.World(0, 2, store)
threading.Thread(target=world.end_with_the_others, args=(threading.Event(),), daemon=True).start()
time.sleep(0.2)
if {what!r} == "fails":
    assert parallel.World(1, 2, torchrun).failed("a reason")
else:
    del torchrun
time.sleep(100)
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == status
