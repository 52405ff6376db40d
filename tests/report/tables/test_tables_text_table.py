"""Tables as text: in columns, without markup, whatever the cells hold."""

import pytest

from superionic.report.tables.text_table import text_table


def test_numbers_end_below_each_other():
    text = text_table([("id", False), ("eV", True)], [("mp-1", "0.5"), ("日本", "10.25")])
    assert text.splitlines() == ["id       eV", "mp-1    0.5", "日本  10.25"]


@pytest.mark.parametrize("terminal", ["", "1"])
def test_cells_are_neither_markup_nor_commands(terminal, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", terminal)
    rows = [("[red]a", "1"), ("\x1b[31mb\u202e", "2"), ("two\nlines\ttab", "3")]
    text = text_table([("[b]id", False), ("n", True)], rows)
    assert [" ".join(line.split()) for line in text.splitlines()] == [
        "[b]id n",
        "[red]a 1",
        r"\x1b[31mb\u202e 2",
        r"two\nlines\ttab 3",
    ]
