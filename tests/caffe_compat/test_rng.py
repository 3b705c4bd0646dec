"""Boost's distributions over the Mersenne Twister, against golden streams and against their definitions."""

from __future__ import annotations

import contextvars
import math
import subprocess
import sys
import threading
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from caffe_compat import rng
from caffe_compat.rng import Rng

f32 = np.float32
FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)


def test_raw_words(golden: Path) -> None:
    case = np.load(golden / "rng" / "mt19937.npz", allow_pickle=False)
    for seed in case["seeds"].tolist():
        expected = case[f"u32_seed{seed}"]
        np.testing.assert_array_equal(Rng(seed).u32(1000), expected, strict=True)
        one_by_one = Rng(seed - 2**32)  # only the low 32 bits count
        assert [one_by_one.next_u32() for _ in range(1000)] == expected.tolist()


def test_long_gaussian(golden: Path) -> None:
    case = np.load(golden / "rng" / "filler_gaussian_long.npz", allow_pickle=False)
    stream = Rng(2016)
    values = stream.gaussian(120_000, 0, 1)
    assert zlib.crc32(values.tobytes()) == case["crc32"][0]
    assert stream.next_u32() == case["next_u32"][0]
    np.testing.assert_array_equal(values[:2000], case["first"], strict=True)
    np.testing.assert_array_equal(values[-2000:], case["last"], strict=True)
    np.testing.assert_array_equal(values[case["tail_index"]], case["tail_value"], strict=True)
    skipped = Rng(2016)
    skipped.u32(int(case["draws"][0]))
    assert skipped.next_u32() == case["next_u32"][0]


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64, 1000])
@pytest.mark.parametrize(
    "draw",
    [
        lambda stream: stream.gaussian(3001, 0.5, 2),
        lambda stream: stream.uniform(3001, -1, 1),
        lambda stream: stream.bernoulli(3001, 0.3),
        lambda stream: stream.bernoulli_float(3001, 0.3),
    ],
    ids=["gaussian", "uniform", "bernoulli", "bernoulli_float"],
)
def test_chunks_leave_no_trace(chunk: int, draw: Callable[[Rng], np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Rng(8)
    expected = draw(whole)
    monkeypatch.setattr(rng, "CHUNK", chunk)
    stream = Rng(8)
    np.testing.assert_array_equal(draw(stream), expected, strict=True)
    assert stream.next_u32() == whole.next_u32()


def test_many_small_draws_are_one_large_draw() -> None:
    parts, whole = Rng(21), Rng(21)
    small = np.concatenate([parts.gaussian(n, 0, 1) for n in [0, 1, 2, 3, 5, 500] * 20])
    np.testing.assert_array_equal(small, whole.gaussian(len(small), 0, 1), strict=True)
    assert parts.next_u32() == whole.next_u32()


def test_gaussian_needs_little_more_memory_than_its_result() -> None:
    stream = Rng(1)
    stream.gaussian(10, 0, 1)
    tracemalloc.start()
    values = stream.gaussian(4_000_000, 0, 0.01)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < values.nbytes + 16 * 2**20


def next_uniform(stream: Rng, low: np.float32, high: np.float32) -> np.float32:
    while True:
        value = f32(f32(stream.next_u32()) / f32(2**32)) * (high - low) + low
        if value < high:
            return value


@given(st.integers(0, 2**32 - 1), FLOATS, FLOATS)
@example(1, -3e38, 3e38)  # the range is no float: Boost draws from half of it
def test_uniform(seed: int, a: float, b: float) -> None:
    a, b = min(a, b), max(a, b)
    largest = np.finfo(f32).max
    if a == largest:
        return
    stream, scalar = Rng(seed), Rng(seed)
    values = stream.uniform(40, a, b)
    assert values.dtype == f32
    assert values.min() >= a
    assert values.max() <= b
    low, high = f32(a), np.nextafter(f32(b), largest)
    scale = f32(1)
    if math.isinf(float(high) - float(low)) or float(high) - float(low) > float(largest):
        low, high, scale = low / f32(2), high / f32(2), f32(2)
    assert values.tolist() == [scale * next_uniform(scalar, low, high) for _ in range(40)]
    assert stream.next_u32() == scalar.next_u32()


def test_uniform_draws_again_where_rounding_reaches_the_end() -> None:
    """Between a float and itself the end is one step away, so that half the words round up to it."""
    stream, scalar = Rng(3), Rng(3)
    values = stream.uniform(1000, 1, 1)
    assert (values == 1).all()
    words = 0
    while len(values):
        words += 1
        values = values[1:] if f32(scalar.next_u32()) <= f32(2**31) else values
    assert 1900 < words < 2100
    assert stream.next_u32() == scalar.next_u32()


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_bernoulli(seed: int, p: float) -> None:
    words = Rng(seed).u32(50)
    stream = Rng(seed)
    drawn = stream.bernoulli(50, p)
    assert drawn.dtype == bool
    assert drawn.tolist() == [p > 0 and float(word) <= p * 4294967295.0 for word in words.tolist()]
    assert stream.next_u32() == Rng(seed).u32(51 if p else 1)[-1]


@given(st.integers(0, 2**32 - 1), st.floats(0, 1, width=32))
def test_bernoulli_float(seed: int, p: float) -> None:
    words = Rng(seed).u32(50)
    stream = Rng(seed)
    drawn = stream.bernoulli_float(50, p)
    assert drawn.tolist() == [p > 0 and f32(word) <= f32(p) * f32(2**32) for word in words]
    assert stream.next_u32() == Rng(seed).u32(51 if p else 1)[-1]


def test_bernoulli_at_the_ends_of_the_words(monkeypatch: pytest.MonkeyPatch) -> None:
    words = np.array([0, 1, 2**31 - 1, 2**31, 2**32 - 129, 2**32 - 128, 2**32 - 1], dtype=np.uint32)
    stream = Rng(0)
    monkeypatch.setattr(stream, "u32", lambda n: words[:n])
    assert stream.bernoulli(7, 0.5).tolist() == [True, True, True, False, False, False, False]
    assert stream.bernoulli(7, 1e-10).tolist() == [True, False, False, False, False, False, False]
    assert stream.bernoulli(7, 1).all()
    assert stream.bernoulli_float(7, 0.5).tolist() == [True, True, True, True, False, False, False]
    assert stream.bernoulli_float(7, 1).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 2**32 - 1))
