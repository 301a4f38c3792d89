"""A sample of any struct: each field has a value that follows from its type alone, so two runs make the same bytes."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import inspect as types

TEXT: Final = "text"
NUMBER: Final = 7
RAW: Final = msgspec.Raw(b'{"raw":[1,"2"]}')
_SIMPLE: Final[dict[type[types.Type], Any]] = {
    types.AnyType: {"any": [1, "2", None]},
    types.BoolType: True,
    types.BytesType: b"bytes",
    types.FloatType: 1.5,
    types.IntType: NUMBER,
    types.NoneType: None,
    types.RawType: RAW,
    types.StrType: TEXT,
}


def full(struct: type[Any]) -> Any:
    """Return a struct all of whose fields are set, but for the fields of a later release."""
    return _fill(struct, only_required=False)


def bare(struct: type[Any]) -> Any:
    """Return a struct of which only those fields are set that must be."""
    return _fill(struct, only_required=True)


def _fill(struct: type[Any], *, only_required: bool) -> Any:
    described = types.type_info(struct)
    assert isinstance(described, types.StructType)
    chosen = {
        field.name: _value(field.type)
        for field in described.fields
        if field.name not in ("later", "v") and (field.required or not only_required)
    }
    return struct(**chosen)


def _value(described: types.Type) -> Any:
    simple = _SIMPLE.get(type(described), msgspec.UNSET)
    if simple is not msgspec.UNSET:
        return simple
    match described:
        case types.EnumType():
            return next(iter(described.cls))
        case types.LiteralType():
            return described.values[0]
        case types.UnionType():
            return _value(next(one for one in described.types if not isinstance(one, types.NoneType)))
        case types.TupleType():
            return tuple(_value(one) for one in described.item_types)
        case types.SetType() | types.FrozenSetType():
            return frozenset((_value(described.item_type),))
        case types.DictType():
            return {_value(described.key_type): _value(described.value_type)}
        case types.StructType():
            return full(described.cls)
        case types.CustomType() if described.cls is object:
            return {"any": [1, "2", None]}
        case types.VarTupleType() | types.ListType():
            return (_value(described.item_type),) * 2
        case types.NamedTupleType() | types.DataclassType():
            return described.cls(**{field.name: _value(field.type) for field in described.fields})
    raise AssertionError(f"no sample of {described}")


def named(value: Any) -> Any:
    """Return a value as JSON types in which structs are objects by the names of their fields, however they are stored.

    Fields of a later release are left out: this release has no names for them.
    """
    match value:
        case msgspec.Struct():
            names = value.__struct_fields__
            return {name: named(getattr(value, name)) for name in names if name != "later"}
        case msgspec.Raw():
            return bytes(value).decode()
        case msgspec.UnsetType():
            return None
        case dict():
            return {str(key): named(one) for key, one in value.items()}
        case tuple() if hasattr(value, "_fields"):
            return {name: named(getattr(value, name)) for name in value._fields}
        case set() | frozenset():
            return sorted(named(one) for one in value)
        case tuple() | list():
            return [named(one) for one in value]
    return msgspec.to_builtins(value)


def differences(expected: Any, found: Any, place: str = "") -> list[str]:
    """Return where `found` lacks or changes something of `expected`; it may have more fields."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return [
            one
            for key, value in expected.items()
            for one in (
                differences(value, found[key], f"{place}.{key}") if key in found else [f"{place}.{key} is gone"]
            )
        ]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found, strict=True))
        return [one for number, (a, b) in pairs for one in differences(a, b, f"{place}[{number}]")]
    return [] if expected == found else [f"{place} is {found!r}, was {expected!r}"]


def enumerations(structs: list[type[Any]]) -> dict[str, list[Any]]:
    """Return the values of every enumeration in the fields of structs, at any depth, by the enumeration's name."""
    found: dict[str, list[Any]] = {}
    seen: set[type[Any]] = set()
    waiting = [(types.type_info(struct), struct.__name__) for struct in structs]
    while waiting:
        described, place = waiting.pop()
        if isinstance(described, types.EnumType):
            found[described.cls.__name__] = [one.value for one in described.cls]
        elif isinstance(described, types.LiteralType):
            found[place] = sorted(described.values)
        elif isinstance(described, types.StructType | types.NamedTupleType | types.DataclassType):
            if described.cls not in seen:
                seen.add(described.cls)
                waiting += [(field.type, f"{described.cls.__name__}.{field.name}") for field in described.fields]
        else:
            waiting += [(part, place) for part in _parts_of(described)]
    return dict(sorted(found.items()))


def _parts_of(described: types.Type) -> tuple[types.Type, ...]:
    match described:
        case types.UnionType():
            return described.types
        case types.TupleType():
            return described.item_types
        case types.DictType():
            return (described.key_type, described.value_type)
        case types.VarTupleType() | types.ListType() | types.SetType() | types.FrozenSetType():
            return (described.item_type,)
    return ()
