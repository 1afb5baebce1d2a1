"""What stands before and behind each layer, read from the traced network: it decides which tensors have one range.

A runtime fuses the clamp behind a layer (ReLU and the like) into it, and quantises what comes out. What then is only
moved about on its way to the next layer is on the same grid there.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar, cast

import torch
from torch import nn
from torch.fx import Node

from mobigen.errors import ConfigError
from mobigen.models.network import Network
from mobigen.nn.conv import DepthwiseConv3x3
from mobigen.quantization.ranges import Range
from mobigen.signature import TensorSpec

__all__ = ["KINDS", "LayerPlan", "kind_of", "plan_layers"]

KINDS = ("conv", "depthwise", "linear")
RELU = (0.0, math.inf)
aten = torch.ops.aten
CALLS = {aten.conv2d.default, aten.conv2d.padding, aten.linear.default}
MOVES = {  # of values; none is changed
    *(aten.permute.default, aten.transpose.int, aten.view.default, aten.reshape.default, aten.flatten.using_ints),
    *(aten.unsqueeze.default, aten.squeeze.dim, aten.slice.Tensor, aten.select.int, aten.contiguous.default),
    *(aten.pixel_shuffle.default, aten.pixel_unshuffle.default, aten.upsample_nearest2d.vec, aten.clone.default),
    *(aten.max_pool2d.default, aten.dropout.default, aten.to.dtype, aten.expand.default, aten.unflatten.int),
}
Item = TypeVar("Item")


class LayerPlan(NamedTuple):
    """The neighbours of a layer; None where there is no such thing, or its calls differ."""

    bounds: Range | None  # of the clamp behind it
    source: str | None  # the layer whose output, moved about at most, is its input
    input: Range | None  # the range that the network's signature states, if that is its input
    output: Range | None  # likewise, if its output is the network's


def kind_of(module: nn.Module) -> str | None:
    """A name of KINDS, or None."""
    if isinstance(module, nn.Conv2d):
        return "depthwise" if 1 < module.groups == module.in_channels else "conv"
    if isinstance(module, DepthwiseConv3x3):
        return "depthwise"
    return "linear" if isinstance(module, nn.Linear) else None


def plan_layers(network: Network, names: Iterable[str]) -> dict[str, LayerPlan]:
    """Plans of those layers among `names` that the network calls.

    Raises:
        ConfigError: the network cannot be traced, or a batch norm follows one of them.
    """
    signature, calls = network.signature(), _calls(network, set(names))
    plans: dict[str, LayerPlan] = {}
    for name, nodes in calls.items():
        _check_folded(network.component, name, nodes)
        plans[name] = LayerPlan(
            bounds=_agreed(_bounds(node) for node in nodes),
            source=_agreed(_source(node, plans) for node in nodes),
            input=_agreed(_input_range(node, signature.inputs) for node in nodes),
            output=_agreed(_output_range(node, signature.outputs) for node in nodes),
        )
    return plans


def _calls(network: Network, names: set[str]) -> dict[str, list[Node]]:
    """The calls of each layer, in the order of the trace."""
    probe = copy.deepcopy(network).cpu().float().eval()
    inputs = network.example_inputs(torch.Generator().manual_seed(0))
    try:
        graph = torch.export.export(probe, args=(), kwargs=inputs, strict=False).graph
    except Exception as error:  # torch.export raises its own errors and plain ones
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"{network.component} cannot be traced, so its layers have no plan: {reason}") from error
    calls: dict[str, list[Node]] = {}
    for node in list(graph.nodes):
        if node.target is aten._assert_tensor_metadata.default:
            graph.erase_node(node)  # or it would count as a reader
        elif node.target in CALLS and _owner(node) in names:
            calls.setdefault(_owner(node), []).append(node)
    return calls


def _owner(node: Node) -> str:
    """The module that made a call, by its path in the network."""
    path, _ = list(node.meta["nn_module_stack"].values())[-1]
    return path


def _agreed(values: Iterable[Item | None]) -> Item | None:
    first, *others = values
    return first if all(each == first for each in others) else None


def _check_folded(component: str, name: str, nodes: Iterable[Node]) -> None:
    for node in nodes:
        *_, last = _way_out(node)
        if "batch_norm" in str(last.target):
            raise ConfigError(f"{component}: a batch norm follows {name}; fuse the network, then quantise it")


def _way_out(node: Node) -> Iterator[Node]:
    """A call, then each node that alone reads the one before, to the first that does more than move values."""
    yield node
    while len(node.users) == 1:
        (node,) = node.users
        yield node
        if node.target not in MOVES:
            return


def _bounds(node: Node) -> Range | None:
    *_, last = _way_out(node)
    return _clamp(last)


def _clamp(node: Node) -> Range | None:
    """The bounds of a clamp to numbers; None of anything else."""
    if node.target is aten.relu.default:
        return RELU
    if node.target is aten.relu6.default:
        return (0.0, 6.0)
    if node.target not in (aten.clamp.default, aten.hardtanh.default):
        return None
    usual = (-1.0, 1.0) if node.target is aten.hardtanh.default else (None, None)
    low, high = cast(tuple[Any, Any], (*node.args[1:], *usual[len(node.args) - 1 :]))
    return (-math.inf if low is None else float(low), math.inf if high is None else float(high))


def _origin(node: Node) -> tuple[Node, set[Range]]:
    """Where a call's input comes from, through moves and clamps, and the bounds of those clamps."""
    clamps = set()
    node = cast(Node, node.args[0])
    while (bounds := _clamp(node)) or node.target in MOVES:
        if bounds:
            clamps.add(bounds)
        node = cast(Node, node.args[0])
    return node, clamps


def _source(node: Node, plans: Mapping[str, LayerPlan]) -> str | None:
    """The layer on whose grid the input is. A ReLU stays on any grid; another clamp only if it was fused before."""
    origin, clamps = _origin(node)
    name = _owner(origin) if origin.target in CALLS else ""
    return name if name in plans and clamps <= {RELU, plans[name].bounds} else None


def _input_range(node: Node, specs: Iterable[TensorSpec]) -> Range | None:
    origin, clamps = _origin(node)
    return None if clamps else _stated({spec.name: spec for spec in specs}.get(origin.name))


def _output_range(node: Node, specs: tuple[TensorSpec, ...]) -> Range | None:
    *way, last = _way_out(node)
    if _clamp(last):  # go on behind it
        *more, last = _way_out(last)
        way += more
    if last.op != "output":
        return None
    results = cast(tuple[Node, ...], last.args[0])
    return _stated(specs[results.index(way[-1])])


def _stated(spec: TensorSpec | None) -> Range | None:
    return None if spec is None or spec.low is None or spec.high is None else (spec.low, spec.high)
