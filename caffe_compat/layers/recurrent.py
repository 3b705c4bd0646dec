"""RNN and LSTM: what one does at each time step, and what both have in common."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from caffe_compat.fillers import fill
from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.lstm_unit import lstm_unit, lstm_unit_onnx
from caffe_compat.layers.registry import register

if TYPE_CHECKING:
    from caffe_compat.export.graph import Graph


class Recurrent(Layer):
    """Bottoms: x (time, batch, ...), cont (time, batch), then an optional static input (batch, ...).

    cont is 0 where a sequence begins, which cuts it off from what came before. The state at the end of a forward is the
    state at the beginning of the next. With ``expose_hidden`` it comes in and goes out as further bottoms and tops of
    shape (1, batch, num_output) instead.
    """

    type: ClassVar[Any]
    num_bottoms = (2, None)
    num_tops = (1, None)
    no_gradient = (1,)
    time_major = True
    recordable = False  # it goes on from its own last pass
    no_split = "its first axis is the time"
    num_states: ClassVar[int]  # hidden state, and cell state if there is one
    gates: ClassVar[int]  # rows of the weights, in units of num_output

    def setup(self, shapes: list[Shape]) -> None:
        param = self.param.recurrent_param
        if len(shapes[0]) < 2 or len(shapes[1]) != 2:
            self.fail(
                f"x has the shape {list(shapes[0])}, cont {list(shapes[1])}; expected time and batch first, in both"
            )
        exposed = self.num_states if param.expose_hidden else 0
        extra = len(shapes) - 2 - exposed
        if extra not in (0, 1) or len(self.param.top) != 1 + exposed:
            self.fail(
                f"{len(shapes)} bottoms and {len(self.param.top)} tops; expected x, cont, perhaps a static input, and "
                f"{exposed} state(s) as bottoms, and {1 + exposed} top(s)"
            )
        self.static, self.state = bool(extra), None
        n, inputs = param.num_output, math.prod(shapes[0][2:])
        if n < 1:
            self.fail(f"num_output: {n}, expected a positive number")
        self.add_param((self.gates * n, inputs), param.weight_filler)
        self.add_param((self.gates * n,), param.bias_filler)
        if self.static:
            self.add_param((self.gates * n, math.prod(shapes[2][1:])), param.weight_filler)
        self._add_step_params(n)
        # Caffe unrolls the net, and every step draws its weights before it gives them up for those of the first.
        steps = [tuple(p.shape) for p in list(self.params)[2 + self.static :]]
        for _ in range(shapes[0][0] - 1):
            for shape in steps:
                fill(param.weight_filler if len(shape) > 1 else param.bias_filler, shape, self.fail)

    def _add_step_params(self, n: int) -> None:
        """Parameters used at every step, behind those of the inputs."""
        self.add_param((self.gates * n, n), self.param.recurrent_param.weight_filler)

    def reshape(self, shapes: list[Shape]) -> list[Shape]:
        if len(shapes[0]) < 2:
            self.fail(f"x has the shape {list(shapes[0])}; expected time and batch first")
        n, (time, batch) = self.param.recurrent_param.num_output, shapes[0][:2]
        inputs = self.params[0].shape[1]
        if time < 1 or math.prod(shapes[0][2:]) != inputs:
            self.fail(f"x has the shape {list(shapes[0])}; expected a time step or more, of {inputs} value(s) an image")
        if shapes[1] != (time, batch):
            self.fail(f"cont has shape {list(shapes[1])}; expected {[time, batch]}, the first axes of x")
        if self.static and (shapes[2][:1] != (batch,) or math.prod(shapes[2][1:]) != self.params[2].shape[1]):
            each = self.params[2].shape[1]
            self.fail(
                f"the static input has shape {list(shapes[2])}; expected a batch of {batch} first, {each} value(s) each"
            )
        if self.param.recurrent_param.expose_hidden:
            for shape in shapes[-self.num_states :]:
                if shape != (1, batch, n):
                    self.fail(f"an exposed state has shape {list(shape)}; expected {[1, batch, n]}")
        return [(time, batch, n), *[(1, batch, n)] * (len(self.param.top) - 1)]

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        x, cont = bottoms[:2]
        time, batch = cont.shape
        inputs = x.reshape(time, batch, math.prod(x.shape[2:])) @ self.params[0].t() + self.params[1]
        if self.static:
            inputs = inputs + bottoms[2].reshape(batch, math.prod(bottoms[2].shape[1:])) @ self.params[2].t()
        n = self.param.recurrent_param.num_output
        exposed = self.param.recurrent_param.expose_hidden
        if exposed:
            states = [state.reshape(batch, n) for state in bottoms[-self.num_states :]]
        elif self.state is None or self.state[0].shape[0] != batch:
            states = [x.new_zeros(batch, n)] * self.num_states
        else:
            states = [state.to(x) for state in self.state]
        outputs = []
        for t in range(time):
            states, output = self.step(states, inputs[t], cont[t].unsqueeze(-1))
            outputs.append(output)
        self.state = [state.detach() for state in states]
        # Caffe's backward starts below the exposed states, so whatever gradient their tops have is not looked at.
        return torch.stack(outputs), *([state.detach().unsqueeze(0) for state in states] if exposed else [])

    def data_state(self) -> dict[str, Any]:
        """The states at the end of the last forward: ``states``, arrays, or None before the first."""
        return {"states": self.state and [state.cpu().numpy() for state in self.state]}

    def load_data_state(self, state: dict[str, Any]) -> None:
        """Begin the next forward with the states that ``data_state`` gave."""
        states = state["states"]
        self.state = states and [torch.from_numpy(array).to(self.device) for array in states]

    def onnx(self, graph: Graph, bottoms: list[str], tops: list[str]) -> None:
        """A Scan over the time. ONNX's own LSTM and RNN know no cont, which may begin a sequence at any step."""
        (x, cont), param = bottoms[:2], self.param.recurrent_param
        weight, bias, *params = graph.params(self, *self.param_hints())
        rows = x if len(graph.dims(x)) == 3 else graph.reshape(x, [0, 0, -1])
        inputs = graph.node("MatMul", [rows, graph.node("Transpose", [weight], perm=[1, 0])])
        inputs = graph.node("Add", [inputs, bias])
        if self.static:
            static = graph.node("Gemm", [graph.node("Flatten", [bottoms[2]]), params.pop(0)], transB=1)
            inputs = graph.node("Add", [inputs, static])
        if param.expose_hidden:
            axis = graph.integers([0], "axis")
            initial = [graph.node("Squeeze", [state, axis]) for state in bottoms[-self.num_states :]]
        else:
            batch = graph.node("Shape", [cont], start=1)
            shape = graph.node("Concat", [batch, graph.integers([param.num_output], "num_output")], axis=0)
            initial = [graph.node("ConstantOfShape", [shape])] * self.num_states
        states, inside = [graph.value("state") for _ in initial], (graph.value("inputs"), graph.value("cont"))
        outputs: list[str] = []
        with graph.body(self.name, [*states, *inside], outputs) as body:
            after, output = self.step_onnx(graph, states, *inside, params)
            outputs += [*after, graph.node("Identity", [output])]
        scanned = [inputs, graph.unsqueeze(cont, [2])]
        *last, top = graph.nodes("Scan", [*initial, *scanned], self.num_states + 1, body=body, num_scan_inputs=2)
        graph.give(top, tops[0])
        for state, exposed in zip(last, tops[1:]):
            graph.give(graph.unsqueeze(state, [0]), exposed)

    def param_hints(self) -> list[str]:
        """Names of the parameters' constants."""
        return ["weight", "bias", *(["static"] if self.static else []), *self.step_hints]

    step_hints: ClassVar[tuple[str, ...]]  # those of the parameters used at every step

    state: list[Tensor] | None

    @abstractmethod
    def step(self, states: list[Tensor], inputs: Tensor, cont: Tensor) -> tuple[list[Tensor], Tensor]:
        """One time step: the states (batch, n) and the output that follow."""

    @abstractmethod
    def step_onnx(
        self, graph: Graph, states: list[str], inputs: str, cont: str, params: list[str]
    ) -> tuple[list[str], str]:
        """``step`` as nodes."""


