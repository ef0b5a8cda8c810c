"""A Python interpreter's side of the protocol of package executor (doc.go).

Two processes run this. The first one starts the second and then only guards it:
when the worker dies, when the interpreter ends, or on a signal, everything below
is killed. The second one runs calls, one at a time. In it

  main thread    runs calls, and writes their ends
  reader thread  reads frames, so that a call can be stopped or recalled while
                 another one runs, and writes what waits behind a long call

Only the standard library, of Python 3.8 and newer, is used; cloudpickle if it is
there.
"""
import collections
import datetime
import importlib
import io
import json
import mmap
import os
import pickle
import queue
import select
import signal
import struct
import sys
import threading
import time
import traceback

IN, OUT, LIFE, PAGE = 3, 4, 5, 6
VERSION = 2
SETUP, STOP, DATA, SIGNAL, RUNS, INPUTS, RECALL = 1, 3, 4, 5, 6, 7, 8
READY, READ, CHUNK, FAILED, DONE, RECALLED = 20, 22, 23, 25, 26, 27
USER, MEMORY, TIME, INPUT, CANCELLED = 1, 3, 4, 5, 6  # graph.FailKind
SMALL_RESULT = 4 << 10
CHUNK_SIZE = 256 << 10
MAX_TEXT = 60 << 10
FLUSH_NS = 1000000  # ends of calls may wait so long for others while calls follow one another
READS_AHEAD = 16


# ---- the guard -----------------------------------------------------------------


def guard():
    """Forks. Returns in the interpreter; the guard itself never returns."""
    prctl = None
    try:
        import ctypes

        prctl = ctypes.CDLL(None).prctl
        prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: orphans fall to this process
    except Exception:  # a Python without ctypes: orphans fall to the worker
        pass
    rest, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    caught = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    for s in caught:
        signal.signal(s, lambda *_: None)
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        signal.set_wakeup_fd(-1)
        for s in caught:
            signal.signal(s, signal.SIG_DFL)
        for fd in (rest, wake, LIFE):
            os.close(fd)
        if prctl:
            prctl(1, int(signal.SIGKILL), 0, 0, 0)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)
        return
    for fd in (IN, PAGE):  # not OUT: what reads it is to hear of the end from here
        os.close(fd)
    status = None
    while status is None:
        try:
            ready = select.select([LIFE, rest], [], [])[0]
        except InterruptedError:
            continue
        if LIFE in ready:
            end(1)  # the worker is dead
        if any(n != signal.SIGCHLD for n in os.read(rest, 512)):
            end(1)
        status = reap(child)
    if os.WIFSIGNALED(status):
        kill_descendants()
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.set_wakeup_fd(-1)
        if os.WTERMSIG(status) != signal.SIGKILL:
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(parent, os.WTERMSIG(status))
        time.sleep(5)
    end(os.WEXITSTATUS(status))


def reap(child):
    """Reaps what has ended. Returns the status of child, None while it lives."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == child:
            found = status


def end(code):
    kill_descendants()
    os._exit(code)


def kill_descendants():
    """Kills what is below this process until nothing is."""
    for _ in range(1000):
        parents = {}
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    with open("/proc/" + name + "/stat", "rb") as f:
                        fields = f.read().rpartition(b")")[2].split()
                except OSError:
                    continue
                if fields[0] != b"Z":
                    parents[int(name)] = int(fields[1])
        found, below = [], {os.getpid()}
        while below:
            below = {p for p, parent in parents.items() if parent in below}
            found += below
        if not found:
            return
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        reap(0)
        time.sleep(0.002)


# ---- values --------------------------------------------------------------------
# A value is one CBOR item (package codec). Two tags are our own: a reference to the
# result of a task, and a pickle.

REF_TAG, PICKLE_TAG = 0x7964, 0x7965
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


# ---- calls ---------------------------------------------------------------------


class Stopped(KeyboardInterrupt):
    """Raised in user code when its call is to end."""


class Fault(Exception):
    """A failure that is not an exception of the user's function."""

    def __init__(self, kind, message, cause=None):
        super().__init__(message)
        self.kind, self.cause = kind, cause


