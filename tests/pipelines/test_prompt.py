"""What a prompt may be."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobigen.errors import InputError
from mobigen.pipelines.prompt import LONGEST_PROMPT, check_prompt


@pytest.mark.parametrize(
    ("given_", "tidy"),
    [
        ("a red apple", "a red apple"),
        ("  a\tred\n apple ", "a red apple"),
        ("a café with 3 tables & a dog!", "a café with 3 tables & a dog!"),
        ("cafe\u0301", "caf\u00e9"),
        ("“a fox” — don’t panic…", "“a fox” — don’t panic…"),
        ("a\u00a0fox", "a fox"),
        ("x" * LONGEST_PROMPT, "x" * LONGEST_PROMPT),
    ],
)
def test_ordinary_text_is_tidied(given_, tidy):
    assert check_prompt(given_) == tidy


@pytest.mark.parametrize(
    ("prompt", "complaint"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ("x" * (LONGEST_PROMPT + 1), "301 characters"),
        ("x" * 10_000, "10000 characters"),
        ("123 !?", "no letters"),
        ("\U0001f98a", "Latin letters"),
        ("a fox \U0001f98a", "Latin letters"),
        ("a \u2764\ufe0f", "Latin letters"),
        ("\u043b\u0438\u0441\u0430", "Latin letters"),
        ("\u72d0\u72f8", "Latin letters"),
        ("\u0627\u0644\u062b\u0639\u0644\u0628", "Latin letters"),
        ("a fox\x00", "Latin letters"),
        ("a \x1b[31mred\x1b[0m fox", "Latin letters"),
        ("a f\udcffox", "Latin letters"),
        ("a \u200bfox", "Latin letters"),
        (None, "string is expected"),
        (7, "string is expected"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_printable_line(prompt, complaint):
    with pytest.raises(InputError, match=complaint) as caught:
        check_prompt(prompt)
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()


def test_the_demo_prompts_are_ordinary_text():
    lines = (Path(__file__).parents[2] / "examples" / "prompts.txt").read_text().splitlines()
    prompts = [line for line in lines if not line.startswith("#")]
    assert len(prompts) >= 8
    assert [check_prompt(each) for each in prompts] == prompts


@given(st.text())
def test_no_text_breaks_the_check(text):
    with suppress(InputError):
        tidy = check_prompt(text)
        assert check_prompt(tidy) == tidy
