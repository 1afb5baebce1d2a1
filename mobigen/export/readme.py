"""The README's table of agreement, made from the report.json of every bundle.

python -m mobigen.export.readme README.md export
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mobigen.errors import ExportError

__all__ = ["parity_table", "update_readme"]

BEGIN, END = "<!-- parity: written by `make export` -->", "<!-- end of parity -->"
HEAD = ("model", "runtime", "what is compared", "precision", "MB", "agreement, dB")


def parity_table(reports: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: for every runtime of every model its components, the state after each step, and the result."""
    rows = [HEAD, ("---",) * len(HEAD)]
    for report in reports:
        for runtime, backend in report["backends"].items():
            rows += [(f"`{report['model']}`", runtime, *cells) for cells in _rows(backend)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _rows(backend: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for graph in backend["graphs"]:
        worst = min(graph["parity_db"].values())
        yield graph["component"], graph["precision"], f"{graph['bytes'] / 1e6:.1f}", f"{worst:.1f}"
    if backend["steps_db"]:
        steps = ", ".join(f"{value:.1f}" for value in backend["steps_db"])
        yield f"after each of {len(backend['steps_db'])} steps", "", "", steps
    if backend["results_db"]:
        yield "the result", "", f"{backend['bytes'] / 1e6:.1f}", f"{min(backend['results_db']):.1f}"


def update_readme(readme: Path, exports: Path) -> None:
    """Put the table of all bundles below `exports` between the README's two marks. Raises ExportError without them."""
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(exports.glob("*/report.json"))]
    text = readme.read_text(encoding="utf-8")
    if not (BEGIN in text and END in text):
        raise ExportError(f"{readme} has no place for the table; put {BEGIN} and {END} around it")
    table = f"{BEGIN}\n\n{parity_table(reports)}\n\n{END}"
    partial = readme.with_suffix(".partial")
    partial.write_text(re.sub(f"{BEGIN}.*?{END}", lambda _: table, text, flags=re.DOTALL), encoding="utf-8")
    partial.replace(readme)


if __name__ == "__main__":
    update_readme(Path(sys.argv[1]), Path(sys.argv[2]))
