"""Values as package codec has them: one CBOR item. Two tags are our own: a reference to the
result of a task, and a pickle."""

import datetime
import struct

from _yarnd.pickles import PICKLE_TAG, unpickle

REF_TAG = 0x7964


def decode(view, ref):
    """Returns the value of the item that fills view, a memoryview of bytes."""
    value, at = decode_at(view, 0, ref)
    if at != len(view):
        raise ValueError("%d bytes behind the value" % (len(view) - at))
    return value


def decode_at(b, at, ref):
    first = b[at]
    major, n = first >> 5, first & 31
    at += 1
    if major == 7:
        if n < 20 or n > 27:
            raise ValueError("CBOR simple value %d" % n)
        if n < 24:
            return (False, True, None, None)[n - 20], at
        if n == 24:
            raise ValueError("CBOR simple value")
        code, size = ((">e", 2), (">f", 4), (">d", 8))[n - 25]
        return struct.unpack_from(code, b, at)[0], at + size
    if n == 31:
        return decode_open(b, at, major, ref)
    if n >= 24:
        if n > 27:
            raise ValueError("CBOR head %d" % first)
        code, size = ((">B", 1), (">H", 2), (">I", 4), (">Q", 8))[n - 24]
        n = struct.unpack_from(code, b, at)[0]
        at += size
    if major == 0:
        return n, at
    if major == 1:
        return -1 - n, at
    if major == 2 or major == 3:
        piece = b[at : at + n]
        if len(piece) != n:
            raise ValueError("CBOR was cut")
        if major == 2:
            return bytes(piece), at + n
        return str(piece, "utf-8", "surrogateescape"), at + n
    if major == 4:
        items = []
        for _ in range(n):
            value, at = decode_at(b, at, ref)
            items.append(value)
        return items, at
    if major == 5:
        d = {}
        for _ in range(n):
            key, at = decode_at(b, at, ref)
            d[key], at = decode_at(b, at, ref)
        return d, at
    return decode_tag(b, at, n, ref)


def decode_tag(b, at, tag, ref):
    if tag == PICKLE_TAG:
        if b[at] != 0x5B:
            raise ValueError("a pickle without its length")
        size = struct.unpack_from(">Q", b, at + 1)[0]
        start = at + 9
        if len(b) < start + size:
            raise ValueError("the pickle was cut")
        return unpickle(b, start, start + size, ref), start + size
    value, at = decode_at(b, at, None)
    if tag == REF_TAG:
        if ref is None:
            raise ValueError("a reference to a result within a result")
        return ref(value[0], value[1]), at
    if tag == 0:
        return moment(value), at
    if tag == 2 or tag == 3:
        n = int.from_bytes(value, "big")
        return (n if tag == 2 else -1 - n), at
    return value, at


def decode_open(b, at, major, ref):
    """Decodes an item whose end is marked."""
    if major < 2 or major > 5:
        raise ValueError("CBOR head")
    items = []
    while b[at] != 0xFF:
        value, at = decode_at(b, at, ref)
        items.append(value)
    at += 1
    if major == 2:
        return b"".join(items), at
    if major == 3:
        return "".join(items), at
    if major == 4:
        return items, at
    return dict(zip(items[::2], items[1::2])), at


def moment(text):
    """Reads RFC 3339; a datetime has microseconds."""
    text = text.replace("Z", "+00:00")
    day, zone = text[:19], text[19:]
    fraction = ""
    if zone.startswith("."):
        cut = max(zone.find("+"), zone.find("-"))
        fraction, zone = zone[1:cut], zone[cut:]
    return datetime.datetime.fromisoformat(day + "." + (fraction + "000000")[:6] + zone)


def head(major, n):
    if n < 24:
        return bytes((major | n,))
    if n < 1 << 8:
        return bytes((major | 24, n))
    if n < 1 << 16:
        return struct.pack(">BH", major | 25, n)
    if n < 1 << 32:
        return struct.pack(">BI", major | 26, n)
    return struct.pack(">BQ", major | 27, n)


def encode(value):
    out = bytearray()
    encode_to(out, value)
    return out


def encode_to(out, v):
    kind = type(v)
    if kind is int:
        if 0 <= v < 1 << 64:
            out += head(0, v)
        elif -(1 << 64) <= v < 0:
            out += head(0x20, -1 - v)
        else:
            n = v if v >= 0 else -1 - v
            out += b"\xc2" if v >= 0 else b"\xc3"
            encode_to(out, n.to_bytes((n.bit_length() + 7) // 8, "big"))
    elif kind is str:
        data = v.encode("utf-8", "surrogateescape")
        out += head(0x60, len(data))
        out += data
    elif kind is bytes:
        out += head(0x40, len(v))
        out += v
    elif kind is float:
        out += struct.pack(">Bd", 0xFB, v)
    elif v is None:
        out.append(0xF6)
    elif kind is bool:
        out.append(0xF5 if v else 0xF4)
    elif kind is list or kind is tuple:
        out += head(0x80, len(v))
        for item in v:
            encode_to(out, item)
    elif kind is dict:
        out += head(0xA0, len(v))
        for key, item in v.items():
            encode_to(out, key)
            encode_to(out, item)
    else:
        encode_odd(out, v)


def encode_odd(out, v):
    """Encodes what is one of the simple types in another form."""
    if isinstance(v, (bytearray, memoryview)):
        data = memoryview(v).cast("B")
        out += head(0x40, len(data))
        out += data
    elif isinstance(v, datetime.datetime):
        out.append(0xC0)
        encode_to(out, (v if v.tzinfo else v.astimezone()).isoformat())
    elif hasattr(v, "__dataclass_fields__") and not isinstance(v, type):
        encode_to(out, {name: getattr(v, name) for name in v.__dataclass_fields__})
    elif hasattr(v, "_asdict"):
        encode_to(out, v._asdict())
    elif hasattr(v, "tolist"):  # numpy's arrays and numbers
        encode_to(out, v.tolist())
    else:
        for kind in (bool, int, float, str, bytes, list, tuple, dict):
            if isinstance(v, kind):
                return encode_to(out, kind(v))
        raise TypeError(
            "a %s cannot be sent to a Go program: return numbers, strings, bytes, lists and dicts of them, "
            "or let the Go program keep the result as a PyObject" % type(v).__name__
        )