@register
class LSTM(Recurrent):
    """gates = W_x x + b [+ W_static x_static] + W_h (cont * h), then as LSTMUnit does; the top is h.

    Parameters: W_x (4 n, inputs), b (4 n,), [W_static], W_h (4 n, n); the gates in the order i, f, o, g.
    """

    type = "LSTM"
    num_states = 2
    gates = 4
    step_hints = ("weight_h",)

    def step(self, states: list[Tensor], inputs: Tensor, cont: Tensor) -> tuple[list[Tensor], Tensor]:
        h, c = states
        c, h = lstm_unit(c, inputs + (cont * h) @ self.params[-1].t(), cont)
        return [h, c], h

    def step_onnx(
        self, graph: Graph, states: list[str], inputs: str, cont: str, params: list[str]
    ) -> tuple[list[str], str]:
        h, c = states
        gates = graph.node("Gemm", [graph.node("Mul", [cont, h]), *params, inputs], transB=1)
        c, h = lstm_unit_onnx(graph, c, gates, cont, self.param.recurrent_param.num_output)
        return [h, c], h


@register
class RNN(Recurrent):
    """h = tanh(W_x x + b_h [+ W_static x_static] + W_h (cont * h)); top = tanh(W_o h + b_o).

    Parameters: W_x (n, inputs), b_h (n,), [W_static], W_h (n, n), W_o (n, n), b_o (n,).
    """

    type = "RNN"
    num_states = 1
    gates = 1
    step_hints = ("weight_h", "weight_o", "bias_o")

    def _add_step_params(self, n: int) -> None:
        super()._add_step_params(n)
        self.add_param((n, n), self.param.recurrent_param.weight_filler)
        self.add_param((n,), self.param.recurrent_param.bias_filler)

    def step(self, states: list[Tensor], inputs: Tensor, cont: Tensor) -> tuple[list[Tensor], Tensor]:
        w_h, w_o, b_o = list(self.params)[-3:]
        h = torch.tanh(inputs + (cont * states[0]) @ w_h.t())
        return [h], torch.tanh(h @ w_o.t() + b_o)

    def step_onnx(
        self, graph: Graph, states: list[str], inputs: str, cont: str, params: list[str]
    ) -> tuple[list[str], str]:
        w_h, w_o, b_o = params
        h = graph.node("Tanh", [graph.node("Gemm", [graph.node("Mul", [cont, *states]), w_h, inputs], transB=1)])
        return [h], graph.node("Tanh", [graph.node("Gemm", [h, w_o, b_o], transB=1)])
