"""WindowData: which windows it picks, what it cuts out of images, and what it refuses.

No measured case of Caffe's exists for this layer; expected numbers follow from the rules in its source by hand.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from caffe_compat import glog, rng
from caffe_compat.data.mean import write_mean
from caffe_compat.errors import CaffeError
from caffe_compat.layers.window_data import WindowData
from caffe_compat.proto import caffe_pb2, text

from .. import own_lines

WIDTH, HEIGHT = 12, 10

# Background: a, c, d; foreground: b, e, f; the fourth line is neither.
WINDOWS = """# 0
images/0.png
3
10
12
4
5 0.2 0 0 3 3
7 0.9 4 4 7 7
5 0.45 1 1 2 2
0 0.4999 8 2 11 9
# 1
images/1.png
3 10 12
3

1 0 2 3 5 8
2 0.5 0 6 3 9
3 1.0 6 0 11 9
"""
FIELDS = {"batch_size": 8, "bg_threshold": 0.45, "fg_fraction": 0.5}


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Two random pictures (height, width, 3), and the window file."""
    monkeypatch.chdir(tmp_path)
    Path("images").mkdir()
    pictures = [np.random.default_rng(i).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8) for i in range(2)]
    for i, picture in enumerate(pictures):
        cv2.imwrite(f"images/{i}.png", picture)
    Path("windows.txt").write_text(WINDOWS)
    return pictures


def make(transform: str = "crop_size: 4", phase: int = caffe_pb2.TRAIN, **fields: object) -> WindowData:
    given = {"source": '"windows.txt"', **FIELDS, **fields}
    layer = WindowData(
        text.parse(
            'name: "data" type: "WindowData" top: "data" top: "label" window_data_param { '
            f"{' '.join(f'{name}: {value}' for name, value in given.items())} }} transform_param {{ {transform} }}",
            caffe_pb2.LayerParameter,
        ),
        phase,
    )
    layer.setup([])
    return layer


def one(box: str, transform: str = "crop_size: 4", **fields: object) -> np.ndarray:
    """The output (3, crop, crop) for a single window of picture 0."""
    Path("windows.txt").write_text(f"# 0 images/0.png 3 {HEIGHT} {WIDTH} 1\n1 1 {box}\n")
    layer = make(transform, **{"batch_size": 1, "fg_fraction": 1, **fields})
    data, label = layer.forward()
    layer.close()
    assert label.tolist() == [1]
    return data[0].numpy()


def part(picture: np.ndarray, x1: int, y1: int, x2: int, y2: int, width: int, height: int) -> np.ndarray:
    return cv2.resize(picture[y1 : y2 + 1, x1 : x2 + 1], (width, height)).transpose(2, 0, 1).astype(np.float32)


BACKGROUND = [(0, (0, 0, 3, 3), 0), (0, (8, 2, 11, 9), 0), (1, (2, 3, 5, 8), 0)]
FOREGROUND = [(0, (4, 4, 7, 7), 7), (1, (0, 6, 3, 9), 2), (1, (6, 0, 11, 9), 3)]


@pytest.mark.parametrize("phase", [caffe_pb2.TRAIN, caffe_pb2.TEST])
@pytest.mark.parametrize("mirror", [False, True])
def test_which_windows_and_in_which_order(images: list[np.ndarray], phase: int, mirror: bool) -> None:
    """Background first, then foreground; a word of the generator for each choice, another for mirroring."""
    Path("windows.txt").write_text(WINDOWS.replace("0.4999", "0.4").replace("5 0.45 1", "5 0.46 1"))
    rng.set_random_seed(3)
    layer = make(f"crop_size: 4 {'mirror: true' if mirror else ''}", phase, fg_fraction=0.4)
    # Main's first word goes to a transformer that is not used, if it would be random; the second seeds the choices.
    generator = rng.Rng(int(rng.Rng(3).u32(2)[int(mirror or phase == caffe_pb2.TRAIN)]))
    for _ in range(5):
        data, label = layer.forward()
        assert data.shape == (8, 3, 4, 4)
        for i in range(8):
            kind = BACKGROUND if i < 5 else FOREGROUND  # int(8 * 0.4) = 3
            image, box, want = kind[generator.next_u32() % 3]
            pixels = part(images[image], *box, 4, 4)
            if mirror and generator.next_u32() % 2:
                pixels = pixels[:, :, ::-1]
            assert label[i] == want
            np.testing.assert_array_equal(data[i].numpy(), pixels)
    layer.close()


