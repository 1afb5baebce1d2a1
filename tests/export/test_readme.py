"""The table of agreement says what the reports say, and the README's is up to date."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from mobigen.errors import ExportError
from mobigen.export.readme import BEGIN, END, parity_table, update_readme

ROOT = Path(__file__).parents[2]
GRAPH = {"component": "decoder", "precision": "float16", "bytes": 1_260_000, "parity_db": {"a": 71.26, "b": 90.0}}
REPORT = {
    "model": "sticker",
    "backends": {"litert": {"bytes": 1_260_000, "graphs": [GRAPH], "steps_db": [61.0, 55.5], "results_db": [40.1, 38]}},
}


def test_a_table_has_components_steps_and_the_result():
    head, _, *rows = parity_table([REPORT]).splitlines()
    assert head == "| model | runtime | what is compared | precision | MB | agreement, dB |"
    assert rows == [
        "| `sticker` | litert | decoder | float16 | 1.3 | 71.3 |",
        "| `sticker` | litert | after each of 2 steps |  |  | 61.0, 55.5 |",
        "| `sticker` | litert | the result |  | 1.3 | 38.0 |",
    ]


def test_bare_networks_have_their_components_alone():
    bare = {"model": "mine", "backends": {"litert": {"bytes": 1, "graphs": [GRAPH], "steps_db": [], "results_db": []}}}
    assert len(parity_table([bare]).splitlines()) == 3


def test_the_table_takes_the_place_between_the_marks(tmp_path):
    readme = tmp_path / "README.md"
    (tmp_path / "export" / "sticker").mkdir(parents=True)
    (tmp_path / "export" / "sticker" / "report.json").write_text(json.dumps(REPORT))
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    update_readme(readme, tmp_path / "export")
    assert readme.read_text() == f"before\n{BEGIN}\n\n{parity_table([REPORT])}\n\n{END}\nafter\n"
    readme.write_text("no place")
    with pytest.raises(ExportError, match="has no place"):
        update_readme(readme, tmp_path / "export")
    assert readme.read_text() == "no place"


@pytest.mark.skipif(not (ROOT / "export").is_dir(), reason="no bundle has been exported")
def test_the_readme_is_up_to_date():
    reports = [json.loads(path.read_text()) for path in sorted((ROOT / "export").glob("*/report.json"))]
    assert reports
    assert parity_table(reports) in (ROOT / "README.md").read_text(encoding="utf-8")
