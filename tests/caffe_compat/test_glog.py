"""Log lines in glog's form."""

from __future__ import annotations

import contextvars
import io
import logging
import os
import re
import resource
import threading
import time
from pathlib import Path

import pytest

from caffe_compat import glog
from caffe_compat.errors import CaffeError

from . import own_lines


def test_lines_look_like_caffes(golden: Path) -> None:
    stream = io.StringIO()
    handler = own_lines.attach(stream)
    glog.info("solver.cpp:239", "Iteration 0, loss = 1.2 (100%)")
    glog.warning("net.cpp:1", "second\nthird")
    glog.error("net.cpp:2", "last")
    glog.detach(handler)
    glog.info("net.cpp:3", "to nobody")
    lines = stream.getvalue().splitlines()
    prefix = re.compile(r"([IWE])\d{8} \d\d:\d\d:\d\d\.\d{6} ( *\d+) (\w+\.cpp:\d+)\] (.*)")
    assert [match.group(1, 3, 4) for match in map(prefix.fullmatch, lines) if match] == [
        ("I", "solver.cpp:239", "Iteration 0, loss = 1.2 (100%)"),
        ("W", "net.cpp:1", "second"),
        ("E", "net.cpp:2", "last"),
    ]
    assert lines[2] == "third"
    caffes = (golden / "logs" / "train.stderr.txt").read_text().splitlines()
    assert prefix.fullmatch(caffes[0])  # the same pattern reads real Caffe's first line


def test_the_thread_is_named_by_its_kernel_id() -> None:
    stream = io.StringIO()
    handler = glog.attach(stream)
    ids: list[int] = []

    def work() -> None:
        ids.append(threading.get_native_id())
        glog.info("x.cpp:1", "here")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    glog.detach(handler)
    assert f" {ids[0]:5d} x.cpp:1] here" in stream.getvalue()


def test_a_file_is_appended_to_and_levels_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for message in ("one", "two"):
        handler = glog.attach(path, logging.WARNING)
        glog.info("x.cpp:1", "not this")
        glog.warning("x.cpp:1", message)
        glog.detach(handler)
    assert [line.split("] ")[1] for line in path.read_text().splitlines()] == ["one", "two"]


def test_a_disk_that_is_full_ends_the_run_in_one_line(tmp_path: Path) -> None:
    log, old = tmp_path / "log", resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = glog.attach(log)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, old[1]))
    try:
        with pytest.raises(CaffeError, match=f"^{log}: cannot write the log: File too large$"):
            for _ in range(100):
                glog.info("x.cpp:1", "a line")
        glog.detach(handler)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert log.stat().st_size == 1000


def test_a_separate_context_has_a_log_of_its_own() -> None:
    logs = [io.StringIO() for _ in range(3)]
    everything, contexts = own_lines.attach(logs[0]), [contextvars.copy_context() for _ in range(2)]
    handlers = [everything]
    for context, log, before in zip(contexts, logs[1:], ("", "two: ")):
        context.run(glog.separate)
        handlers.append(context.run(glog.attach, log, before=before))
    for number, context in enumerate(contexts, 1):
        context.run(glog.info, "x.cpp:1", f"of {number}")
    glog.info("x.cpp:1", "of nobody")
    for handler in handlers:
        glog.detach(handler)
    said = [[line.split("] ")[1] for line in log.getvalue().splitlines()] for log in logs]
    assert said == [["of 1", "of 2", "of nobody"], ["of 1"], ["of 2"]]
    assert logs[2].getvalue().startswith("two: I")


def test_nobody_is_in_the_middle_of_a_line_when_the_process_forks() -> None:
    begun, inside = threading.Event(), []

    class Slow(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            inside.append(record)
            begun.set()
            time.sleep(0.2)
            inside.clear()

    handler = glog.listen(Slow())
    thread = threading.Thread(target=glog.info, args=("x.cpp:1", "here"))
    thread.start()
    begun.wait()
    child = os.fork()
    if child == 0:
        glog.info("x.cpp:1", "here, too")
        os._exit(len(inside))
    glog.info("x.cpp:1", "and here")
    thread.join()
    glog.detach(handler)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