@pytest.mark.parametrize(
    ("transform", "phase", "draws"),
    [
        ("", caffe_pb2.TEST, 2),
        ("", caffe_pb2.TRAIN, 4),
        ("mirror: true", caffe_pb2.TEST, 4),
    ],
)
def test_draws_of_the_main_generator(images: list[np.ndarray], transform: str, phase: int, draws: int) -> None:
    rng.set_random_seed(9)
    make(f"crop_size: 4 {transform}", phase).close()
    assert rng.rng_next_u32() == rng.Rng(9).u32(draws + 1)[-1]


def test_warping_ignores_proportions(images: list[np.ndarray]) -> None:
    np.testing.assert_array_equal(one("2 1 10 3"), part(images[0], 2, 1, 10, 3, 4, 4))
    np.testing.assert_array_equal(one("0 0 11 9"), part(images[0], 0, 0, 11, 9, 4, 4))


def test_context_inside_of_the_image(images: list[np.ndarray]) -> None:
    """Four pixels, doubled around their centre 6: from 6 - 4 to 6 + 4, that is nine pixels."""
    got = one("4 4 7 7", "crop_size: 8", context_pad=2)
    np.testing.assert_array_equal(got[:, :, :], np.pad(part(images[0], 2, 2, 10, 9, 8, 7), ((0, 0), (0, 1), (0, 0))))


def test_context_beyond_the_corner(images: list[np.ndarray]) -> None:
    """From 2 - 4 to 2 + 4: two of nine pixels are outside, 2 of 8 in the output, leaving round(7 * 8 / 9) = 6."""
    got = one("0 0 3 3", "crop_size: 8", context_pad=2)
    want = np.zeros((3, 8, 8), np.float32)
    want[:, 2:, 2:] = part(images[0], 0, 0, 6, 6, 6, 6)
    np.testing.assert_array_equal(got, want)


def test_context_beyond_the_other_corner(images: list[np.ndarray]) -> None:
    """Columns 6 to 14, three of them outside: round(6 * 8 / 9) = 5. Rows 4 to 12, likewise."""
    got = one("8 6 11 9", "crop_size: 8", context_pad=2)
    want = np.zeros((3, 8, 8), np.float32)
    want[:, :5, :5] = part(images[0], 6, 4, 11, 9, 5, 5)
    np.testing.assert_array_equal(got, want)


def test_padding_is_mirrored_with_the_window(images: list[np.ndarray]) -> None:
    plain = np.zeros((3, 8, 8), np.float32)
    plain[:, 2:, 2:] = part(images[0], 0, 0, 6, 6, 6, 6)
    seen = set()
    for seed in range(12):
        rng.set_random_seed(seed)
        got = one("0 0 3 3", "crop_size: 8 mirror: true", context_pad=2)
        mirrored = bool(rng.Rng(int(rng.Rng(seed).u32(2)[1])).u32(2)[1] % 2)
        seen.add(mirrored)
        np.testing.assert_array_equal(got, plain[:, :, ::-1] if mirrored else plain)
    assert seen == {True, False}


def test_square_keeps_proportions(images: list[np.ndarray]) -> None:
    """Six by two pixels around (6, 4): columns 3 to 9, rows 1 to 7."""
    got = one("3 3 8 4", "crop_size: 5", crop_mode='"square"')
    np.testing.assert_array_equal(got, part(images[0], 3, 1, 9, 7, 5, 5))