class Call:
    __slots__ = ("id", "task", "attempt", "cls", "payload", "inputs")

    def __init__(self, id, task, attempt, cls, payload, inputs):
        self.id, self.task, self.attempt, self.cls, self.payload, self.inputs = id, task, attempt, cls, payload, inputs


class Class:
    """What calls have in common: the function, once it is there."""

    def __init__(self, name, spec, limit):
        self.name, self.limit = name, limit
        self.spec = json.loads(spec)
        self.function = None
        self.how = self.spec.get("call", "value")
        self.pickles = self.spec.get("result") == "pickle"

    def load(self):
        if "pickle" in self.spec:
            import base64

            try:
                f = pickle.loads(base64.b64decode(self.spec["pickle"]))
            except Exception as e:
                raise Fault(USER, "the function of %s does not unpickle: %s%s" % (self.name, one_line(e), where(e)), e)
        else:
            f = self.find()
        if not callable(f):
            raise Fault(USER, "%s is a %s, which cannot be called" % (self.name, type(f).__name__))
        self.function = f
        return f

    def find(self):
        module, name = self.spec["module"], self.spec["name"]
        try:
            importlib.invalidate_caches()
            found = importlib.import_module(module)
        except Exception as e:
            raise Fault(USER, "module %s cannot be imported: %s%s" % (module, one_line(e), where(e)), e)
        for part in name.split("."):
            try:
                found = getattr(found, part)
            except AttributeError as e:
                has = [k for k in dir(found) if not k.startswith("_") and callable(getattr(found, k, None))]
                raise Fault(
                    USER,
                    "module %s (%s) has no %s; it has %s"
                    % (module, getattr(sys.modules[module], "__file__", "built in"), name, ", ".join(has[:10]) or "no functions"),
                    e,
                )
        return found


def where(e):
    """Says what to do about an import that fails."""
    if not isinstance(e, ImportError):
        return ""
    return ". Is it in the environment? This is Python %s, %s, in %s: pack the environment with it, or ship the file with --files" % (
        sys.version.split()[0],
        sys.executable,
        os.getcwd(),
    )


def one_line(e):
    try:
        text = "".join(traceback.format_exception_only(type(e), e)).strip()
        if isinstance(e, SyntaxError):
            text = text.splitlines()[-1]
    except Exception:  # its __str__ fails
        text = type(e).__name__
    return " ".join(text.split())[:4096]


def stack(e):
    """Returns the traceback of e without this file's frames."""
    try:
        tb = e.__traceback__
        while tb is not None and tb.tb_frame.f_code.co_filename == __file__:
            tb = tb.tb_next
        return "".join(traceback.format_exception(type(e), e, tb))[-MAX_TEXT:]
    except Exception:
        return ""


class Tee(io.RawIOBase):
    """Passes on what a call prints, and keeps the end of it."""

    tail = bytearray()  # of all

    def __init__(self, fd):
        self.fd = fd

    def writable(self):
        return True

    def fileno(self):
        return self.fd

    def write(self, b):
        n = os.write(self.fd, b)
        self.tail += memoryview(b)[:n]
        if len(self.tail) > 2 * MAX_TEXT:
            del self.tail[:-MAX_TEXT]
        return n


