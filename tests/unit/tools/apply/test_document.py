"""Reading a YAML file: its values, their lines, and files that cannot be used."""

from __future__ import annotations

from decimal import Decimal

import pytest

from clearinghub.yaml_file import Fault, UnreadableError, read_document


def test_values_are_as_written() -> None:
    read = read_document("a: 10000.10\nb: 7\nc: yes\nd:\ne: 2026-01-01\nf: 1_000\non: '5'\ng: [1, x]\n")

    assert {
        "a": Decimal("10000.10"),
        "b": Decimal(7),
        "c": True,
        "d": None,
        "e": "2026-01-01",
        "f": "1_000",
        "on": "5",
        "g": [Decimal(1), "x"],
    } == read.content


def test_rarer_types_are_text() -> None:
    read = read_document("a: y\nb: 0x10\nc: .inf\nd: !mine 5\ne: !!binary aGk=\nf: |\n  x\ng: !!omap {x: 1}\n")

    assert {
        "a": "y",
        "b": "0x10",
        "c": ".inf",
        "d": "5",
        "e": "aGk=",
        "f": "x\n",
        "g": {"x": Decimal(1)},
    } == read.content


def test_every_value_knows_its_line() -> None:
    read = read_document("a:\n  b:\n    - x\n    - y\n")

    assert [1, 2, 4] == [read.line_of(path) for path in (("a",), ("a", "b"), ("a", "b", 1))]
    assert 2 == read.line_of(("a", "b", "missing", "below"))
    assert 1 == read.line_of(("elsewhere",))


def test_written_values_win_over_merged_ones() -> None:
    read = read_document("base: &base {x: 1, y: 2}\nmade: {<<: *base, y: 3}\n")

    assert {"x": Decimal(1), "y": Decimal(3)} == read.content["made"]
    assert () == read.faults


def test_a_key_that_is_there_twice_is_a_fault() -> None:
    read = read_document("a:\n  x: 1\n  y: 2\n  x: 3\n")

    assert (Fault(("a", "x"), "stands twice, first in line 2"),) == read.faults


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("", None, "empty"),
        ("a: [1\nb: 2\n", 2, "expected ',' or ']'"),
        ("a: 1\n---\nb: 2\n", 2, "but found another document"),
        ("? [a, b]\n: 1\n", 1, "a key must be a word"),
        ("a: &a\n  b: *a\n", 1, "an alias leads back to itself"),
        ("a: \x00\n", None, "special characters are not allowed"),
        ("a: {<<: 5}\n", 1, "<< takes a mapping"),
        ("a: *nowhere\n", 1, "undefined alias"),
        ("[" * 5_000, None, "nested too deeply"),
        ("a: " + "{b: " * 30 + "1" + "}" * 30, 1, "too large"),
    ],
)
def test_files_that_cannot_be_used(text: str, line: int | None, sentence: str) -> None:
    with pytest.raises(UnreadableError, match=r".") as refused:
        read_document(text)

    assert sentence in str(refused.value)
    assert line == refused.value.line


def test_aliases_cannot_make_it_huge() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]

    with pytest.raises(UnreadableError, match="too large"):
        read_document("\n".join(lines))