def test_halves_are_rounded_away_from_zero(images: list[np.ndarray]) -> None:
    """Three pixels around 0.5 + 1: columns 0 to 3; a window of two rows and three columns, squared: rows -0.5, 2.5."""
    got = one("0 0 2 1", "crop_size: 4", crop_mode='"square"')
    want = np.zeros((3, 4, 4), np.float32)
    want[:, 1:] = part(images[0], 0, 0, 3, 3, 4, 3)  # rows -1 to 3, columns 0 to 3; one of five rows is outside
    np.testing.assert_array_equal(got, want)


def test_mean_and_scale(images: list[np.ndarray], tmp_path: Path) -> None:
    """(pixel - mean) * scale, the mean from its centre; zeros where there is no image."""
    mean = np.random.default_rng(5).uniform(90, 130, (3, 13, 13)).astype(np.float32)
    write_mean("mean", mean)
    pixels = part(images[0], 0, 0, 6, 6, 6, 6)
    want = np.zeros((3, 8, 8), np.float32)
    want[:, 2:, 2:] = (pixels - mean[:, 4:10, 4:10]) * np.float32(0.017)  # (13 - 8) / 2 = 2
    got = one("0 0 3 3", 'crop_size: 8 mean_file: "mean" scale: 9', context_pad=2, scale=0.017)
    np.testing.assert_array_equal(got, want)
    for values in ([104.0], [104.0, 117.0, 123.0]):
        want[:, 2:, 2:] = pixels - np.array(values, np.float32)[:, None, None]
        means = " ".join(f"mean_value: {value}" for value in values)
        np.testing.assert_array_equal(one("0 0 3 3", f"crop_size: 8 {means}", context_pad=2), want)


def test_cached_images_need_no_files(images: list[np.ndarray]) -> None:
    rng.set_random_seed(1)
    plain = make(batch_size=8)
    want = [plain.forward()[0].numpy().copy() for _ in range(3)]
    plain.close()
    rng.set_random_seed(1)
    layer = make(batch_size=8, cache_images="true", root_folder='"./"')
    for i in range(2):
        Path(f"images/{i}.png").unlink()
    np.testing.assert_array_equal([layer.forward()[0].numpy().copy() for _ in range(3)], want)
    layer.close()


def test_resume_is_exact(images: list[np.ndarray]) -> None:
    layer = make("crop_size: 4 mirror: true")
    layer.forward()
    layer.forward()
    state = layer.data_state()
    assert state["records"] == 16
    want = [layer.forward()[0].numpy().copy() for _ in range(4)]
    other = make("crop_size: 4 mirror: true")
    other.load_data_state(state)
    np.testing.assert_array_equal([other.forward()[0].numpy().copy() for _ in range(4)], want)
    layer.close()
    other.close()


def test_log_lines(images: list[np.ndarray]) -> None:
    handler = own_lines.attach("log")
    make(context_pad=1).close()
    glog.detach(handler)
    lines = [line.split(None, 3)[3] for line in Path("log").read_text().splitlines() if line[0] == "I"]
    assert lines == [
        "window_data_layer.cpp:52] Window data layer:",
        "window_data_layer.cpp:147] num: 0 images/0.png 3 10 12 windows to process: 4",
        "window_data_layer.cpp:156] Number of images: 2",
        "window_data_layer.cpp:160] class 0 has 2 samples",
        "window_data_layer.cpp:160] class 2 has 1 samples",
        "window_data_layer.cpp:160] class 3 has 1 samples",
        "window_data_layer.cpp:160] class 7 has 1 samples",
        "window_data_layer.cpp:164] Amount of context padding: 1",
        "window_data_layer.cpp:167] Crop mode: warp",
        "window_data_layer.cpp:179] output data size: 8,3,4,4",
    ]


