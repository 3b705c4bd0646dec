"""What a killed driver has started ends by itself."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from yosinski.study import follow

FOLLOWER = "import time; from yosinski.study.follow import follow_driver; follow_driver(); print('on', flush=True); {}"


def test_a_process_knows_itself() -> None:
    assert follow.alive(follow.mark(os.getpid()))
    assert not follow.alive(f"{os.getpid()} 1")  # the same number, but another process
    assert not follow.alive("")


@pytest.mark.skipif(sys.platform != "linux", reason="only /proc tells a process that nobody has waited for")
def test_a_process_that_has_ended_is_gone_even_if_nobody_waited() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    mark = follow.mark(child.pid)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not follow.alive(mark)
    child.wait()


def test_followers_end_with_their_driver() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as driver:
        environment = {**os.environ, follow.VARIABLE: follow.mark(driver.pid)}
        code = FOLLOWER.format("time.sleep(3600)")
        follower = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        assert follower.stdout is not None and follower.stdout.readline() == "on\n"
        assert follower.poll() is None
        driver.kill()
    assert follower.wait(timeout=60) == 1
    follower.stdout.close()


def test_nobody_to_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(follow.VARIABLE, raising=False)
    assert not follow.driver_gone()
    monkeypatch.setenv(follow.VARIABLE, "4194305 1")  # above the largest number that Linux gives
    assert follow.driver_gone()
