"""README, CONTRIBUTING and the model cards: what they tell a reader to type exists, and what they point at is there."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mobigen.cli import cli
from mobigen.cli.group import Group
from mobigen.metadata import Credit
from mobigen.registry import MODELS

ROOT = Path(__file__).parent.parent
CARDS = sorted((ROOT / "weights").glob("*/README.md"))
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md", *CARDS]
SHIPPED = (ROOT / "export" / "sticker").is_dir()


def place(file):
    return file.relative_to(ROOT).as_posix()


def code(text):
    """The lines of fenced blocks, and the spans of code between them."""
    for index, part in enumerate(re.split(r"^```.*$", text, flags=re.MULTILINE)):
        yield from part.splitlines() if index % 2 else (span for span in re.findall(r"`([^`\n]+)`", part))


def command_lines(file, program):
    """What follows the program's name, as words; an ellipsis is not one."""
    for line in code(file.read_text(encoding="utf-8")):
        if re.search(rf"(^|[ /]){program} ", line):
            words = [word for word in shlex.split(line.partition("#")[0]) if word != "..."]
            yield words[[Path(word).name for word in words].index(program) + 1 :]


LINES = [(place(file), words) for file in DOCUMENTS for words in command_lines(file, "mobigen")]


def test_there_is_something_to_check():
    assert len(CARDS) == len(MODELS)
    assert {"image", "info", "data", "train", "distill", "evaluate", "export"} <= {words[0] for _, words in LINES}


@pytest.mark.parametrize(("file", "words"), LINES, ids=lambda value: value if isinstance(value, str) else None)
def test_a_command_exists_with_its_options(file, words):
    group, rest = cli, list(words)
    while isinstance(group, Group):
        assert rest, f"{file}: {words}"
        assert rest[0] in group.commands, f"{file}: {words}"
        group = group.commands[rest.pop(0)]
    options = {name for parameter in group.params for name in parameter.opts} | {"--help"}
    assert {word for word in rest if word.startswith("-")} <= options, f"{file}: {words}"
    if "--out" in rest or "-o" in rest:  # told in full, so it must parse in full
        group.make_context(group.name, rest)


def test_recipes_are_called_by_their_names():
    recipes = pytest.importorskip("mobigen.recipes").RECIPES
    named = {words[1] for _, words in LINES if words[0] in ("train", "distill") and words[1:] and words[1].islower()}
    assert named
    assert {name for name in named if not name.startswith("-")} <= set(recipes)
    distilled = {words[1] for _, words in LINES if words[0] == "distill" and words[1:]}
    assert all(recipes[name].distils for name in distilled)


@pytest.mark.parametrize("file", DOCUMENTS, ids=place)
def test_targets_of_make_exist(file):
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert {words[0] for words in command_lines(file, "make")} <= set(targets)


@pytest.mark.parametrize("file", DOCUMENTS, ids=place)
def test_links_lead_somewhere(file):
    for link in re.findall(r"\]\(([^)#]+)\)", file.read_text(encoding="utf-8")):
        if link.endswith(".png") and not SHIPPED:
            continue  # drawn by the model
        assert (file.parent / link).exists(), link


@pytest.mark.skipif(not SHIPPED, reason="the bundle has not been exported")
def test_the_readmes_python_runs():
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), flags=re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        result = subprocess.run([sys.executable, "-c", block], cwd=ROOT, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr


@pytest.mark.skipif(not SHIPPED, reason="the bundle has not been exported")
@pytest.mark.parametrize("file", DOCUMENTS, ids=place)
def test_nothing_is_left_to_fill_in(file):
    assert "TODO" not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("card", CARDS, ids=place)
def test_a_card_has_its_head(card):
    head = card.read_text(encoding="utf-8").split("---\n")[1]
    for key in ("license", "library_name", "pipeline_tag", "tags", "datasets"):
        assert re.search(rf"^{key}:", head, flags=re.MULTILINE)
    assert f"pipeline_tag: {MODELS[card.parent.name].task}" in head


@pytest.mark.parametrize("card", CARDS, ids=place)
def test_credits_are_what_a_bundle_takes_over(card):
    values = json.loads((card.parent / "credits.json").read_text(encoding="utf-8"))
    assert isinstance(values["licence"], str)
    credits = [Credit(**each) for each in values["credits"]]
    assert credits
    assert all(credit.name and credit.licence and credit.note for credit in credits)