@pytest.mark.parametrize(
    ("transform", "fields", "words"),
    [
        ("", {}, "transform_param.crop_size: 0; expected the size of the output"),
        ("crop_size: 4", {"batch_size": 0}, "window_data_param.batch_size: 0; expected at least 1"),
        ("crop_size: 4", {"source": '""'}, "window_data_param.source is missing: the path of a window file"),
        ("crop_size: 4", {"source": '"none"'}, "none: cannot read the window file: No such file or directory"),
        ("crop_size: 4", {"crop_mode": '"sqare"'}, "window_data_param.crop_mode: 'sqare'; expected warp or square"),
        ("crop_size: 4", {"context_pad": 2}, "window_data_param.context_pad: 2; crop_size 4 is too small"),
        ("crop_size: 4", {"fg_fraction": 1.5}, "window_data_param.fg_fraction: 1.5; expected 0 to 1"),
        ("crop_size: 4", {"fg_threshold": 2}, "windows.txt: no window is foreground, but a batch has 4"),
        ("crop_size: 4", {"bg_threshold": 0}, "windows.txt: no window is background, but a batch has 4"),
        (
            'crop_size: 4 mean_file: "mean"',
            {},
            "mean_file: mean is of shape [3, 3, 9]; expected [3, rows, columns] with ",
        ),
        ("crop_size: 4 mean_value: 1 mean_value: 2", {}, "mean_value: 2 values; expected 1 or 3, one for each channel"),
        (
            "crop_size: 4",
            {"cache_images": "true", "root_folder": '"no"'},
            "windows.txt:1: cannot read 'noimages/0.png': ",
        ),
    ],
)
def test_errors_at_set_up(images: list[np.ndarray], transform: str, fields: dict, words: str) -> None:
    write_mean("mean", np.zeros((3, 3, 9), np.float32))
    with pytest.raises(CaffeError) as caught:
        make(transform, **fields)
    assert str(caught.value).startswith(f"layer 'data': {words}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "windows.txt: the window file is empty"),
        ("\n# 0\n", "windows.txt:2: the file ends early; expected path"),
        ("# 0 a.png 3 10 12\n", "windows.txt:1: the file ends early; expected number of windows"),
        ("# 1 a.png 3 10 12 0\n", "windows.txt:1: image index: 1; expected 0"),
        ("0 a.png 3 10 12 0 0\n", "windows.txt:1: '0 a.png 3 10 12 0 0'; expected #, image index, path, channels"),
        ("# 0 a b.png 3 10 12 0\n", "windows.txt:1: '# 0 a b.png 3 10 12 0'; expected #, image index, path"),
        ("# 0 a.png 1 10 12 0\n", "windows.txt:1: channels: 1; expected 3: images are read in colour"),
        ("# 0 a.png 3 10 12 2\n1 1 0 0 3 3\n", "windows.txt: the file ends early; image 0 has 1 windows, expected 2"),
        ("# 0 a.png 3 10 12 2\n1 1 0 0 3 3\n\n1 1 0 0 3\n", "windows.txt:4: '1 1 0 0 3'; expected label, overlap, x1"),
        ("# 0 a.png 3 10 12 1\n1 1 0 0 3 3.5\n", "windows.txt:2: '1 1 0 0 3 3.5'; expected label, overlap"),
        ("# 0 a.png 3 10 12 1\n1 1 0 0 3 nan\n", "windows.txt:2: '1 1 0 0 3 nan'; expected label, overlap"),
        ("# 0 a.png 3 10 12 1\n0 0.7 0 0 3 3\n", "windows.txt:2: label: 0; expected more than 0"),
    ],
)
def test_broken_window_files(images: list[np.ndarray], content: str, words: str) -> None:
    Path("windows.txt").write_text(content)
    with pytest.raises(CaffeError) as caught:
        make()
    assert str(caught.value).startswith(f"layer 'data': {words}")


@pytest.mark.parametrize(
    ("box", "fields", "words"),
    [
        (
            "8 0 12 3",
            {},
            "windows.txt:2: window [8, 0, 12, 3] (x1, y1, x2, y2) does not lie in 'images/0.png' of 12 x 10",
        ),
        ("5 5 4 9", {}, "windows.txt:2: window [5, 5, 4, 9] "),
        ("50 50 59 59", {"context_pad": 1}, "windows.txt:2: window [50, 50, 59, 59] "),
        ("9 9 2 2", {"context_pad": 1}, "windows.txt:2: window [9, 9, 2, 2] "),
        ("0 0 3 3", {"root_folder": '"no"'}, "windows.txt:1: cannot read 'noimages/0.png': [Errno 2]"),
        ("0 0 3 3", {"root_folder": '"bad"'}, "windows.txt:1: cannot decode 'badimages/0.png'; expected a picture"),
    ],
)
def test_errors_later(images: list[np.ndarray], box: str, fields: dict, words: str) -> None:
    Path("badimages").mkdir()
    Path("badimages/0.png").write_text("no picture")
    with pytest.raises(CaffeError) as caught:
        one(box, **fields)
    assert str(caught.value).startswith(f"layer 'data': {words}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", range(8))
