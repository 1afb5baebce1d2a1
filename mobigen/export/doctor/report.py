"""What the doctor found: plain records, which go to JSON as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["SCHEMA_VERSION", "ComponentReport", "Finding", "Measures", "Report", "Tensor", "Verdict"]

SCHEMA_VERSION = 1  # of the JSON


@dataclass(frozen=True)
class Tensor:
    """A tensor at a place of the network."""

    op: str  # that writes it, or "input"
    place: str
    shape: tuple[int, ...]  # -1 is a size known only when the graph runs
    dtype: str
    bytes: int  # in float32


@dataclass(frozen=True)
class Measures:
    """The size of a component, in numbers.

    Attributes:
        ops: name -> count, the most frequent first.
        weights: numbers that come with the graph; what of the network it does not read is not counted.
        weight_bytes: precision -> bytes of the weights, without the scales of the small precisions.
        macs: multiply-accumulates of one run.
        highest_rank: of any tensor.
        largest: the largest tensors, the largest first.
        peak_bytes: "float32" or "float16" -> the largest sum of activations alive at once; "neural-engine" is
            float16 with rows padded to 64 bytes.
        peak_op, peak_place: what runs at that moment, in float32; "input" before anything has.
        padding: how many times larger all activations become when their rows are padded.
        largest_magnitude: on the example inputs; None if a number is not finite.
    """

    ops: Mapping[str, int]
    weights: int
    weight_bytes: Mapping[str, int]
    macs: int
    highest_rank: int
    largest: tuple[Tensor, ...]
    peak_bytes: Mapping[str, int]
    peak_op: str
    peak_place: str
    padding: float
    largest_magnitude: float | None


@dataclass(frozen=True)
class Finding:
    """A rule that a component breaks.

    Attributes:
        rule, effect, targets, why, change: of the rule.
        ops: name -> how many of these operations break it.
        places: modules, the most frequent first; an asterisk stands for any number, "forward" is the network's own.
        shape: of the largest tensor that is written there.
    """

    rule: str
    effect: str
    targets: tuple[str, ...]
    ops: Mapping[str, int]
    places: tuple[str, ...]
    shape: tuple[int, ...] | None
    why: str
    change: str


@dataclass(frozen=True)
class Verdict:
    """What is ruled out of one accelerator; never that the rest runs there.

    Attributes:
        convertible: False if the component as a whole cannot be converted for it.
        ruled_out: how many operations run elsewhere; on a CPU, off its fast path.
        handed_over: how many tensors go from one side to the other, in each run.
        handed_over_bytes: their size in float32.
    """

    convertible: bool
    ruled_out: int
    handed_over: int
    handed_over_bytes: int


@dataclass(frozen=True)
class ComponentReport:
    """One component; `measures` is None if it cannot be traced at all."""

    component: str
    inputs: Mapping[str, str]  # name -> type and shape
    outputs: Mapping[str, str]
    measures: Measures | None
    verdicts: Mapping[str, Verdict]  # by target
    findings: tuple[Finding, ...]  # the worst first


@dataclass(frozen=True)
class Report:
    """All components of a model."""

    schema_version: int
    model: str
    components: tuple[ComponentReport, ...]
