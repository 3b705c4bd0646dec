"""ImageData: Caffe's batches bit for bit, how lists are read, resuming, and one line for everything that is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffe_compat import glog, rng
from caffe_compat.data.image_list import _atoi
from caffe_compat.errors import CaffeError
from caffe_compat.layers.image_data import ImageData
from caffe_compat.proto import caffe_pb2, text

from .. import own_lines

GOLDEN = Path(__file__).parents[2] / "golden"


def cases(group: str) -> list[dict]:
    listed = json.loads((GOLDEN / group / "index.json").read_text())["cases"]
    return [case for case in listed if case["name"].startswith("imagedata")]


def load(prototxt: Path, seed: int | None) -> ImageData:
    net = text.parse(prototxt.read_text(), caffe_pb2.NetParameter, str(prototxt))
    if seed is not None:
        rng.set_random_seed(seed)
    layer = ImageData(net.layer[0], net.state.phase)
    layer.setup([])
    return layer


def make(source: Path | str, transform: str = "", phase: int = caffe_pb2.TRAIN, **data: object) -> ImageData:
    fields = " ".join(f"{name}: {value}" for name, value in {"batch_size": 2, **data}.items())
    layer = ImageData(
        text.parse(
            'name: "data" type: "ImageData" top: "data" top: "label" '
            f'image_data_param {{ source: "{source}" {fields} }} '
            f"transform_param {{ {transform} }}",
            caffe_pb2.LayerParameter,
        ),
        phase,
    )
    layer.setup([])
    return layer


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten pictures, 0.png to 9.png, of 6 x 5 pixels; all of picture i's pixels are i."""
    monkeypatch.chdir(tmp_path)
    for i in range(10):
        cv2.imwrite(f"{i}.png", np.full((6, 5, 3), i, np.uint8))
    Path("list.txt").write_text("".join(f"{i}.png {i}\n" for i in range(10)))
    return tmp_path


def labels(layer: ImageData, count: int) -> list[int]:
    """Labels of ``count`` batches, whose pictures have to be theirs."""
    found: list[int] = []
    for _ in range(count):
        data, label = layer.forward()
        assert (data[:, 0, 0, 0] == label).all()
        found += label.int().tolist()
    return found


@pytest.mark.parametrize("case", cases("data"), ids=lambda case: case["name"])
def test_golden_batches(golden_root: Path, case: dict) -> None:
    layer = load(Path("data", f"{case['name']}.prototxt"), case["seed"])
    want = np.load(f"data/{case['name']}.npz")
    for k in range(case["batches"]):
        for i, top in enumerate(layer.forward()):
            assert layer.reshape([])[i] == tuple(top.shape)
            np.testing.assert_array_equal(top.numpy(), want[f"top_{i}_b{k}"])
    layer.close()


@pytest.mark.parametrize("case", cases("rng"), ids=lambda case: case["name"])
def test_golden_orders_crops_and_mirrors(golden_root: Path, case: dict) -> None:
    layer = load(Path("rng", f"{case['name']}.prototxt"), case["seed"])
    want = np.load(f"rng/{case['name']}.npz")
    found = []
    for k in range(case["batches"]):
        data, label = layer.forward()
        found += label.tolist()
        if f"data_b{k}" in want:
            np.testing.assert_array_equal(data.numpy(), want[f"data_b{k}"])
    assert found == want["labels"].tolist()
    layer.close()


@pytest.mark.parametrize(
    ("data", "transform", "draws"),
    [
        ({}, "", 1),
        ({"shuffle": "true"}, "", 2),
        ({"rand_skip": 3}, "", 2),
        ({"shuffle": "true", "rand_skip": 3}, "mirror: true", 5),
    ],
)
def test_draws_of_the_main_generator(pictures: Path, data: dict, transform: str, draws: int) -> None:
    rng.set_random_seed(9)
    make("list.txt", transform, **data).close()
    assert rng.rng_next_u32() == rng.Rng(9).u32(draws + 1)[-1]


def test_list_goes_round(pictures: Path) -> None:
    layer = make("list.txt", batch_size=7)
    assert labels(layer, 3) == [*range(10), *range(10), 0]
    layer.close()


def test_shuffling_goes_on_from_the_order_at_hand(pictures: Path) -> None:
    rng.set_random_seed(4)
    layer = make("list.txt", batch_size=4, shuffle="true")
    generator, order, want = rng.Rng(rng.Rng(4).next_u32()), list(range(10)), []
    for _ in range(4):
        generator.shuffle(order)
        want += order
    assert labels(layer, 10) == want
    layer.close()


def test_skip_is_the_second_draw_and_applies_once(pictures: Path) -> None:
    rng.set_random_seed(5)
    layer = make("list.txt", batch_size=10, rand_skip=8)
    skip = rng.Rng(5).next_u32() % 8
    assert skip
    assert labels(layer, 2) == [*range(skip, 10), *range(10), *range(skip)]
    layer.close()


def test_names_end_at_the_last_blank(pictures: Path) -> None:
    Path("3.png").rename("a b 3.png")
    Path("list.txt").write_bytes(b"a b 3.png 3\r\n2.png 2.9\n1.png 1x\n0.png  zero\n0.png")
    Path("0.png").rename("0.png ")
    Path("0.png").write_bytes(Path("0.png ").read_bytes())
    layer = make("list.txt", batch_size=5)
    assert labels(layer, 1) == [3, 2, 1, 0, 0]
    layer.close()


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("7", 7),
        (" +8x", 8),
        ("-3 ", -3),
        ("", 0),
        ("x1", 0),
        ("4294967297", 1),
        ("2147483648", -(2**31)),
        ("9" * 30, -1),
    ],
)
def test_atoi(words: str, value: int) -> None:
    assert _atoi(words) == value


