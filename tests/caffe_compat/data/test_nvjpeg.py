"""JPEG records on their way through nvJPEG: the same batches but for its pixels, and OpenCV for all that it is not for.

Here OpenCV stands in for the one function that needs a GPU.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from caffe_compat import rng as caffe_rng
from caffe_compat.data import nvjpeg
from caffe_compat.data.batches import Batch
from caffe_compat.data.datum import serialize
from caffe_compat.data.db import create_db, open_db
from caffe_compat.data.nvjpeg import NvjpegReader
from caffe_compat.data.picture import AS_STORED, COLOR, GRAY
from caffe_compat.data.reader import Reader
from caffe_compat.data.transform import Transformer
from caffe_compat.errors import CaffeError
from caffe_compat.layers.data import Data
from caffe_compat.proto import caffe_pb2, text

CPU = torch.device("cpu")
FIELDS = {"crop_size": 17, "mirror": True, "scale": 0.5}


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many files each call got; as with torchvision a bad one spoils the whole call."""
    calls = []

    def decode(files: list[Tensor], gray: bool, device: torch.device) -> list[Tensor]:
        calls.append(len(files))
        images = [cv2.imdecode(file.numpy(), GRAY if gray else COLOR) for file in files]
        if any(image is None or b"broken" in file.numpy().tobytes() for image, file in zip(images, files)):
            raise RuntimeError("Error while decoding JPEG images")
        found = [image[None] if gray else image[:, :, ::-1].transpose(2, 0, 1) for image in images]
        return [torch.from_numpy(image.copy()).to(device) for image in found]

    monkeypatch.setattr(nvjpeg, "decode_jpegs", decode)
    return calls


def picture(rng: np.random.Generator, height: int = 25, width: int = 31) -> NDArray[np.uint8]:
    return cv2.resize(rng.integers(0, 256, (4, 5, 3), np.uint8), (width, height))


def jpeg(image: NDArray, **options: object) -> bytes:
    """By another library than OpenCV's encoder, which writes no Exif and no CMYK."""
    file = io.BytesIO()
    mode = options.pop("mode", "RGB")
    Image.fromarray(image).convert(str(mode)).save(file, "JPEG", **options)
    return file.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: by a quarter
    return exif.tobytes()


def write(path: Path, contents: list[bytes]) -> Path:
    with create_db(path, "lmdb") as db:
        for i, content in enumerate(contents):
            db.put(b"%04d" % i, serialize(caffe_pb2.Datum(data=content, encoded=True, label=i)))
    return path


def transformer(phase: int = caffe_pb2.TRAIN, **fields: object) -> Transformer:
    caffe_rng.set_random_seed(5)
    made = Transformer(caffe_pb2.TransformationParameter(**{**FIELDS, **fields}), phase)
    made.init_rng(6)
    return made


def finished(reader: NvjpegReader, batch: Batch) -> Tensor:
    assert batch.places is not None
    return reader.transformer.finish(batch.data, batch.places)


@pytest.mark.parametrize("phase", [caffe_pb2.TRAIN, caffe_pb2.TEST])
@pytest.mark.parametrize("fields", [{"mean_value": [104, 117, 123]}, {"force_color": True}, {"force_gray": True}])
def test_batches_but_for_pixels(
    tmp_path: Path, rng: np.random.Generator, decoded: list[int], phase: int, fields: dict
) -> None:
    """Of pictures of all sizes; and from a state on."""
    sizes = rng.integers(17, 40, (13, 2)).tolist()
    path = write(tmp_path / "db", [jpeg(picture(rng, *size), progressive=i % 2 == 1) for i, size in enumerate(sizes)])
    plain = Reader(open_db(path), transformer(phase, **fields), 6)
    reader = NvjpegReader(open_db(path), transformer(phase, **fields), 6, CPU)
    assert reader.first_shape() == plain.first_shape()
    for number in range(6):
        want, got = plain.read(), reader.read()
        assert got.data.dtype == torch.uint8
        assert torch.equal(finished(reader, got), want.data) and torch.equal(got.label, want.label)
        assert got.state["records"] == want.state["records"] == 6 * (number + 1)
        assert np.array_equal(got.state["rng"], want.state["rng"])
    assert decoded == [6] * 6
    reader.close()
    again = NvjpegReader(open_db(path), transformer(phase, **fields), 6, CPU)
    again.load_state(want.state)
    want = plain.read()
    assert torch.equal(finished(again, again.read()), want.data)
    again.close()
    plain.close()


