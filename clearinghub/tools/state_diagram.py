"""Draw the transfer's states from the transition table: `python -m clearinghub.tools.state_diagram docs`.

`make docs` runs it. It writes `transfer-states.md` and `transfer-states.svg`; a test compares both with the table.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final, TypeAlias

from clearinghub.domain.transfers.transfer import TRANSITIONS, State

PAGE: Final = "transfer-states.md"
PICTURE: Final = "transfer-states.svg"

Node: TypeAlias = str  # a state's label, or a name for the bend of an edge that passes a column
_COLOURS: Final[Mapping[str, str]] = {
    "RECEIVED": "#eceff1",
    "RESERVED": "#bbdefb",
    "COMMITTED": "#c8e6c9",
    "ABORTED": "#ffcdd2",
}
_BOX_WIDTH: Final = 170
_BOX_HEIGHT: Final = 36
_COLUMN_WIDTH: Final = 300
_ROW_HEIGHT: Final = 66
_MARGIN: Final = 40
_ARROW: Final = (
    '<marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path d="M0 0L8 4L0 8z"/></marker>'
)
_PASSES: Final = 8  # enough for the order of the rows to settle


@dataclass(frozen=True, slots=True)
class Edge:
    """One step of the table; `nodes` are its states and the bends in the columns between them."""

    label: str
    nodes: tuple[Node, ...]


def page() -> str:
    """Return the page: the picture, and the table as text."""
    rows = [f"| {state.value} | {state.enumeration} | {_steps(state)} |" for state in State]
    return "\n".join(
        (
            "# Transfer states",
            "",
            "Rendered by `make docs` from the transition table in `clearinghub/domain/transfers/transfer.py`. A step",
            "that the table does not have is a bug and raises. A DFSP sees the enumeration, never the internal state",
            "(protocol 3.9). States with a thick border are final.",
            "",
            f"![States and steps of a transfer]({PICTURE})",
            "",
            "| State | Enumeration | Steps |",
            "| --- | --- | --- |",
            *rows,
            "",
        )
    )


def picture() -> str:
    """Return the diagram as SVG, one column for each distance from a first state."""
    columns, edges = _layout()
    places = _places(columns)
    height = max(len(column) for column in columns) * _ROW_HEIGHT + 2 * _MARGIN
    width = (len(columns) - 1) * _COLUMN_WIDTH + _BOX_WIDTH + 2 * _MARGIN
    view = f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {view}>',
        f"<defs>{_ARROW}</defs>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *(_draw_edge(edge, places) for edge in edges),
        *(_draw_state(state, places) for state in State),
        "</svg>",
        "",
    ]
    return "\n".join(parts)


def _steps(state: State) -> str:
    steps = TRANSITIONS[state]
    if not steps:
        return "none"
    return ", ".join(f"{step.value} -> {following.value}" for step, following in steps.items())


def _layout() -> tuple[list[list[Node]], list[Edge]]:
    """The nodes of each column from top to bottom, and the edges through them."""
    depths = _depths()
    columns: list[list[Node]] = [[] for _ in range(max(depths.values()) + 1)]
    for state in State:
        columns[depths[state]].append(state.value)
    edges = []
    for state, steps in TRANSITIONS.items():
        for step, following in steps.items():
            bends = []
            for column in range(depths[state] + 1, depths[following]):
                bend = f"{state.value}-{step.value}-{column}"
                columns[column].append(bend)
                bends.append(bend)
            edges.append(Edge(step.value, (state.value, *bends, following.value)))
    _order(columns, edges)
    return columns, edges


def _depths() -> dict[State, int]:
    """The longest way to each state; the table has no circle, so it ends."""
    depths = dict.fromkeys(State, 0)
    for _ in State:
        for state, steps in TRANSITIONS.items():
            for following in steps.values():
                depths[following] = max(depths[following], depths[state] + 1)
    return depths


def _order(columns: Sequence[list[Node]], edges: Iterable[Edge]) -> None:
    """Order each column by the mean row of its neighbours, forwards and backwards, so that few edges cross."""
    pairs = [pair for edge in edges for pair in zip(edge.nodes, edge.nodes[1:], strict=False)]
    for number in range(_PASSES):
        forwards = number % 2 == 0
        for column in columns if forwards else reversed(columns):
            rows = {node: row for one in columns for row, node in enumerate(one)}
            neighbours = {
                node: [rows[start if forwards else end] for start, end in pairs if node == (end if forwards else start)]
                for node in column
            }
            column.sort(
                key=lambda node: sum(neighbours[node]) / len(neighbours[node]) if neighbours[node] else rows[node]
            )


def _places(columns: Sequence[Sequence[Node]]) -> dict[Node, tuple[int, int]]:
    """The left end and the middle of each node, in pixels."""
    highest = max(len(column) for column in columns)
    return {
        node: (
            _MARGIN + number * _COLUMN_WIDTH,
            _MARGIN + (highest - len(column)) * _ROW_HEIGHT // 2 + row * _ROW_HEIGHT + _ROW_HEIGHT // 2,
        )
        for number, column in enumerate(columns)
        for row, node in enumerate(column)
    }


def _draw_edge(edge: Edge, places: Mapping[Node, tuple[int, int]]) -> str:
    x, y = places[edge.nodes[0]]
    path = [f"M{x + _BOX_WIDTH} {y}"]
    labelled = ""
    at = (x + _BOX_WIDTH, y)
    for node in edge.nodes[1:]:
        left, middle = places[node]
        half = (left - at[0]) // 2
        path.append(f"C{at[0] + half} {at[1]} {left - half} {middle} {left} {middle}")
        if not labelled:
            labelled = (
                f'<text x="{left - half}" y="{(at[1] + middle) // 2 - 4}" text-anchor="middle" stroke="#ffffff" '
                f'stroke-width="4" paint-order="stroke">{escape(edge.label)}</text>'
            )
        path.append(f"L{left + _BOX_WIDTH} {middle}" if node != edge.nodes[-1] else "")
        at = (left + _BOX_WIDTH, middle)
    return f'<path d="{"".join(path)}" fill="none" stroke="#000000" marker-end="url(#arrow)"/>{labelled}'


def _draw_state(state: State, places: Mapping[Node, tuple[int, int]]) -> str:
    left, middle = places[state.value]
    border = 3 if state.is_final else 1
    return (
        f'<rect x="{left}" y="{middle - _BOX_HEIGHT // 2}" width="{_BOX_WIDTH}" height="{_BOX_HEIGHT}" rx="6" '
        f'fill="{_COLOURS[state.enumeration]}" stroke="#000000" stroke-width="{border}"/>'
        f'<text x="{left + _BOX_WIDTH // 2}" y="{middle + 4}" text-anchor="middle">{escape(state.value)}</text>'
    )


def main(arguments: Sequence[str]) -> int:
    """Write both files into the folder that is the only argument."""
    folder = Path(arguments[0])
    (folder / PAGE).write_text(page())
    (folder / PICTURE).write_text(picture())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
