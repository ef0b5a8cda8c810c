"""The first process: it starts the second, and then only guards it. When the worker dies,
when the interpreter ends, or on a signal, everything below is killed."""

import os
import resource
import select
import signal
import time

from _yarnd.wire import IN, LIFE, PAGE


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
