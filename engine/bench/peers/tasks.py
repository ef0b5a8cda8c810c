"""The tasks of `go run ./engine/bench`, in Python, and its graphs (value.go, source.go)."""

MASK = (1 << 64) - 1
VALUE = 8  # bytes of a result that are its value, little-endian


def splitmix64(x):
    z = (x + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def task(i, *deps):
    """The value of task i, which is made of its number and its inputs' values."""
    return splitmix64(i + sum(deps))


def task_of_list(i, deps):
    return task(i, *deps)


def large(i, size, *deps):
    """The same as a result of so many bytes, of which the first are the value."""
    return splitmix64(i + sum(map(value_of, deps))).to_bytes(VALUE, "little") + b"\xa5" * (size - VALUE)


def value_of(result):
    return int.from_bytes(result[:VALUE], "little")


def no_deps(_):
    return ()


def deps_of(shape, n):
    """A function from a task's number to those of its dependencies."""
    def merge(i):
        return range(n - 1) if i == n - 1 else ()

    def chain(i):
        return (i - 1,) if i else ()

    def tree(i):
        at = n - 1 - i
        return [n - 1 - child for child in (2 * at + 2, 2 * at + 1) if child < n]

    def stencil(i):
        row, col = divmod(i, 1000)
        return [(row - 1) * 1000 + (col + d) % 1000 for d in (-1, 0, 1)] if row else ()

    return {"map": no_deps, "merge": merge, "chain": chain, "tree": tree, "stencil": stencil}[shape]


def sinks_of(deps, n):
    """The tasks that no other needs."""
    needed = set()
    for i in range(n):
        needed.update(deps(i))
    return [i for i in range(n) if i not in needed]


def checksum(values):
    return f"{sum(values) & MASK:016x}"