def test_uniform_int(seed: int, k: int) -> None:
    stream, scalar = Rng(seed), Rng(seed)
    size = 2**32 // (k + 1)  # of a bucket: the range is cut into k + 1 and a rest, which is drawn again
    drawn = [stream.uniform_int(k) for _ in range(20)]
    expected: list[int] = []
    while len(expected) < 20:
        value = scalar.next_u32() // size
        expected += [value] if value <= k else []
    assert drawn == expected
    assert stream.next_u32() == scalar.next_u32()


def test_shuffle() -> None:
    stream, scalar = Rng(6), Rng(6)
    items = list(range(50))
    stream.shuffle(items)
    expected = list(range(50))
    for i in reversed(range(1, 50)):
        j = scalar.uniform_int(i)
        expected[i], expected[j] = expected[j], expected[i]
    assert items == expected != list(range(50))
    assert stream.next_u32() == scalar.next_u32()
    for short in ([], ["only"]):
        stream.shuffle(short)
    assert stream.next_u32() == scalar.next_u32()


OPERATIONS: list[Callable[[Rng], object]] = [
    lambda stream: stream.next_u32(),
    lambda stream: stream.u32(700).tolist(),
    lambda stream: stream.gaussian(90, 0, 1).tolist(),
    lambda stream: stream.uniform(90, 0, 1).tolist(),
    lambda stream: stream.bernoulli(90, 0.5).tolist(),
    lambda stream: stream.uniform_int(10),
]


@given(st.integers(0, 2**32 - 1), st.lists(st.sampled_from(OPERATIONS)), st.lists(st.sampled_from(OPERATIONS)))
def test_state_resumes_exactly(seed: int, before: list, after: list) -> None:
    undisturbed, stream, other = Rng(seed), Rng(seed), Rng(0)
    for operation in before:
        operation(undisturbed)
        operation(stream)
    state = stream.get_state()
    assert state.dtype == np.uint32
    assert state.shape == (625,)
    other.next_u32()
    other.set_state(state)
    for operation in after:
        assert operation(stream) == operation(other) == operation(undisturbed)
    np.testing.assert_array_equal(stream.get_state(), other.get_state())


def test_state_is_the_place_in_the_stream_alone() -> None:
    one_by_one, at_once = Rng(12), Rng(12)
    for _ in range(1000):
        one_by_one.next_u32()
    at_once.u32(1000)
    np.testing.assert_array_equal(one_by_one.get_state(), at_once.get_state())


@pytest.mark.parametrize("state", [np.zeros(624, np.uint32), np.zeros(625, np.int64), np.full(625, 625, np.uint32)])
def test_a_wrong_state_is_refused(state: np.ndarray) -> None:
    stream = Rng(1)
    with pytest.raises(ValueError, match="Mersenne Twister"):
        stream.set_state(state)
    assert stream.next_u32() == Rng(1).next_u32()


def test_each_thread_has_its_own_main_generator() -> None:
    rng.set_random_seed(5)
    seen: list[int] = []

    def work() -> None:
        seen.append(rng.rng_next_u32())  # unseeded
        rng.set_random_seed(5)
        seen.append(rng.rng_next_u32())

    for _ in range(2):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    first = Rng(5).next_u32()
    assert seen[1] == seen[3] == rng.rng_next_u32() == first
    assert len({seen[0], seen[2], first}) == 3
    assert rng.main() is rng.main()


def test_a_seed_is_the_gpus_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their masks would else not depend on random_seed, and differ from one net of a process to the next."""
    seeds: list[int] = []
    monkeypatch.setattr("torch.cuda.manual_seed_all", seeds.append)
    rng.set_random_seed(-1)
    assert seeds == [2**32 - 1]


def test_needs_no_torch() -> None:
    code = "import sys, caffe_compat.rng, caffe_compat.fillers; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_context_has_a_generator_of_its_own() -> None:
    rng.set_random_seed(1)
    here = [rng.main().next_u32() for _ in range(4)]
    rng.set_random_seed(1)
    rng.main().next_u32()
    context = contextvars.copy_context()
    context.run(rng.set_random_seed, 1)
    assert [context.run(rng.rng_next_u32) for _ in range(3)] == here[:3]
    assert rng.main().next_u32() == here[1]


def test_a_data_seed_takes_words_that_are_then_lost() -> None:
    rng.set_random_seed(1)
    words = [rng.next_data_seed(), rng.main().next_u32()]
    context = contextvars.copy_context()
    context.run(rng.set_random_seed, 1)
    context.run(rng.set_data_seed, 2)
    seed = context.run(rng.next_data_seed)
    assert (seed, context.run(rng.rng_next_u32)) == (Rng(2).next_u32(), words[1])
    assert words[0] == Rng(1).next_u32() != seed
