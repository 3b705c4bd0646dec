"""`--precision` of `yosinski train`, `test` and `time`."""

from __future__ import annotations

from pathlib import Path

from caffe_compat.net import Net
from yosinski.run_dir import RunDir


def losses(log: Path) -> list[str]:
    return [line.partition(" loss = ")[2] for line in log.read_text().splitlines() if "iter/s" in line]


def test_a_run_goes_on_in_the_precision_that_it_was_begun_in(run, golden_copy: Path) -> None:
    train = ("train", "logs/solver.prototxt", "--device", "cpu")
    whole = run(*train, "--out", "whole", "--precision", "bf16")
    assert whole.code == 0, whole.err
    run(*train, "--out", "parts", "--precision", "bf16", "--max-iter", 20)
    assert run("train", "parts", "--resume", "--max-iter", 40, "--device", "cpu").code == 0
    run(*train, "--out", "fp32")
    directories = [RunDir(Path(name)) for name in ("whole", "parts", "fp32")]
    assert [directory.meta["precision"] for directory in directories] == ["bf16", "bf16", "fp32"]
    weights = [directory.newest_weights().read_bytes() for directory in directories]
    assert weights[0] == weights[1] != weights[2]
    assert losses(Path("whole/train.log"))[0] != losses(Path("fp32/train.log"))[0]
    assert float(losses(Path("whole/train.log"))[-1]) < 0.5 * float(losses(Path("whole/train.log"))[0])


def test_forced_to_start_over_it_starts_in_fp32(run, golden_copy: Path) -> None:
    train = ("train", "logs/solver.prototxt", "--device", "cpu", "--out", "r", "--max-iter", 1)
    run(*train, "--precision", "tf32")
    assert RunDir(Path("r")).meta["precision"] == "tf32"
    assert run(*train, "--force").code == 0
    assert RunDir(Path("r")).meta["precision"] == "fp32"


def test_test_and_time(run, golden_copy: Path, monkeypatch) -> None:
    run("train", "logs/solver.prototxt", "--device", "cpu", "--out", "r", "--max-iter", 1, "--precision", "bf16")
    built = []
    construct = Net.__init__

    def noting(net: Net, *args: object, **others: object) -> None:
        construct(net, *args, **others)
        built.append(str(net.precision))

    monkeypatch.setattr(Net, "__init__", noting)
    assert run("test", "r", "--iterations", 1, "--device", "cpu").code == 0
    assert run("test", "r", "--iterations", 1, "--device", "cpu", "--precision", "fp32").code == 0
    assert run("time", "r", "--iterations", 1, "--device", "cpu", "--precision", "bf16").code == 0
    assert built == ["bf16", "fp32", "bf16"]
    wrong = run("test", "r", "--precision", "fp16")
    assert wrong.code == 2 and "'fp16' is not one of" in wrong.err


def test_graphs_need_a_gpu(run, golden_copy: Path) -> None:
    wrong = run("train", "logs/solver.prototxt", "--device", "cpu", "--out", "r", "--graphs")
    assert wrong.code == 1
    assert wrong.err.splitlines()[-1].endswith("CUDA graphs are for one process with a GPU; here 1 on a cpu device")
