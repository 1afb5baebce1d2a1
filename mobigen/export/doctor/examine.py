"""The examination: a network is traced, its graph measured and held against the rules; nothing is converted."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from mobigen.errors import ExportError
from mobigen.export.doctor.cost import total_macs
from mobigen.export.doctor.graph import Graph, Op, Value, read_graph
from mobigen.export.doctor.magnitudes import measure_magnitudes
from mobigen.export.doctor.memory import find_peak, in_rows, padding
from mobigen.export.doctor.report import (
    SCHEMA_VERSION,
    ComponentReport,
    Finding,
    Measures,
    Report,
    Tensor,
    Verdict,
)
from mobigen.export.doctor.rules import RULES, TARGETS, Effect, Rule
from mobigen.export.program import capture
from mobigen.models.network import Network
from mobigen.signature import TensorSpec

__all__ = ["examine", "examine_network"]

BITS = {"float32": 32, "float16": 16, "int8": 8, "palette6": 6}  # of a weight
LARGEST = 3  # tensors that are named
ELSEWHERE = {Effect.RULED_OUT, Effect.FAST_PATH}
EFFECTS = {effect: order for order, effect in enumerate(Effect)}

Hits = Mapping[Rule, Sequence[Op]]  # broken rule -> the operations that break it


def examine(model: str, networks: Mapping[str, Network]) -> Report:
    """Examine the networks of a model, by component. Raises ConfigError if one names a tensor twice."""
    return Report(SCHEMA_VERSION, model, tuple(examine_network(network, name) for name, network in networks.items()))


def examine_network(network: Network, component: str | None = None) -> ComponentReport:
    """Examine one network, in evaluation mode and float32.

    A network that cannot be traced is a finding, not an error.

    Raises:
        ConfigError: its signature names a tensor twice.
    """
    signature = network.signature()
    graph, hits = _hold_against_rules(network)
    return ComponentReport(
        component=component or signature.component,
        inputs=_describe(signature.inputs),
        outputs=_describe(signature.outputs),
        measures=None if graph is None else _measure(graph),
        verdicts={target: _judge(target, hits, graph) for target in TARGETS},
        findings=tuple(_find(rule, ops) for rule, ops in sorted(hits.items(), key=_gravity)),
    )


def _hold_against_rules(network: Network) -> tuple[Graph | None, Hits]:
    """The graph, if there is one, and the rules that it breaks."""
    try:
        program = capture(network)
    except ExportError as error:
        return None, {_untraceable(error): ()}
    graph = read_graph(program, measure_magnitudes(program))
    return graph, {rule: broken for rule in RULES if (broken := tuple(filter(rule.breaks, graph.ops)))}


def _untraceable(error: ExportError) -> Rule:
    """The rule that a network breaks which torch.export cannot follow."""
    return Rule(
        "untraceable", Effect.CONVERSION, tuple(TARGETS), lambda op: True, str(error),
        "decide by shapes and settings rather than by values, and keep checks out of forward",
    )  # fmt: skip


def _describe(specs: Sequence[TensorSpec]) -> dict[str, str]:
    return {spec.name: f"{spec.dtype} {spec.shape}" for spec in specs}


# --- measures -----------------------------------------------------------------------------------------------


def _measure(graph: Graph) -> Measures:
    weights = sum(value.numel for value in graph.constants)
    peak = find_peak(graph, Value.bytes)
    return Measures(
        ops=dict(Counter(op.name for op in graph.ops).most_common()),
        weights=weights,
        weight_bytes={precision: math.ceil(weights * bits / 8) for precision, bits in BITS.items()},
        macs=total_macs(graph),
        highest_rank=max((len(value.shape) for op in graph.ops for value in op.values), default=0),
        largest=tuple(_largest_tensors(graph)),
        peak_bytes={
            "float32": peak.bytes,
            "float16": find_peak(graph, lambda value: value.bytes(2)).bytes,
            "neural-engine": find_peak(graph, in_rows).bytes,
        },
        peak_op=peak.op.name if peak.op else "input",
        peak_place=peak.op.place if peak.op else "",
        padding=round(padding(graph), 3),
        largest_magnitude=_largest_magnitude(graph),
    )


def _largest_tensors(graph: Graph) -> list[Tensor]:
    tensors = [Tensor("input", value.name, value.shape, value.dtype, value.bytes()) for value in graph.inputs]
    tensors += [
        Tensor(op.name, op.place, value.shape, value.dtype, value.bytes()) for op in graph.ops for value in op.outputs
    ]
    return sorted(tensors, key=lambda tensor: -tensor.bytes)[:LARGEST]


def _largest_magnitude(graph: Graph) -> float | None:
    seen = [value.largest for op in graph.ops for value in op.outputs if value.largest is not None]
    largest = max(seen, default=0.0)
    return largest if math.isfinite(largest) else None


# --- rules --------------------------------------------------------------------------------------------------


def _judge(target: str, hits: Hits, graph: Graph | None) -> Verdict:
    """What the broken rules take from one accelerator."""
    against = {rule: ops for rule, ops in hits.items() if target in rule.targets}
    convertible = not any(rule.effect is Effect.CONVERSION for rule in against)
    elsewhere = {op for rule, ops in against.items() if rule.effect in ELSEWHERE for op in ops}
    crossing = _crossing(graph, elsewhere) if graph else []
    return Verdict(convertible, len(elsewhere), len(crossing), sum(value.bytes() for value in crossing))


def _crossing(graph: Graph, elsewhere: set[Op]) -> list[Value]:
    """Tensors that an operation on one side reads and one on the other side has written."""
    pairs = ((value, maker, op) for op in graph.ops for value, maker in zip(op.inputs, op.makers, strict=True) if maker)
    return list(dict.fromkeys(value for value, maker, op in pairs if (maker in elsewhere) != (op in elsewhere)))


def _gravity(hit: tuple[Rule, Sequence[Op]]) -> tuple[int, int, int]:
    """What matters most comes first: the effect, then how many accelerators and operations it touches."""
    rule, ops = hit
    return EFFECTS[rule.effect], -len(rule.targets), -len(ops)


def _find(rule: Rule, ops: Sequence[Op]) -> Finding:
    written = [value.shape for op in ops for value in op.outputs]
    return Finding(
        rule=rule.key,
        effect=rule.effect.value,
        targets=rule.targets,
        ops=dict(Counter(op.name for op in ops).most_common()),
        places=tuple(_places(ops)),
        shape=max(written, key=lambda shape: math.prod(map(abs, shape)), default=None),
        why=rule.why,
        change=rule.change,
    )


def _places(ops: Iterable[Op]) -> list[str]:
    """The modules, where an asterisk stands for the numbers of a repeated one; the network itself is "forward"."""
    counts = Counter(re.sub(r"(?<![^.])\d+(?![^.])", "*", op.place) or "forward" for op in ops)
    return [place for place, _ in counts.most_common()]
