"""The main thread: it runs calls, one at a time, and tells their ends."""

import collections
import queue
import signal
import sys
import threading
import time

from _yarnd.functions import Fault, one_line, stack, where
from _yarnd.inputs import Pieces
from _yarnd.output import Tee
from _yarnd.pickles import HEAD, enpickle
from _yarnd.values import decode, encode
from _yarnd.wire import CANCELLED, MEMORY, TIME, USER

FLUSH_NS = 1000000  # ends of calls may wait so long for others while calls follow one another


class Stopped(KeyboardInterrupt):
    """Raised in user code when its call is to end."""


class Call:
    __slots__ = ("id", "task", "attempt", "cls", "payload", "inputs")

    def __init__(self, id, task, attempt, cls, payload, inputs):
        self.id, self.task, self.attempt, self.cls, self.payload, self.inputs = id, task, attempt, cls, payload, inputs


class Interpreter:
    """What the two threads share. page is where a call is noted before user code begins."""

    def __init__(self, out, page):
        self.out, self.page = out, page
        self.pieces = Pieces(out)
        self.queue = collections.deque()
        self.kick = queue.SimpleQueue()
        self.idle = False
        self.leaving = False
        self.flushed = 0
        # of the call that runs
        self.running = 0
        self.deadline = None
        self.armed = False  # it may be interrupted
        self.why = 0  # the kind of failure for which it is
        self.stops = set()  # calls to be stopped that were not found
        self.main = threading.get_ident()

    def loop(self):
        """Runs calls until the worker wants no more."""
        while not self.leaving:
            try:
                self.run_all()
            except Stopped:
                pass  # the signal came when the call had just ended

    def run_all(self):
        pending = self.queue
        now = time.perf_counter_ns
        start = now()
        while not self.leaving:
            try:
                call = pending.popleft()
            except IndexError:
                self.out.flush()
                self.stops.clear()
                self.idle = True
                if not pending and not self.leaving:
                    self.kick.get()
                self.idle = False
                start = self.flushed = now()
                continue
            self.run(call, start)
            start = now()
            if start - self.flushed > FLUSH_NS:
                self.flushed = start
                self.out.flush()

    def run(self, call, start):
        self.page[0] = call.id
        cls = call.cls
        if Tee.tail:
            del Tee.tail[:]
        self.why = 0
        self.running = call.id
        if cls.limit:
            self.deadline = time.monotonic() + cls.limit
        failed = parts = None
        try:
            self.armed = True
            if self.stops and call.id in self.stops:
                self.why = CANCELLED
                raise Stopped()
            parts = self.call(call, cls)
            self.armed = False
        except BaseException as e:
            self.armed = False
            failed = e
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except BaseException:
            pass
        self.deadline = None
        self.running = self.page[0] = 0
        took = min((time.perf_counter_ns() - start) // 1000, 0xFFFFFFFF)
        if failed is not None:
            self.failure(call, failed, took)
        else:
            self.out.succeed(call.id, took, parts)

    def call(self, call, cls):
        """Runs user code: everything in here may raise anything."""
        f = cls.function or cls.load()
        args, kwargs = self.arguments(call, cls.how)
        value = f(*args, **kwargs)
        try:
            if cls.pickles:
                return enpickle(value)
            return encode(value)
        except Exception as e:
            if cls.pickles:
                raise Fault(USER, "the result of %s, a %s, does not pickle: %s" % (cls.name, type(value).__name__, one_line(e)), e)
            raise Fault(USER, "the result of %s: %s" % (cls.name, one_line(e)), e)

    def arguments(self, call, how):
        if how == "none":
            return (), {}
        ref = None
        if call.inputs:
            inputs = {(job, index): (i, size, data) for i, (job, index, size, data) in enumerate(call.inputs)}
            values = {}

            def ref(job, index):
                key = (job, index)
                if key not in values:
                    values[key] = self.input(call, inputs, key)
                return values[key]

        try:
            payload = call.payload
            if payload[:3] == HEAD[:3]:
                payload = memoryview(bytearray(payload))  # aligned, and the function's own
            value = decode(payload, ref)
        except (Fault, Stopped):
            raise
        except Exception as e:
            raise Fault(USER, "the arguments of %s cannot be read: %s%s" % (call.cls.name, one_line(e), where(e)), e)
        if how == "value":
            return (value,), {}
        if how == "spread":
            return ((), value) if isinstance(value, dict) else (value, {})
        return value[0], value[1]  # "args"

    def input(self, call, inputs, key):
        if key not in inputs:
            raise Fault(USER, "the result of task %d/%d is needed and was not sent along" % key)
        i, size, data = inputs[key]
        data = bytearray(data) if data is not None else self.pieces.fetch(call.id, i, key, size)
        try:
            return decode(memoryview(data), None)
        except Exception as e:
            raise Fault(USER, "the result of task %d/%d cannot be read: %s%s" % (key[0], key[1], one_line(e), where(e)), e)

    def failure(self, call, e, took):
        name, kind, why = call.cls.name, USER, self.why
        cause = e
        if isinstance(e, Fault):
            kind, message, cause = e.kind, str(e), e.cause
        else:
            message = one_line(e)
        if why == TIME:
            kind, message = TIME, "%s took longer than its time limit of %gs" % (name, call.cls.limit)
        elif why == MEMORY:
            kind, message = MEMORY, "%s: the task took more memory than its worker has" % name
        elif why:
            kind, message = CANCELLED, "%s: the task is no longer wanted" % name
        text = stack(cause) if cause is not None else ""
        output = bytes(Tee.tail)
        cause = e = None
        self.out.fail(call.id, kind, message, took, text, output)

    def interrupted(self, *_):
        """Handles SIGINT, in the main thread."""
        if self.armed and self.why:
            self.armed = False  # once
            raise Stopped()

    def interrupt(self, why):
        """Has the call that runs end. Called by the reader."""
        self.why = why
        signal.pthread_kill(self.main, signal.SIGINT)