def test_any_window_against_caffes_loop(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows anywhere in images of any size, with context, as squares, mirrored: load_batch, spelt out."""
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(seed)
    height, width, crop = draw.integers((5, 5, 4), (40, 40, 18)).tolist()
    picture = draw.integers(0, 256, (height, width, 3), np.uint8)
    cv2.imwrite("0.png", picture)
    corners = np.sort(draw.integers(0, (width, height), (12, 2, 2)), axis=1).reshape(12, 4)
    lines = [f"{i + 1} 1 {' '.join(map(str, box))}" for i, box in enumerate(corners)]
    Path("windows.txt").write_text("\n".join([f"# 0 0.png 3 {height} {width} 12", *lines]))
    pad, square, mirror = int(draw.integers(0, (crop + 1) // 2)), bool(seed & 1), bool(seed & 2)
    fields = {"batch_size": 1, "fg_fraction": 1, "context_pad": pad, "crop_mode": '"square"' if square else '"warp"'}
    rng.set_random_seed(seed)
    layer = make(f"crop_size: {crop} mirror: {str(mirror).lower()} mean_value: 3", scale=0.5, **fields)
    generator = rng.Rng(int(rng.Rng(seed).u32(2)[1]))
    for _ in range(10):
        box = corners[generator.next_u32() % 12]
        want = _by_caffe(picture, box, crop, pad, square, mirror and generator.next_u32() % 2 == 1)
        if want is None:
            with pytest.raises(CaffeError, match="has no pixel left with its context in '0"):
                layer.forward()
            break
        np.testing.assert_array_equal(layer.forward()[0][0].numpy(), want)
    layer.close()


def _by_caffe(
    picture: np.ndarray, box: np.ndarray, crop: int, pad: int, square: bool, mirrored: bool
) -> np.ndarray | None:
    """What a window gives, less a mean of 3 and halved; None where cv::resize would fail for a size of 0."""
    f32 = np.float32
    place, sizes, parts = [0, 0], [crop, crop], []
    half = [f32(box[axis + 2] - box[axis] + 1) / f32(2) for axis in range(2)]
    for axis, size in enumerate((picture.shape[1], picture.shape[0])):
        first, last = int(box[axis]), int(box[axis + 2])
        if pad or square:
            enlarge = f32(crop) / f32(crop - 2 * pad)
            centre, reach = f32(first) + half[axis], (max(half) if square else half[axis]) * enlarge
            first, last = (int(np.copysign(np.floor(abs(x) + 0.5), x)) for x in (centre - reach, centre + reach))
            scale = f32(crop) / f32(last - first + 1)
            before, after = max(0, -first), max(0, last - size + 1)
            first, last = first + before, last - after
            place[axis] = int(f32(after if mirrored and axis == 0 else before) * scale + f32(0.5))
            sizes[axis] = min(int(f32(last - first + 1) * scale + f32(0.5)), crop - place[axis])
        parts.append(slice(first, last + 1))
    if min(sizes) < 1:
        return None
    part = cv2.resize(picture[parts[1], parts[0]], tuple(sizes))
    part = cv2.flip(part, 1) if mirrored else part
    out = np.zeros((3, crop, crop), f32)
    rows, columns = (slice(begin, begin + size) for begin, size in zip(place[::-1], sizes[::-1]))
    out[:, rows, columns] = (part.transpose(2, 0, 1).astype(f32) - 3) * f32(0.5)
    return out
