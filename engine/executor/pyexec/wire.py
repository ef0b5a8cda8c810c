"""The protocol of package executor (doc.go): its numbers, and the writing of frames."""

import base64
import json
import os
import struct
import threading

IN, OUT, LIFE, PAGE = 3, 4, 5, 6
VERSION = 4
SETUP, STOP, DATA, SIGNAL, RUNS, INPUTS, RECALL = 1, 3, 4, 5, 6, 7, 8
READY, READ, CHUNK, FAILED, DONE, RECALLED = 20, 22, 23, 25, 26, 27
USER, MEMORY, TIME, INPUT, CANCELLED = 1, 3, 4, 5, 6  # graph.FailKind
SMALL_RESULT = 4 << 10
CHUNK_SIZE = 256 << 10
MAX_TEXT = 60 << 10


class Writer:
    """Writes frames, for both threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.done = []  # calls that ended and were not told yet
        self.small = []  # their results

    def write(self, parts):
        """Writes one frame: its kind, and the parts of its body."""
        with self.lock:
            self.write_locked(parts)

    def write_locked(self, parts):
        sizes = sum(len(p) for p in parts[1:])
        parts[0] = struct.pack("<IB", 1 + sizes, parts[0])
        total = 5 + sizes
        try:
            n = os.writev(OUT, parts)
            if n < total:
                rest = memoryview(b"".join(parts))[n:]
                while rest:
                    rest = rest[os.write(OUT, rest) :]
        except OSError:
            os._exit(0)  # the worker is gone, or this is somebody's fork

    def flush(self):
        """Tells what ended."""
        with self.lock:
            self.flush_locked()

    def flush_locked(self):
        rows = self.done
        if not rows:
            return
        n = len(rows)
        ids, took, sizes, here = zip(*rows)
        small = b"".join(self.small)
        self.done, self.small = [], []
        self.write_locked([DONE, struct.pack("<I%dQ%dI%dQ%dI" % (n, n, n, n), n, *ids, *took, *sizes, *here), small])

    def fail(self, id, kind, message, took=0, stack="", output=b""):
        """Tells that a call failed."""
        failure = {"call": id, "kind": kind, "message": message[:MAX_TEXT], "took_us": took}
        if stack:
            failure["stack"] = stack
        if output:
            failure["output"] = base64.b64encode(output[-MAX_TEXT:]).decode()
        self.write([FAILED, json.dumps(failure).encode("utf-8", "replace")])

    def succeed(self, id, took, parts):
        """Tells that a call ended, at once only if its result is large."""
        size = len(parts) if type(parts) is bytearray else sum(len(p) for p in parts)
        if size > SMALL_RESULT:
            self.send(id, [parts] if type(parts) is bytearray else parts, size)
            with self.lock:
                self.done.append((id, took, size, 0))
                self.flush_locked()
            return
        with self.lock:
            self.done.append((id, took, size, size))
            if type(parts) is bytearray:
                self.small.append(parts)
            else:
                self.small.extend(parts)

    def send(self, id, parts, size):
        """Writes a large result in pieces, straight from where it lies."""
        start = struct.pack("<QQ", id, size)
        piece, room = [], CHUNK_SIZE
        for part in parts:
            part = memoryview(part)
            while len(part):
                cut = part[:room]
                piece.append(cut)
                part, room = part[len(cut) :], room - len(cut)
                if room == 0:
                    self.write([CHUNK, start] + piece)
                    piece, room = [], CHUNK_SIZE
        if piece:
            self.write([CHUNK, start] + piece)


def text(b, at):
    n = struct.unpack_from("<I", b, at)[0]
    return b[at + 4 : at + 4 + n], at + 4 + n


def exact(n):
    """Reads so many bytes, before there is a reader."""
    data = b""
    while len(data) < n:
        got = os.read(IN, n - len(data))
        if not got:
            os._exit(0)
        data += got
    return data
