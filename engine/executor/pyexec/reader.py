"""The reader thread: it reads frames, so that a call can be stopped or recalled while
another one runs, and writes what waits behind a long call."""

import os
import select
import struct
import time
import traceback

from _yarnd.functions import Class
from _yarnd.inputs import read_inputs
from _yarnd.interpreter import Call
from _yarnd.wire import CANCELLED, DATA, IN, INPUTS, MEMORY, RECALL, RECALLED, RUNS, SIGNAL, STOP, TIME, text


class Reader:
    def __init__(self, interpreter):
        self.me = interpreter
        self.classes = {}
        self.early = {}  # inputs that came before their call
        self.buffer = b""
        self.poll = select.poll()
        self.poll.register(IN, select.POLLIN)

    def loop(self):
        try:
            while self.frame():
                pass
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        # The worker wants no more: end the call that runs, and all.
        me = self.me
        me.leaving = True
        me.queue.clear()
        if me.running:
            me.interrupt(CANCELLED)
        me.kick.put(None)

    def more(self):
        """Returns what has come. Meanwhile it looks after the main thread."""
        me, out, wait = self.me, self.me.out, 5
        while me.running or me.queue or out.done:
            timeout, deadline = wait, me.deadline
            if deadline is not None:
                timeout = min(timeout, max(0, (deadline - time.monotonic()) * 1000))
            if self.poll.poll(timeout):
                break
            if out.done:
                out.flush()
            wait = min(2 * wait, 20)
            deadline = me.deadline
            if deadline is not None and time.monotonic() >= deadline:
                me.deadline = None
                me.interrupt(TIME)
        return os.read(IN, 65536)

    def frame(self):
        while len(self.buffer) < 5:
            got = self.more()
            if not got:
                return False
            self.buffer += got
        have = self.buffer
        length, kind = struct.unpack_from("<IB", have)
        total = 4 + length
        if len(have) > total:
            body, self.buffer = memoryview(have)[5:total], have[total:]
        else:
            whole = bytearray(total)
            whole[: len(have)] = have
            self.buffer = b""
            view, at = memoryview(whole), len(have)
            while at < total:
                n = os.readv(IN, [view[at:]])
                if n == 0:
                    return False
                at += n
            body = view[5:]
        handler = self.handlers.get(kind)
        if handler is None:
            raise ValueError("frame %d" % kind)
        handler(self, body)
        return True

    def on_runs(self, b):
        _, k, n = struct.unpack_from("<III", b)
        at, classes = 12, []
        for _ in range(k):
            _, _, limit = struct.unpack_from("<BHQ", b, at)
            name, at = text(b, at + 11)
            spec, at = text(b, at)
            key = (bytes(name), bytes(spec), limit)
            cls = self.classes.get(key)
            if cls is None:
                cls = self.classes[key] = Class(str(name, "utf-8"), key[1], limit / 1e6)
            classes.append(cls)
        columns = struct.unpack_from("<%dQ%dI" % (n, 6 * n), b, at)
        at += 8 * n + 24 * n
        ids, jobs, indexes = columns[:n], columns[n : 2 * n], columns[2 * n : 3 * n]
        attempts, cls, counts, lengths = (columns[i * n : (i + 1) * n] for i in (3, 4, 5, 6))
        calls = []
        for i in range(n):
            payload = b[at : at + lengths[i]]
            at += lengths[i]
            calls.append(Call(ids[i], (jobs[i], indexes[i]), attempts[i], classes[cls[i]], payload, ()))
        if any(counts) or self.early:
            inputs, at = read_inputs(b, at), 0
            for call, count in zip(calls, counts):
                call.inputs = self.early.pop(call.id, []) + inputs[at : at + count]
                at += count
        self.me.queue.extend(calls)
        if self.me.idle:
            self.me.kick.put(None)

    def on_inputs(self, b):
        id = struct.unpack_from("<Q", b)[0]
        self.early.setdefault(id, []).extend(read_inputs(b, 8))

    def on_recall(self, b):
        n = struct.unpack_from("<I", b)[0]
        ids = struct.unpack_from("<%dQ" % n, b, 4)
        removed = self.remove(set(ids))
        self.me.out.write([RECALLED, bytes(b), bytes(id in removed for id in ids)])

    def remove(self, wanted):
        """Takes calls out of the queue that the main thread has not begun."""
        removed = {}
        for call in list(self.me.queue):
            if call.id in wanted:
                try:
                    self.me.queue.remove(call)
                    removed[call.id] = call
                except ValueError:
                    pass  # it has begun
        return removed

    def on_stop(self, b):
        id, reason = struct.unpack_from("<QB", b)
        removed = self.remove({id})
        if removed:
            self.me.out.fail(id, CANCELLED, removed[id].cls.name + " had not begun")
            return
        self.me.stops.add(id)
        if self.me.running == id:
            self.me.interrupt(MEMORY if reason == 1 else CANCELLED)

    def on_data(self, b):
        self.me.pieces.came(b)

    handlers = {RUNS: on_runs, INPUTS: on_inputs, RECALL: on_recall, STOP: on_stop, DATA: on_data, SIGNAL: lambda self, b: None}
