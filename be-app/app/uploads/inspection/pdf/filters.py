"""Decoding of PDF streams that hold objects (ISO 32000-2, 7.4), with bounds."""

import base64
import zlib
from collections.abc import Callable, Sequence
from typing import Any

MOST_DECODED = 16_000_000
"""Bytes of one stream. Writers put some hundred objects into a stream: a few hundred kilobytes."""

_WHITE = b"\0\t\n\f\r "


class _BadStreamError(Exception):
    """The data isn't what its filter takes, or becomes too much."""


def decode(data: bytes, names: Sequence[Any], parameters: Sequence[Any]) -> bytes | None:
    """Return a stream's content; None if it can't be decoded with certainty."""
    names = [name for name in names if name != b"null"]
    parameters = [{} if of == b"null" else of for of in parameters]
    parameters += [{}] * (len(names) - len(parameters))
    try:
        for name, parameter in zip(names, parameters, strict=False):
            if not isinstance(name, bytes) or name not in _FILTERS or not isinstance(parameter, dict):
                return None
            data = _unpredict(_FILTERS[name](data, parameter), parameter)
    except (_BadStreamError, ValueError, zlib.error):
        return None
    return data if len(data) <= MOST_DECODED else None


def _number(parameter: dict[bytes, Any], key: bytes, otherwise: int) -> int:
    value = parameter.get(key, b"%d" % otherwise)
    if not isinstance(value, bytes) or not value.isdigit() or len(value) > 6:
        raise _BadStreamError
    return int(value)


def _flate(data: bytes, _: dict[bytes, Any]) -> bytes:
    inflating = zlib.decompressobj()
    content = inflating.decompress(data, MOST_DECODED + 1)
    if not inflating.eof:
        raise _BadStreamError
    return content


def _hexadecimal(data: bytes, _: dict[bytes, Any]) -> bytes:
    digits, _mark, _rest = data.partition(b">")
    digits = digits.translate(None, _WHITE)
    return bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode("ascii"))


def _base_85(data: bytes, _: dict[bytes, Any]) -> bytes:
    digits, _mark, _rest = data.partition(b"~>")
    return base64.a85decode(digits.strip(_WHITE).removeprefix(b"<~"), ignorechars=_WHITE)


def _run_length(data: bytes, _: dict[bytes, Any]) -> bytes:
    content, position = bytearray(), 0
    while position < len(data) and (length := data[position]) != 128:
        if length < 128:
            content += data[position + 1 : position + 2 + length]
            position += length + 2
        else:
            content += data[position + 1 : position + 2] * (257 - length)
            position += 2
        if len(content) > MOST_DECODED:
            raise _BadStreamError
    return bytes(content)


def _lzw(data: bytes, parameter: dict[bytes, Any]) -> bytes:
    early = _number(parameter, b"/EarlyChange", 1)
    basic = [bytes([value]) for value in range(256)] + [b"", b""]
    table, width, bits, held = list(basic), 9, 0, 0
    content, before = bytearray(), b""
    for byte in data:
        held, bits = (held << 8 | byte) & 0xFFFFFF, bits + 8
        if bits < width:
            continue
        bits -= width
        code = held >> bits & (1 << width) - 1
        if code == 257:
            return bytes(content)
        if code == 256:
            table, width, before = list(basic), 9, b""
            continue
        if code < len(table):
            entry = table[code]
        elif code == len(table) and before:
            entry = before + before[:1]
        else:
            raise _BadStreamError
        content += entry
        if before and len(table) < 4096:
            table.append(before + entry[:1])
        before = entry
        width = min(12, max(9, (len(table) + early).bit_length()))
        if len(content) > MOST_DECODED:
            raise _BadStreamError
    return bytes(content)


def _unpredict(data: bytes, parameter: dict[bytes, Any]) -> bytes:
    """Undo PNG's predictors (7.4.4.4)."""
    predictor = _number(parameter, b"/Predictor", 1)
    if predictor == 1:
        return data
    colours, depth = _number(parameter, b"/Colors", 1), _number(parameter, b"/BitsPerComponent", 8)
    if predictor < 10:
        raise _BadStreamError  # TIFF's is for images.
    row = (colours * depth * _number(parameter, b"/Columns", 1) + 7) // 8
    left = max(1, colours * depth // 8)
    if row < 1:
        raise _BadStreamError
    content, above = bytearray(), bytes(row)
    for start in range(0, len(data), row + 1):
        line = bytearray(data[start + 1 : start + 1 + row].ljust(row, b"\0"))
        _undo(data[start], line, above, left)
        content += line
        above = bytes(line)
    return bytes(content)


def _undo(kind: int, line: bytearray, above: bytes, left: int) -> None:
    """Undo one row of PNG's filters (W3C PNG, 9.2)."""
    if kind > 4:
        raise _BadStreamError
    for at in range(len(line) if kind else 0):
        a = line[at - left] if at >= left else 0
        b = above[at]
        c = above[at - left] if at >= left else 0
        if kind == 4:
            base = a + b - c
            of = min((abs(base - a), 0, a), (abs(base - b), 1, b), (abs(base - c), 2, c))[2]
        else:
            of = (0, a, b, (a + b) // 2)[kind]
        line[at] = line[at] + of & 255


_FILTERS: dict[Any, Callable[[bytes, dict[bytes, Any]], bytes]] = {
    b"/FlateDecode": _flate,
    b"/Fl": _flate,
    b"/ASCIIHexDecode": _hexadecimal,
    b"/AHx": _hexadecimal,
    b"/ASCII85Decode": _base_85,
    b"/A85": _base_85,
    b"/RunLengthDecode": _run_length,
    b"/RL": _run_length,
    b"/LZWDecode": _lzw,
    b"/LZW": _lzw,
}
