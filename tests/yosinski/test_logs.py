"""Reading logs of both eras: restarts, disorder, damage."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caffe_compat.errors import CaffeError
from yosinski.logs import Problem, describe, find_logs, read_run

OLD = """\
I0416 10:00:01.000001  4711 solver.cpp:217] Iteration 20, lr = 0.01
I0416 10:00:01.000002  4711 solver.cpp:74] Iteration 20, loss = 6.64
I0416 10:00:02.000001  4711 solver.cpp:217] Iteration 40, lr = 0.01
I0416 10:00:02.000002  4711 solver.cpp:74] Iteration 40, loss = 6.5
I0416 10:00:02.000003  4711 solver.cpp:96] Iteration 40, Testing net
I0416 10:00:03.000001  4711 solver.cpp:123] Test score #0: 0.0389203
I0416 10:00:03.000002  4711 solver.cpp:123] Test score #1: 5.3778
"""
NEW = """\
I20261121 05:25:14.223140 32116 solver.cpp:347] Iteration 0, Testing net (#0)
I20261121 05:25:14.224342 32116 solver.cpp:414]     Test net output #0: accuracy = 0.125
I20261121 05:25:14.224380 32116 solver.cpp:414]     Test net output #1: loss = 1.5 (* 1 = 1.5 loss)
I20261121 05:25:14.225340 32116 solver.cpp:239] Iteration 0 (-7.8e-41 iter/s, 0.002s/5 iters), loss = 1.25
I20261121 05:25:14.225387 32116 sgd_solver.cpp:112] Iteration 0, lr = 0.05
"""


@pytest.fixture
def log(tmp_path: Path):
    def write(text: str, name: str = "train.log") -> Path:
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return write


@pytest.mark.parametrize("name", ["a.log", "a.o1.gz"])
def test_2014(log, name: str) -> None:
    run = read_run([log(OLD, name)])
    assert run.losses.tolist() == [(20, 20, 6.64, 0.01), (40, 40, 6.5, 0.01)]
    assert run.tests.tolist() == [(40, 0.0389203, 5.3778)]
    assert run.eras == {"2014"}
    assert run.problems == ()


def test_caffe_1_0(log) -> None:
    """The loss labelled 0 is that of the first batch."""
    run = read_run([log(NEW)])
    assert run.losses.tolist() == [(0, 1, 1.25, 0.05)]
    assert run.tests.tolist() == [(0, 0.125, 1.5)]
    assert run.eras == {"1.0"}


def test_logs_of_real_caffe(golden: Path) -> None:
    run = read_run([golden / "logs/train.stderr.txt"])
    assert run.losses["iteration"].tolist() == list(range(0, 45, 5))
    assert run.losses["lr"][:3].tolist() == [0.05, 0.05, 0.05]
    assert run.tests["iteration"].tolist() == [0, 10, 20, 30, 40]
    assert run.tests["top1"][-1] == 0.916667
    assert run.problems == ()


def test_a_resumed_run_of_real_caffe_counts_from_where_it_resumed(golden: Path) -> None:
    """The resumed half has later time stamps, whatever the order in which the files are given."""
    first, second = golden / "logs/train.stderr.txt", golden / "logs/train_resume.stderr.txt"
    alone = read_run([second])
    for files in ([first, second], [second, first]):
        both = read_run(files)
        assert both.tests["iteration"].tolist() == [0, 10, 20, 30, 40]
        assert both.losses["loss"][-len(alone.losses) :].tolist() == alone.losses["loss"].tolist()


def test_only_the_first_test_net_counts(log) -> None:
    second = NEW.replace("(#0)", "(#1)").replace("0.125", "0.9")
    assert read_run([log(NEW + second)]).tests["top1"].tolist() == [0.125]


def test_a_test_without_all_scores_is_left_out(log) -> None:
    cut = OLD + OLD.replace("0416 10", "0417 10").rsplit("I0417", 1)[0].replace("Iteration 40", "Iteration 60")
    assert read_run([log(cut)]).tests["iteration"].tolist() == [40]


def test_over_new_year_without_a_year_in_the_stamps(log) -> None:
    before, after = OLD.replace("I0416", "I1231"), OLD.replace("I0416", "I0101").replace("6.5", "5.5")
    run = read_run([log(after, "a.log"), log(before, "b.log")])
    assert run.losses["loss"].tolist() == [6.64, 5.5]


def test_a_malformed_line_is_named_and_stops_nothing(log) -> None:
    path = log(
        OLD.replace("loss = 6.64", "loss = 6.6.4") + "Iterating wildly\n" + "I0416 garbage] Iteration 60, loss = 1\n"
    )
    other = log(NEW, "other.log")
    run = read_run([path, other, path.with_name("missing.log")])
    assert [(p.file.name, p.line) for p in run.problems] == [("train.log", 2), ("train.log", 9), ("missing.log", 0)]
    assert str(run.problems[0]).startswith(f"{path}:2: not a number")
    assert run.losses["loss"].tolist() == [1.25, 6.5]


def test_a_line_that_is_cut_off(log) -> None:
    path = log(OLD + "I0416 10:00:04.000001  4711 solver.cpp:74] Iteration 60, lo")
    run = read_run([path])
    assert [str(p) for p in run.problems] == [
        f"{path}:8: a line that is cut off: 'I0416 10:00:04.000001  4711 solver.cpp:74] Iteration 60, lo'"
    ]
    assert len(run.losses) == 2


def test_damaged_gzip_files(log) -> None:
    whole = log(OLD * 200, "a.o1.gz").read_bytes()
    for damage, what in ((whole[:-40], "cut off"), (whole[:60] + b"\x00" * 40 + whole[100:], "damaged")):
        path = log("", "b.log")
        path.write_bytes(damage)
        run = read_run([path])
        assert len(run.problems) == 1 and what in run.problems[0].what
        assert run.problems[0].line > 0


def test_infinite_losses_are_numbers(log) -> None:
    run = read_run([log(OLD.replace("6.64", "nan").replace("6.5", "-inf"))])
    assert np.isnan(run.losses["loss"][0]) and run.losses["loss"][1] == -np.inf
    assert run.problems == ()


def test_files_of_a_run(log, tmp_path: Path) -> None:
    with pytest.raises(CaffeError, match="no log in it"):
        find_logs(tmp_path)
    for name in ("train.log", "140403_half0A.o227963.gz", "catlog.oMANUAL.gz", "net.prototxt"):
        log("", name)
    assert [path.name for path in find_logs(tmp_path)] == ["140403_half0A.o227963.gz", "catlog.oMANUAL.gz", "train.log"]


def test_describe_shows_a_few() -> None:
    lines = list(describe([Problem(Path("a"), i, "x") for i in range(1, 10)]))
    assert lines[0] == "a:1: x" and lines[-1] == "... and 4 more lines"


numbers = st.floats(1e-6, 1e3).map(lambda x: float(f"{x:.6g}"))


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=12),
    killed=st.integers(0, 12),
    era=st.sampled_from(["2014", "1.0"]),
    order=st.randoms(),
)
def test_a_run_that_was_killed_and_resumed_reads_as_if_it_never_was(
    tmp_path_factory: pytest.TempPathFactory, values, killed: int, era: str, order
) -> None:
    """First attempt with other numbers up to the kill, in any order of files; the later one counts."""
    folder = tmp_path_factory.mktemp("logs")
    shift = 0 if era == "2014" else 1

    def lines(day: int, rows, factor: float) -> str:
        text = ""
        for k, (loss, top1, score) in rows:
            at, stamp = 10 * k, f"I04{day:02d} 10:{k // 60:02d}:{k % 60:02d}.000000  1 "
            loss, top1, score = (float(f"{x * factor:.6g}") for x in (loss, top1, score))
            if era == "2014":
                text += f"{stamp}solver.cpp:217] Iteration {at}, lr = 0.5\n"
                text += f"{stamp}solver.cpp:74] Iteration {at}, loss = {loss}\n"
                text += f"{stamp}solver.cpp:96] Iteration {at}, Testing net\n"
                text += f"{stamp}solver.cpp:1] Test score #0: {top1}\n{stamp}solver.cpp:1] Test score #1: {score}\n"
            else:
                text += f"{stamp}solver.cpp:347] Iteration {at}, Testing net (#0)\n"
                text += f"{stamp}solver.cpp:414]     Test net output #0: accuracy = {top1}\n"
                text += f"{stamp}solver.cpp:414]     Test net output #1: loss = {score} (* 1 = {score} loss)\n"
                text += f"{stamp}solver.cpp:239] Iteration {at} (3 iter/s, 1s/10 iters), loss = {loss}\n"
                text += f"{stamp}sgd_solver.cpp:112] Iteration {at}, lr = 0.5\n"
        return text

    rows = list(enumerate(values, start=1))
    files = [folder / "a.log", folder / "b.log.gz"]
    files[0].write_text(lines(1, rows[:killed], 2.0))
    files[1].write_bytes(gzip.compress(lines(2, rows, 1.0).encode()))
    order.shuffle(files)
    run = read_run(files)
    assert run.problems == ()
    assert run.losses.tolist() == [(10 * k, 10 * k + shift, loss, 0.5) for k, (loss, _, _) in rows]
    assert run.tests.tolist() == [(10 * k, top1, score) for k, (_, top1, score) in rows]


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=400), at=st.integers(0, 500))
def test_no_file_raises(tmp_path_factory: pytest.TempPathFactory, data: bytes, at: int) -> None:
    path = tmp_path_factory.mktemp("logs") / "train.log"
    text = (OLD + NEW).encode()
    path.write_bytes(text[:at] + data + text[at:])
    run = read_run([path])
    assert all(problem.line >= 0 for problem in run.problems)
