"""The functions that calls call, and how it is told that one failed."""

import base64
import importlib
import json
import os
import pickle
import sys
import traceback

from _yarnd.wire import MAX_TEXT, USER

OURS = "<yarnd>/"  # how the names of our files begin


class Fault(Exception):
    """A failure that is not an exception of the user's function."""

    def __init__(self, kind, message, cause=None):
        super().__init__(message)
        self.kind, self.cause = kind, cause


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
    """Returns the traceback of e without the frames of this package."""
    try:
        tb = e.__traceback__
        while tb is not None and tb.tb_frame.f_code.co_filename.startswith(OURS):
            tb = tb.tb_next
        return "".join(traceback.format_exception(type(e), e, tb))[-MAX_TEXT:]
    except Exception:
        return ""
