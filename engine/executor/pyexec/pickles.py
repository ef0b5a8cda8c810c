"""Python objects as items of a tag of our own: a pickle, and its buffers behind it."""

import io
import pickle
import struct

PICKLE_TAG = 0x7965
HEAD = b"\xd9\x79\x65\x5b"  # of a pickle: the tag, and a byte string whose length is a u64
ALIGN = 16
BY_REFERENCE = 4096  # bytes from which a buffer is written behind the pickle


class Unpickler(pickle.Unpickler):
    def __init__(self, data, buffers, ref):
        super().__init__(io.BytesIO(data), buffers=buffers)
        self.persistent_load = lambda pid: ref(pid[0], pid[1])


def unpickle(view, start, end, ref):
    """Loads the pickle whose content is view[start:end]; buffers are views of it."""
    version, n, size = struct.unpack_from("<IIQ", view, start)
    if version != 1:
        raise ValueError("a pickle of version %d, this worker knows 1" % version)
    lengths = struct.unpack_from("<%dQ" % n, view, start + 16)
    at = start + 16 + 8 * n
    data = view[at : at + size]
    at += size
    buffers = []
    for length in lengths:
        at += (start - 12 - at) % ALIGN  # from the item's start
        buffers.append(view[at : at + length])
        at += length
    if at > end:
        raise ValueError("the pickle was cut")
    if ref is None:
        return pickle.loads(data, buffers=buffers)
    return Unpickler(data, buffers, ref).load()


def enpickle(value):
    """Returns the parts that, one after the other, are value as an item."""
    buffers = []

    def apart(b):
        raw = b.raw()
        if raw.nbytes < BY_REFERENCE:
            return True
        buffers.append(raw)
        return False

    data = problem = None
    try:
        data = pickle.dumps(value, 5, buffer_callback=apart)
    except Exception as e:
        problem = e
    if problem is not None:
        try:
            import cloudpickle  # by value what has no name to import
        except ImportError:
            cloudpickle = None
        if cloudpickle is None:
            raise problem
        del buffers[:]
        data = cloudpickle.dumps(value, protocol=5, buffer_callback=apart)
    head = struct.pack("<IIQ%dQ" % len(buffers), 1, len(buffers), len(data), *[b.nbytes for b in buffers])
    at = 12 + len(head) + len(data)
    parts = [head, data]
    for b in buffers:
        parts.append(b"\0" * (-at % ALIGN))
        parts.append(b)
        at += -at % ALIGN + b.nbytes
    return [HEAD + struct.pack(">Q", at - 12)] + parts