def test_what_is_left_to_opencv(
    tmp_path: Path, rng: np.random.Generator, decoded: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    images = [picture(rng) for _ in range(4)]
    good = jpeg(images[0])
    png = cv2.imencode(".png", images[1])[1].tobytes()
    contents = [good, png, jpeg(images[2], comment="broken"), jpeg(images[3])]
    path = write(tmp_path / "db", contents)
    plain, reader = Reader(open_db(path), transformer(), 4), NvjpegReader(open_db(path), transformer(), 4, CPU)
    with caplog.at_level("INFO", logger="caffe"):
        for _ in range(2):
            assert torch.equal(finished(reader, reader.read()), plain.read().data)
    assert decoded == [3, 1, 1, 1] * 2
    said = [record.getMessage() for record in caplog.records if "not for nvJPEG" in record.getMessage()]
    assert len(said) == 1 and "record '0001'" in said[0]
    reader.close()
    plain.close()


@pytest.mark.parametrize(
    ("options", "modes"),
    [
        ({}, {AS_STORED, COLOR, GRAY}),
        ({"progressive": True}, {AS_STORED, COLOR, GRAY}),
        ({"subsampling": 0, "comment": "x"}, {AS_STORED, COLOR, GRAY}),
        ({"exif": turned()}, {AS_STORED}),
        ({"keep_rgb": True}, set()),
        ({"mode": "L"}, set()),
        ({"mode": "CMYK"}, set()),
    ],
)
def test_which_jpegs_suit(rng: np.random.Generator, options: dict, modes: set[int]) -> None:
    content = jpeg(picture(rng), **options)
    assert {mode for mode in (AS_STORED, COLOR, GRAY) if nvjpeg.suits(memoryview(content), mode)} == modes
    for length in (0, 1, 2, 3, 20, 100, len(content) // 2, len(content) - 1):
        assert not nvjpeg.suits(content[:length], AS_STORED)
    assert not nvjpeg.suits(b"\xff\xd8\xff\xd9", AS_STORED)


def test_records_that_are_no_image_of_the_batch(tmp_path: Path, rng: np.random.Generator, decoded: list[int]) -> None:
    def fails(second: bytes, match: str, **fields: object) -> None:
        path = tmp_path / str(len(list(tmp_path.iterdir())))
        reader = NvjpegReader(open_db(write(path, [jpeg(picture(rng)), second])), transformer(**fields), 2, CPU)
        with pytest.raises(CaffeError, match=match):
            reader.read()
        reader.close()

    fails(b"no picture", "record '0001': cannot decode the 10 bytes")
    fails(jpeg(picture(rng, 9, 9)), r"record '0001': crop_size: 17 is larger than the image of shape \[3, 9, 9\]")
    fails(
        jpeg(picture(rng), mode="L"), r"record '0001': its image gives \[1, 17, 17\], the batch's first \[3, 17, 17\]"
    )
    fails(jpeg(picture(rng, 20, 20)), r"record '0001': its image gives \[3, 20, 20\]", crop_size=0)


def test_raw_records_and_floats(tmp_path: Path, rng: np.random.Generator, decoded: list[int]) -> None:
    """A batch of bytes and floats is one of floats."""
    with create_db(tmp_path / "db", "lmdb") as db:
        shape = {"channels": 3, "height": 20, "width": 20}
        db.put(b"0", serialize(caffe_pb2.Datum(data=rng.bytes(1200), **shape)))
        db.put(b"1", serialize(caffe_pb2.Datum(float_data=rng.random(1200, np.float32), **shape)))
    plain = Reader(open_db(tmp_path / "db"), transformer(), 2)
    reader = NvjpegReader(open_db(tmp_path / "db"), transformer(), 2, CPU)
    assert torch.equal(finished(reader, reader.read()), plain.read().data)
    assert decoded == []
    reader.close()
    plain.close()


def test_memory_that_is_out_is_an_error(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out(*_: object) -> list[Tensor]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(nvjpeg, "decode_jpegs", out)
    reader = NvjpegReader(open_db(write(tmp_path / "db", [jpeg(picture(rng))])), transformer(), 2, CPU)
    with pytest.raises(torch.OutOfMemoryError):
        reader.read()
    reader.close()


def layer(source: Path) -> Data:
    prototxt = f"""name: "data" type: "Data" top: "data" top: "label" transform_param {{ crop_size: 17 mirror: true }}
                   data_param {{ source: "{source}" batch_size: 4 }}"""
    caffe_rng.set_random_seed(7)
    made = Data(text.parse(prototxt, caffe_pb2.LayerParameter), caffe_pb2.TRAIN)
    made.setup([])
    return made


def test_layer(tmp_path: Path, rng: np.random.Generator, decoded: list[int]) -> None:
    path = write(tmp_path / "db", [jpeg(picture(rng)) for _ in range(9)])
    plain = layer(path)
    with nvjpeg.use(CPU):
        made = layer(path)
    assert type(plain.reader) is Reader and isinstance(made.reader, NvjpegReader)
    assert made._identity() != plain._identity()
    for _ in range(7):
        for one, two in zip(made.forward(), plain.forward()):
            assert torch.equal(one, two)
    state = made.data_state()
    want = made.forward()[0].clone()
    made.load_data_state(state)
    assert isinstance(made.reader, NvjpegReader) and torch.equal(made.forward()[0], want)
    made.close()
    plain.close()


def test_where_it_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CaffeError, match="nvjpeg: it decodes on a GPU, and the device is cpu"):
        nvjpeg.check(CPU)
    if not torch.cuda.is_available():
        with pytest.raises(
            CaffeError, match=r"torchvision decodes no JPEG on cuda: .*; expected a torchvision for CUDA$"
        ):
            nvjpeg.check(torch.device("cuda"))
    monkeypatch.setitem(sys.modules, "torchvision.io", None)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(CaffeError, match="torchvision decodes no JPEG on cuda:1: import of torchvision"):
        nvjpeg.check(torch.device("cuda:1"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu(tmp_path: Path, rng: np.random.Generator) -> None:
    """Crops and mirrors are those of OpenCV's batches; pixels are off by a rounding or two, more at chroma's edges."""
    pytest.importorskip("torchvision.io", exc_type=ImportError)
    device = torch.device("cuda:0")
    nvjpeg.check(device)
    path = write(
        tmp_path / "db", [jpeg(picture(rng), subsampling=0, quality=95, progressive=i % 3 == 0) for i in range(9)]
    )
    plain = layer(path)
    with nvjpeg.use(device):
        made = layer(path)
    made.device = device
    for _ in range(15):
        (got, labels), (want, same) = made.forward(), plain.forward()
        assert got.is_cuda and torch.equal(labels.cpu(), same)
        difference = (got.cpu() - want).abs()
        assert difference.mean() < 1 and difference.max() < 10
    made.close()
    plain.close()
