import sys
if sys.version_info < (3, 8): sys.exit("Python %s is too old: 3.8 or newer is needed" % sys.version.split()[0])


def start():
    """Makes the modules that descriptor 7 brings, in their order, a package _yarnd."""
    import json
    import os
    import types

    with os.fdopen(7, "rb") as f:
        modules = json.loads(f.read())
    package = sys.modules["_yarnd"] = types.ModuleType("_yarnd")
    package.__path__ = []
    for name, source in modules:
        m = types.ModuleType("_yarnd." + name)
        m.__file__ = "<yarnd>/" + name + ".py"
        sys.modules[m.__name__] = m
        exec(compile(source, m.__file__, "exec"), m.__dict__)
        setattr(package, name, m)
    package.main.main()


start()
