"""topics.yaml for people: two Markdown tables, for ARCHITECTURE.md and for `clearinghub topics --markdown`."""

from __future__ import annotations

from clearinghub.kafka.topology.declared import DAY_MS, HOUR_MS, Topic, Topology

HEADINGS = ("Topic", "Key", "Partitions", "Group", "Kept", "Clock", "From", "To", "Carries", "Schema")
TABLE_HEADINGS = ("Table", "Key", "Group", "Holds")
MINUTE_MS = 60_000


def markdown(topology: Topology) -> str:
    """Return the topics and the tables as two Markdown tables, in the order of topics.yaml."""
    topics = _table(HEADINGS, [_topic_cells(topic) for topic in topology.topics.values()])
    tables = _table(
        TABLE_HEADINGS,
        [(f"`{table.name}`", table.key, table.group, table.holds) for table in topology.tables.values()],
    )
    return f"{topics}\n{tables}" if topology.tables else topics


def _topic_cells(topic: Topic) -> tuple[str, ...]:
    return (
        f"`{topic.name}`",
        topic.key,
        "N" if topic.partitions is None else str(topic.partitions),
        topic.group or "",
        "latest of each key" if topic.retention_ms is None else shown_duration(topic.retention_ms),
        "broker" if topic.timestamp == "append" else "writer",
        ", ".join(topic.writers),
        ", ".join(topic.readers),
        topic.carries,
        topic.schema,
    )


def shown_duration(duration_ms: int) -> str:
    """Return a duration in the largest unit in which it is a whole number, e.g. `7 d`."""
    for unit_ms, unit in ((DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "min")):
        if duration_ms % unit_ms == 0:
            return f"{duration_ms // unit_ms} {unit}"
    return f"{duration_ms} ms"


def _table(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [headings, ("---",) * len(headings), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines)
