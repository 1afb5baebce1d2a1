"""Every precision of a network on LiteRT, as candidates for tuning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from mobigen.export.byte_edges import ByteEdges, byte_signature
from mobigen.export.litert import convert
from mobigen.export.parity import floor_of
from mobigen.export.quantize import BYTES_AT_EDGES, PRECISIONS, Arrays, quantize
from mobigen.export.tune import Candidate
from mobigen.models.network import Network
from mobigen.models.ranges import LearnedLayer
from mobigen.runtime import Component
from mobigen.runtime.litert import LiteRTComponent
from mobigen.signature import Signature

__all__ = ["litert_candidates"]


def litert_candidates(
    network: Network,
    calibration: Sequence[Arrays],
    learned: Sequence[LearnedLayer] = (),
    precisions: Sequence[str] = tuple(PRECISIONS),
    threads: int | None = None,
) -> list[Candidate]:
    """The candidates, float32 first.

    Args:
        network: in evaluation mode.
        calibration: real inputs by name, other than those that the candidates are judged on.
        learned: layers with the ranges of quantisation-aware training.
        precisions: names of PRECISIONS; float32 is added, since the others are made from it.
        threads: of LiteRT.
    """
    signature = network.signature()

    def write(precision: str, path: Path) -> None:
        wide = path.with_name("float32.tflite")
        if not wide.exists():
            convert(network, wide)
        if precision != "float32":
            quantize(wide, path, precision, calibration, signature, learned)

    return [
        Candidate(each, floor_of(each), partial(write, each), _opener(each, signature, threads))
        for each in dict.fromkeys(("float32", *precisions))
    ]


def _opener(precision: str, signature: Signature, threads: int | None) -> Callable[[Path], Component]:
    if precision == BYTES_AT_EDGES:
        return lambda path: ByteEdges(LiteRTComponent(path, byte_signature(signature), threads), signature)
    return lambda path: LiteRTComponent(path, signature, threads)
