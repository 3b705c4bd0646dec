"""A trained net on its way to use: its definition without the training, its weights, its images' preprocessing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caffe_compat.errors import CaffeError
from caffe_compat.proto import caffe_pb2, read_net


@dataclass(frozen=True)
class Deployment:
    """A net for use.

    Attributes:
        source: the prototxt that it was read from, for training and testing or for use already.
        definition: the NetParameter for use, with Input layers and a batch of 1.
        transform: the TransformationParameter that images of a database go through: crop, mean and scale.
        is_source: whether the source was for use already.
        database: where the definition's TEST phase reads its images, if it says so.
    """

    source: Path
    definition: Any
    transform: Any
    is_source: bool
    database: Path | None = None

    def stored_shape(self) -> tuple[int, ...]:
        """(channels, height, width) of images before the crop: the mean's, or else those of the database's first."""
        from caffe_compat.data.mean import read_mean
        from yosinski.images import Images

        if self.transform.mean_file:
            return tuple(read_mean(self.transform.mean_file).shape)
        if self.database is None or not self.database.exists():
            raise CaffeError(
                f"{self.source}: neither a mean file nor a database tells the size of images before the crop; "
                "--image-size does"
            )
        colors = {name: getattr(self.transform, name) for name in ("force_color", "force_gray")}
        with Images(self.database, caffe_pb2.TransformationParameter(**colors), 1) as images:
            return images.stored_shape

    def load(self, weights: Sequence[Path]) -> Any:
        """The Net in phase TEST with the parameters from the weights files. CaffeError if they leave some out."""
        from caffe_compat.net import Net

        net = Net(self.definition, caffe_pb2.TEST, self.definition.state.level, source=self.source)
        for parameter in net.parameters():
            parameter.data.fill_(float("nan"))
        for file in weights:
            net.copy_from(file)
        empty = [layer.name for layer in net.layers if any(p.isnan().all() for p in layer.params)]
        if empty:
            names = ", ".join(map(str, weights))
            raise CaffeError(f"{names}: no values for layers {', '.join(empty)} of {self.source}")
        return net


def read_in_state(prototxt: Path, level: int = 0, stage: Sequence[str] = ()) -> Any:
    """The NetParameter of a definition, in its state this level and these stages."""
    net = read_net(prototxt)
    if level:
        net.state.level = level
    net.state.stage.extend(stage)
    return net


def read_deployment(
    prototxt: Path,
    mean: Path | None = None,
    input_shape: Sequence[int] | None = None,
    *,
    level: int = 0,
    stage: Sequence[str] = (),
) -> Deployment:
    """Make a definition fit for use.

    Args:
        prototxt: for training and testing, whose TEST phase data layer says what happens to images; or for use.
        mean: a mean file in place of the definition's mean.
        input_shape: (1, channels, height, width) of the input that takes the data layer's place. By default the crop
            of the mean image, or else of the database's first.
        level, stage: which of the definition's layers are meant, besides those of phase TEST.

    Raises:
        CaffeError: the mean file is missing, or the shape of the input cannot be found out.
    """
    from caffe_compat.export.deploy import is_data, is_deploy, layers_in_test, to_deploy

    net = read_in_state(prototxt, level, stage)
    layers = layers_in_test(net)
    if not any(map(_brings, layers)) and any(map(_brings, net.layer)):
        state = f"in phase TEST at level {level}" + (f" with stage {', '.join(stage)}" if stage else " without a stage")
        raise CaffeError(f"{prototxt}: no layer brings data {state}; --stage, or --level, says which layers are meant")
    data = next(filter(is_data, layers), None)
    transform = caffe_pb2.TransformationParameter()
    if data is not None:
        transform.CopyFrom(data.transform_param)
        transform.ClearField("mirror")
    if mean is not None:
        transform.ClearField("mean_value")
        transform.mean_file = str(mean)
    if transform.mean_file and not Path(transform.mean_file).is_file():
        raise CaffeError(f"{transform.mean_file}: no such mean file; --mean says where the mean of {prototxt} is")
    if data is None:
        shapes = [shape.dim for layer in net.layer for shape in layer.input_param.shape]
        if shapes and len(shapes[0]) == 4 and shapes[0][2] == shapes[0][3]:
            transform.crop_size = shapes[0][3]
    database = Path(data.data_param.source) if data is not None and data.type == "Data" else None
    if is_deploy(net):
        return Deployment(prototxt, net, transform, is_source=True)
    shape = input_shape or (_input_shape(prototxt, data, transform) if data is not None else ())
    return Deployment(prototxt, to_deploy(net, shape), transform, is_source=False, database=database)


def _brings(layer: Any) -> bool:
    """Whether a LayerParameter is that of a layer that data come from, or go in by."""
    from caffe_compat.export.deploy import is_data

    return layer.type == "Input" or is_data(layer)


def _input_shape(prototxt: Path, data: Any, transform: Any) -> tuple[int, ...]:
    """Shape of what the data layer gives for one image."""
    from caffe_compat.data.db import open_db
    from caffe_compat.data.mean import read_mean
    from caffe_compat.data.reader import Reader
    from caffe_compat.data.transform import Transformer

    if transform.mean_file:
        return (1, *Transformer(transform, caffe_pb2.TEST).shape(read_mean(transform.mean_file).shape))
    if data.type != "Data" or not Path(data.data_param.source).exists():
        raise CaffeError(
            f"{prototxt}: layer {data.name!r} has neither a mean file nor a database to tell the input's shape by; "
            "--mean names a mean file, and a definition with an Input layer in its place needs neither"
        )
    reader = Reader(open_db(data.data_param.source), Transformer(transform, caffe_pb2.TEST), 1)
    try:
        return (1, *reader.first_shape())
    finally:
        reader.close()
