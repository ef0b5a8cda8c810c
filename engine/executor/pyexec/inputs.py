"""Results of other tasks that calls need: sent along, or read from the worker in pieces."""

import queue
import struct

from _yarnd.functions import Fault
from _yarnd.wire import CHUNK_SIZE, INPUT, READ

READS_AHEAD = 16


def read_inputs(b, at):
    """Reads the columns of inputs: their tasks, sizes, and the bytes of those sent along."""
    m = struct.unpack_from("<I", b, at)[0]
    columns = struct.unpack_from("<%dI%dQ%dB" % (2 * m, m, m), b, at + 4)
    at += 4 + 17 * m
    inputs = []
    for i in range(m):
        size, data = columns[2 * m + i], None
        if columns[3 * m + i]:
            data = b[at : at + size]
            at += size
        inputs.append((columns[i], columns[m + i], size, data))
    return inputs


class Pieces:
    """Pieces of inputs that were asked for: by the main thread, answered to the reader."""

    def __init__(self, out):
        self.out = out
        self.wanted = {}  # by id: where the piece goes
        self.last = 0  # id
        self.come = queue.SimpleQueue()

    def fetch(self, call, number, key, size):
        """Reads an input of a call, several pieces under way at a time."""
        data = bytearray(size)
        view, asked, have, mine = memoryview(data), 0, 0, set()
        try:
            while have < size:
                while asked < size and len(mine) < READS_AHEAD:
                    n = min(CHUNK_SIZE, size - asked)
                    self.last += 1
                    mine.add(self.last)
                    self.wanted[self.last] = view[asked : asked + n]
                    self.out.write([READ, struct.pack("<QQIQI", self.last, call, number, asked, n)])
                    asked += n
                id, n, problem = self.come.get()
                if id not in mine:
                    continue  # of a call that was stopped
                mine.discard(id)
                if problem is not None:
                    raise Fault(INPUT, "read the result of task %d/%d: %s" % (key[0], key[1], problem))
                have += n
        finally:
            for id in mine:
                self.wanted.pop(id, None)
        return data

    def came(self, b):
        """Takes a Data frame. Called by the reader."""
        id, ok = struct.unpack_from("<QB", b)
        to = self.wanted.pop(id, None)
        if to is None:
            return
        data, problem = b[9:], None
        if not ok:
            problem = str(data, "utf-8", "replace")
        elif len(data) != len(to):
            problem = "%d bytes instead of %d" % (len(data), len(to))
        else:
            to[:] = data
        self.come.put((id, len(to), problem))