class Interpreter:
    def __init__(self):
        self.queue = collections.deque()
        self.kick = queue.SimpleQueue()
        self.idle = False
        self.leaving = False
        self.classes = {}
        self.early = {}  # inputs that came before their call
        self.lock = threading.Lock()  # of what follows, and of writing
        self.done = []  # calls that ended
        self.small = []  # their results
        self.flushed = 0
        # of the call that runs
        self.running = 0
        self.deadline = None
        self.armed = False  # it may be interrupted
        self.why = 0  # the kind of failure for which it is
        self.stops = set()  # calls to be stopped that were not found
        self.reads = {}  # by id: where the piece goes
        self.read_id = 0
        self.pieces = queue.SimpleQueue()
        self.main = threading.get_ident()
        for fd in (IN, OUT, PAGE):
            os.set_inheritable(fd, False)
        self.buffer = b""
        self.poll = select.poll()
        self.poll.register(IN, select.POLLIN)

    # ---- writing

    def write(self, parts):
        """Writes one frame. Called with the lock."""
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
        self.write([DONE, struct.pack("<I%dQ%dI%dQ%dI" % (n, n, n, n), n, *ids, *took, *sizes, *here), small])

    def fail(self, call, kind, message, took=0, stack="", output=b""):
        import base64

        failure = {"call": call.id, "kind": kind, "message": message[:MAX_TEXT], "took_us": took}
        if stack:
            failure["stack"] = stack
        if output:
            failure["output"] = base64.b64encode(output[-MAX_TEXT:]).decode()
        body = json.dumps(failure).encode("utf-8", "replace")
        with self.lock:
            self.write([FAILED, body])

    # ---- the main thread

    def main_loop(self):
        pending = self.queue
        now = time.perf_counter_ns
        start = now()
        while not self.leaving:
            try:
                call = pending.popleft()
            except IndexError:
                self.flush()
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
                self.flush()

    def run(self, call, start):
        page[0] = call.id
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
        self.running = page[0] = 0
        took = min((time.perf_counter_ns() - start) // 1000, 0xFFFFFFFF)
        if failed is not None:
            self.failure(call, failed, took)
            return
        size = len(parts) if type(parts) is bytearray else sum(len(p) for p in parts)
        if size <= SMALL_RESULT:
            with self.lock:
                self.done.append((call.id, took, size, size))
                if type(parts) is bytearray:
                    self.small.append(parts)
                else:
                    self.small.extend(parts)
            return
        self.send(call, [parts] if type(parts) is bytearray else parts, size)
        with self.lock:
            self.done.append((call.id, took, size, 0))
            self.flush_locked()

    def send(self, call, parts, size):
        """Writes a large result in pieces, straight from where it lies."""
        start = struct.pack("<QQ", call.id, size)
        piece, room = [], CHUNK_SIZE
        for part in parts:
            part = memoryview(part)
            while len(part):
                cut = part[:room]
                piece.append(cut)
                part, room = part[len(cut) :], room - len(cut)
                if room == 0:
                    with self.lock:
                        self.write([CHUNK, start] + piece)
                    piece, room = [], CHUNK_SIZE
        if piece:
            with self.lock:
                self.write([CHUNK, start] + piece)

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
        data = bytearray(data) if data is not None else self.fetch(call, i, key, size)
        try:
            return decode(memoryview(data), None)
        except Exception as e:
            raise Fault(USER, "the result of task %d/%d cannot be read: %s%s" % (key[0], key[1], one_line(e), where(e)), e)

    def fetch(self, call, number, key, size):
        """Reads an input from the worker, several pieces under way at a time."""
        data = bytearray(size)
        view, asked, have, mine = memoryview(data), 0, 0, set()
        try:
            while have < size:
                while asked < size and len(mine) < READS_AHEAD:
                    n = min(CHUNK_SIZE, size - asked)
                    self.read_id += 1
                    mine.add(self.read_id)
                    self.reads[self.read_id] = view[asked : asked + n]
                    with self.lock:
                        self.write([READ, struct.pack("<QQIQI", self.read_id, call.id, number, asked, n)])
                    asked += n
                id, n, problem = self.pieces.get()
                if id not in mine:
                    continue  # of a call that was stopped
                mine.discard(id)
                if problem is not None:
                    raise Fault(INPUT, "read the result of task %d/%d: %s" % (key[0], key[1], problem))
                have += n
        finally:
            for id in mine:
                self.reads.pop(id, None)
        return data

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
        self.fail(call, kind, message, took, text, output)

    def interrupted(self, *_):
        """Handles SIGINT, in the main thread."""
        if self.armed and self.why:
            self.armed = False  # once
            raise Stopped()

    def interrupt(self, why):
        """Has the call that runs end. Called by the reader."""
        self.why = why
        signal.pthread_kill(self.main, signal.SIGINT)

    # ---- the reader thread

    def read_loop(self):
        try:
            while self.frame():
                pass
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        # The worker wants no more: end the call that runs, and all.
        self.leaving = True
        self.queue.clear()
        if self.running:
            self.interrupt(CANCELLED)
        self.kick.put(None)

    def more(self):
        """Returns what has come. Meanwhile it looks after the main thread."""
        wait = 5
        while self.running or self.queue or self.done:
            timeout, deadline = wait, self.deadline
            if deadline is not None:
                timeout = min(timeout, max(0, (deadline - time.monotonic()) * 1000))
            if self.poll.poll(timeout):
                break
            if self.done:
                self.flush()
            wait = min(2 * wait, 20)
            deadline = self.deadline
            if deadline is not None and time.monotonic() >= deadline:
                self.deadline = None
                self.interrupt(TIME)
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
        self.queue.extend(calls)
        if self.idle:
            self.kick.put(None)

    def on_inputs(self, b):
        id = struct.unpack_from("<Q", b)[0]
        self.early.setdefault(id, []).extend(read_inputs(b, 8))

    def on_recall(self, b):
        n = struct.unpack_from("<I", b)[0]
        ids = struct.unpack_from("<%dQ" % n, b, 4)
        removed = self.remove(set(ids))
        with self.lock:
            self.write([RECALLED, bytes(b), bytes(id in removed for id in ids)])

    def remove(self, wanted):
        """Takes calls out of the queue that the main thread has not begun."""
        removed = {}
        for call in list(self.queue):
            if call.id in wanted:
                try:
                    self.queue.remove(call)
                    removed[call.id] = call
                except ValueError:
                    pass  # it has begun
        return removed

    def on_stop(self, b):
        id, reason = struct.unpack_from("<QB", b)
        removed = self.remove({id})
        if removed:
            self.fail(removed[id], CANCELLED, removed[id].cls.name + " had not begun")
            return
        self.stops.add(id)
        if self.running == id:
            self.interrupt(MEMORY if reason == 1 else CANCELLED)

    def on_data(self, b):
        id, ok = struct.unpack_from("<QB", b)
        to = self.reads.pop(id, None)
        if to is None:
            return
        data, problem = b[9:], None
        if not ok:
            problem = str(data, "utf-8", "replace")
        elif len(data) != len(to):
            problem = "%d bytes instead of %d" % (len(data), len(to))
        else:
            to[:] = data
        self.pieces.put((id, len(to), problem))

    handlers = {RUNS: on_runs, INPUTS: on_inputs, RECALL: on_recall, STOP: on_stop, DATA: on_data, SIGNAL: lambda self, b: None}


def text(b, at):
    n = struct.unpack_from("<I", b, at)[0]
    return b[at + 4 : at + 4 + n], at + 4 + n


def read_inputs(b, at):
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


def exact(n):
    data = b""
    while len(data) < n:
        got = os.read(IN, n - len(data))
        if not got:
            os._exit(0)
        data += got
    return data


def streams():
    for name, fd in (("stdout", 1), ("stderr", 2)):
        raw = io.BufferedWriter(Tee(fd), 8192)
        stream = io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)
        setattr(sys, name, stream)
        setattr(sys, "__%s__" % name, stream)


def alone():
    """A fork of user code must not speak for this process."""
    for fd in (IN, OUT):
        try:
            os.close(fd)
        except OSError:
            pass


def main():
    global page
    guard()
    import faulthandler

    faulthandler.enable(all_threads=False)
    try:
        with open("/proc/self/oom_score_adj", "w") as f:
            f.write("500")  # rather this process than its worker
    except OSError:
        pass
    length, kind = struct.unpack("<IB", exact(5))
    told = json.loads(exact(length - 1))
    if kind != SETUP or told["version"] != VERSION:
        sys.exit("the worker speaks version %s, this interpreter %d" % (told.get("version"), VERSION))
    me = Interpreter()
    page = memoryview(mmap.mmap(PAGE, mmap.PAGESIZE)).cast("Q")
    os.close(PAGE)
    signal.signal(signal.SIGINT, me.interrupted)
    streams()
    os.register_at_fork(after_in_child=alone)
    threading.Thread(target=me.read_loop, name="yarnd", daemon=True).start()
    with me.lock:
        me.write([READY, json.dumps({"version": VERSION, "pid": os.getpid()}).encode()])
    while not me.leaving:
        try:
            me.main_loop()
        except Stopped:
            pass  # the signal came when the call had just ended
    os._exit(0)


main()
