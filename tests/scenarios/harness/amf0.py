"""AMF0, as much of it as RTMP commands and onMetaData use."""

import struct


def encode(*values: object) -> bytes:
    """The values one after another. A dict is an object, `None` is null."""
    return b"".join(_encode(value) for value in values)


def _name(text: str) -> bytes:
    raw = text.encode()
    return struct.pack(">H", len(raw)) + raw


def _encode(value: object) -> bytes:
    if value is None:
        return b"\x05"
    if isinstance(value, bool):
        return b"\x01" + bytes([value])
    if isinstance(value, (int, float)):
        return b"\x00" + struct.pack(">d", value)
    if isinstance(value, str):
        return b"\x02" + _name(value)
    if isinstance(value, dict):
        return b"\x03" + b"".join(_name(k) + _encode(v) for k, v in value.items()) + b"\x00\x00\x09"
    raise TypeError(type(value))


def decode(data: bytes) -> list:
    """Every value of one message body."""
    values, at = [], 0
    while at < len(data):
        value, at = _decode(data, at)
        values.append(value)
    return values


def _text(data: bytes, at: int) -> tuple[str, int]:
    size = struct.unpack_from(">H", data, at)[0]
    return data[at + 2 : at + 2 + size].decode("utf-8", "replace"), at + 2 + size


def _pairs(data: bytes, at: int) -> tuple[dict, int]:
    found = {}
    while data[at : at + 3] != b"\x00\x00\x09":
        key, at = _text(data, at)
        found[key], at = _decode(data, at)
    return found, at + 3


def _decode(data: bytes, at: int) -> tuple[object, int]:
    kind, at = data[at], at + 1
    if kind == 0:
        return struct.unpack_from(">d", data, at)[0], at + 8
    if kind == 1:
        return bool(data[at]), at + 1
    if kind == 2:
        return _text(data, at)
    if kind == 3:
        return _pairs(data, at)
    if kind in (5, 6):
        return None, at
    if kind == 8:
        return _pairs(data, at + 4)
    if kind == 10:
        count = struct.unpack_from(">I", data, at)[0]
        values, at = [], at + 4
        for _ in range(count):
            value, at = _decode(data, at)
            values.append(value)
        return values, at
    raise ValueError(f"AMF0 marker {kind}")