def test_root_folder_is_put_in_front_as_it_is(pictures: Path) -> None:
    Path("sub").mkdir()
    Path("7.png").rename("sub/x7.png")
    Path("list.txt").write_text("7.png 7\n")
    layer = make("list.txt", root_folder='"sub/x"')
    assert labels(layer, 1) == [7, 7]
    layer.close()


def test_size_and_colour(pictures: Path) -> None:
    cv2.imwrite("0.png", np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8))
    picture = cv2.imread("0.png")
    layer = make("list.txt", batch_size=1, new_height=3, new_width=9)
    want = cv2.resize(picture, (9, 3)).transpose(2, 0, 1)
    np.testing.assert_array_equal(layer.forward()[0][0].numpy(), want)
    layer.close()
    layer = make("list.txt", "scale: 0.5 mean_value: 10", batch_size=1, is_color="false")
    want = (cv2.imread("0.png", cv2.IMREAD_GRAYSCALE)[None].astype(np.float32) - 10) * np.float32(0.5)
    np.testing.assert_array_equal(layer.forward()[0][0].numpy(), want)
    layer.close()


@pytest.mark.parametrize("data", [{}, {"shuffle": "true", "rand_skip": 5}])
@pytest.mark.parametrize("transform", ["", "crop_size: 4 mirror: true"])
def test_resume_is_exact(pictures: Path, data: dict, transform: str) -> None:
    for i in range(10):
        cv2.imwrite(f"{i}.png", np.random.default_rng(i).integers(0, 256, (6, 5, 3), np.uint8))
    rng.set_random_seed(1)
    layer = make("list.txt", transform, batch_size=7, **data)
    states = [layer.data_state()]
    batches = []
    for _ in range(6):
        batches.append(layer.forward()[0].numpy().copy())
        states.append(layer.data_state())
    layer.close()
    assert states[3]["records"] == 21
    other = make("list.txt", transform, batch_size=7, **data)
    for start in (3, 0, 5):
        other.load_data_state(states[start])
        for want in batches[start:]:
            np.testing.assert_array_equal(other.forward()[0].numpy(), want)
    other.close()


def test_state_of_another_list(pictures: Path) -> None:
    layer = make("list.txt", shuffle="true")
    state = layer.data_state()
    layer.close()
    Path("list.txt").write_text("1.png 1\n")
    other = make("list.txt")
    with pytest.raises(CaffeError, match=r"layer 'data': state of the data: saved by a layer with another list than"):
        other.load_data_state(state)


def test_log_lines(pictures: Path) -> None:
    handler = own_lines.attach(pictures / "log")
    rng.set_random_seed(5)
    make("list.txt", shuffle="true", rand_skip=8).close()
    glog.detach(handler)
    skip = rng.Rng(5).u32(2)[1] % 8
    assert [line.split(None, 3)[3] for line in Path("log").read_text().splitlines()] == [
        "image_data_layer.cpp:38] Opening file list.txt",
        "image_data_layer.cpp:53] Shuffling data",
        "image_data_layer.cpp:63] A total of 10 images.",
        f"image_data_layer.cpp:70] Skipping first {skip} data points.",
        "image_data_layer.cpp:90] output data size: 2,3,6,5",
    ]


@pytest.mark.parametrize(
    ("lines", "data", "words"),
    [
        ("0.png 0", {"batch_size": 0}, "image_data_param.batch_size: 0; expected at least 1"),
        ("0.png 0", {"new_height": 3}, "image_data_param: new_height: 3, new_width: 0; expected both or neither"),
        ("", {}, "list.txt: the list is empty"),
        (
            "0.png 0\n",
            {"rand_skip": 10**9},
            "image_data_param.rand_skip: 1000000000; the list has 1 pictures, not enough",
        ),
        ("none.png 0", {}, "list.txt:1: cannot read 'none.png': [Errno 2]"),
        ("list.txt 0", {}, "list.txt:1: cannot decode 'list.txt'; expected a picture"),
        ("\n", {}, "list.txt:1: cannot read '': "),
    ],
)
def test_errors_at_set_up(pictures: Path, lines: str, data: dict, words: str) -> None:
    Path("list.txt").write_text(lines)
    with pytest.raises(CaffeError) as caught:
        make("list.txt", **data)
    assert str(caught.value).startswith(f"layer 'data': {words}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("none.png 0", r"list.txt:2: cannot read 'none.png': "),
        ("0.png0", r"list.txt:2: cannot read '0.png0': "),
        ("large.png 0", r"list.txt:2: its image gives \[3, 9, 5\], the batch's first \[3, 6, 5\]"),
    ],
)
def test_errors_later(pictures: Path, line: str, words: str) -> None:
    cv2.imwrite("large.png", np.zeros((9, 5, 3), np.uint8))
    Path("list.txt").write_text(f"0.png 0\n{line}\n")
    layer = make("list.txt")
    for _ in range(2):
        with pytest.raises(CaffeError, match=f"layer 'data': {words}"):
            layer.forward()
    layer.close()


def test_sources_that_are_not_there(pictures: Path) -> None:
    with pytest.raises(CaffeError, match=r"layer 'data': nowhere\.txt: cannot read the list: No such file"):
        make("nowhere.txt")
    with pytest.raises(CaffeError, match=r"layer 'data': image_data_param\.source is missing: the path of a list"):
        make("")
