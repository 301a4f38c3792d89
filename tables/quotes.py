"""Table `quotes`: resource and id -> StoredQuote, on the id's partition, with `quotes=stored`; found also by expiry."""

from __future__ import annotations

from clearinghub.domain.quotes.agreement import Action
from clearinghub.domain.quotes.stored_quote import StoredAnswer, StoredQuote
from clearinghub.engine.record import TableSpec
from clearinghub.messages import VERSION, decode_fields, encode

EXPIRES = b"expires:"


def quote_key(resource: str, quote_id: str) -> str:
    """The key of a quote or bulk quote: the same id may stand for one of each."""
    return f"{resource}/{quote_id}"


def expires_at(time_ms: int) -> bytes:
    """The place of a time in the order of expiry."""
    return EXPIRES + b"%015d" % time_ms


def encode_quote(row: StoredQuote) -> bytes:
    """The row's bytes: a line of JSON, then the answer's body as it came."""
    line = {
        "v": VERSION,
        "resource": row.resource,
        "id": row.quote_id,
        "payer": row.payer,
        "payee": row.payee,
        "hash": row.request_hash,
        "until_ms": row.asked_until_ms,
    }
    if row.answer is None:
        return encode(line)
    answer = row.answer
    line["answer"] = {
        "action": answer.action.value,
        "hash": answer.hash,
        "until_ms": answer.until_ms,
        "headers": answer.headers,
    }
    return encode(line, answer.body)


def decode_quote(data: bytes) -> StoredQuote:
    """The quote in a row's bytes. Raises MalformedMessageError for a shape of another version."""
    line, body = decode_fields(data)
    answer = line.get("answer")
    return StoredQuote(
        line["resource"],
        line["id"],
        line["payer"],
        line["payee"],
        line["hash"],
        line["until_ms"],
        None
        if answer is None
        else StoredAnswer(Action(answer["action"]), answer["hash"], answer["until_ms"], answer["headers"], body),
    )


def entries(key: str, row: StoredQuote) -> tuple[tuple[bytes, bool], ...]:
    """A quote stands in the order of its expiry: the request's, then the answer's."""
    asked = expires_at(row.asked_until_ms) + key.encode()
    if row.answer is None:
        return ((asked, True),)
    answered = expires_at(row.answer.until_ms) + key.encode()
    return ((asked, asked == answered), (answered, True))


QUOTES: TableSpec[StoredQuote] = TableSpec("quotes", encode_quote, decode_quote, entries)
