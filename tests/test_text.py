"""Text from data reaches neither a terminal as commands nor a spreadsheet as formulas."""

import csv
import io
import logging
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from superionic.text import PrintableFormatter, csv_cell, csv_text, printable

OBEYED = ("\x1b[2J", "\x9b2J", "\r", "\x07", "\u202e", "\u2066", "\u200f", "\u2028", "\ud800", "\0")


@pytest.mark.parametrize("text", OBEYED)
def test_what_a_terminal_obeys_is_written_as_an_escape(text):
    shown = printable(f"a{text}b")
    assert shown.isprintable()
    assert shown.startswith("a\\")
    assert shown.endswith("b")


@given(st.text(st.characters(), max_size=40))
def test_only_line_breaks_are_left(text):
    shown = printable(text)
    assert {unicodedata.category(one)[0] for one in shown if one != "\n"}.isdisjoint("C")
    assert "\\" in shown or shown == text
    assert printable(shown) == shown
    shown.encode()


def test_what_can_be_shown_stays():
    for text in ("", "LiCl", "Ξ 3·10⁻⁵ S/cm", "Li₇La₃Zr₂O₁₂", "two\nlines", "日本", "back\\slash"):
        assert printable(text) == text


@given(st.text(max_size=20))
@example("'\ud7fc")  # an apostrophe of its own, before what is not printed as it is
def test_no_text_is_a_formula_of_a_spreadsheet(text):
    cell = csv_cell(text)
    assert not cell.lstrip().startswith(("=", "+", "-", "@"))
    assert cell.isprintable()
    shown = printable(text, keep="")
    assert cell in (shown, f"'{shown}")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@A1", " =1", "\t=1", "\n=1", "\r@A1"])
def test_formulas_are_text(text):
    (read,) = csv.DictReader(io.StringIO(csv_text(["a"], [{"a": text}])))
    assert read["a"].startswith(("'", "\\"))


def test_numbers_and_lists_are_written_plainly():
    text = csv_text(["n", "none", "list"], [{"n": -3.5, "none": None, "list": ["a", 1]}])
    assert text == "n,none,list\n-3.5,,a;1\n"


def test_log_lines_are_printable():
    record = logging.makeLogRecord({"msg": "Material %s", "args": ("\x1b[31mred",)})
    assert PrintableFormatter("%(message)s").format(record) == "Material \\x1b[31mred"
