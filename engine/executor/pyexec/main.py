"""A Python interpreter's side of the protocol of package executor (doc.go).

Two processes run this. The first one starts the second and then only guards it
(guard.py). The second one runs calls, one at a time. In it

  main thread    runs calls, and writes their ends (interpreter.py)
  reader thread  reads frames (reader.py)

Only the standard library, of Python 3.8 and newer, is used; cloudpickle if it is
there.
"""

import faulthandler
import json
import mmap
import os
import signal
import struct
import sys
import threading

from _yarnd.guard import guard
from _yarnd.interpreter import Interpreter
from _yarnd.output import streams
from _yarnd.reader import Reader
from _yarnd.wire import IN, OUT, PAGE, READY, SETUP, VERSION, Writer, exact


def alone():
    """A fork of user code must not speak for this process."""
    for fd in (IN, OUT):
        try:
            os.close(fd)
        except OSError:
            pass


def main():
    guard()
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
    for fd in (IN, OUT, PAGE):
        os.set_inheritable(fd, False)
    page = memoryview(mmap.mmap(PAGE, mmap.PAGESIZE)).cast("Q")
    os.close(PAGE)
    me = Interpreter(Writer(), page)
    signal.signal(signal.SIGINT, me.interrupted)
    streams()
    os.register_at_fork(after_in_child=alone)
    threading.Thread(target=Reader(me).loop, name="yarnd", daemon=True).start()
    me.out.write([READY, json.dumps({"version": VERSION, "pid": os.getpid()}).encode()])
    me.loop()
    os._exit(0)
