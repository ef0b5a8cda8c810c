package packaging

import (
	"context"
	"os"
	"path/filepath"
)

// packPython makes an environment and packs it: for a version a whole Python
// with uv, which needs nothing of the nodes but glibc; for a path a virtual
// environment, which needs that Python on every node.
func packPython(ctx context.Context, s Source, to string, o PackOptions) (Packed, error) {
	scratch, err := os.MkdirTemp(filepath.Dir(to), ".yarnd-pack-")
	if err != nil {
		return Packed{}, &PackError{Source: "python://" + s.Name, Why: err.Error(), Err: err}
	}
	defer os.RemoveAll(scratch)
	uv := findTool("uv", filepath.Join(os.Getenv("HOME"), ".local", "bin"))
	var dir string
	if filepath.IsAbs(s.Name) {
		dir, err = makeVenv(ctx, s.Name, uv, scratch, o)
	} else {
		dir, err = fetchPython(ctx, s.Name, uv, scratch, o)
	}
	if err != nil {
		return Packed{}, err
	}
	return packDir(ctx, dir, s.Kind, to, o)
}

// makeVenv makes a virtual environment of an interpreter with what was asked for.
func makeVenv(ctx context.Context, python, uv, scratch string, o PackOptions) (string, error) {
	source := "python://" + python
	if _, err := os.Stat(python); err != nil {
		return "", &PackError{Source: source, Why: "it is not on this host: " + errText(err), Hint: "name the Python that this host and all nodes have", Err: err}
	}
	dir := filepath.Join(scratch, "venv")
	if uv == "" {
		o.Say("making a virtual environment of %s", python)
		if err := runTool(ctx, source, []string{python, "-m", "venv", dir}, nil); err != nil {
			return "", err
		}
	} else if err := runTool(ctx, source, []string{uv, "venv", "--no-progress", "--python", python, dir}, nil); err != nil {
		return "", err
	}
	return dir, install(ctx, source, uv, filepath.Join(dir, "bin", "python"), nil, o)
}

// fetchPython gets a Python that can be moved, and installs into it.
func fetchPython(ctx context.Context, version, uv, scratch string, o PackOptions) (string, error) {
	source := "python://" + version
	if uv == "" {
		return "", &PackError{Source: source, Why: "uv is not installed, and only it fetches a Python that works on any node",
			Hint: "see https://docs.astral.sh/uv, or use venv://PATH where the nodes have this host's Python"}
	}
	home := filepath.Join(scratch, "python")
	o.Say("fetching Python %s with %s", version, uv)
	if err := runTool(ctx, source, []string{uv, "python", "install", "--no-progress", "--no-bin", "--install-dir", home, version}, nil); err != nil {
		return "", err
	}
	found, err := filepath.Glob(filepath.Join(home, "cpython-*", "bin", "python3"))
	if err != nil || len(found) == 0 {
		return "", &PackError{Source: source, Why: "uv installed no Python in " + home, Hint: "try another version: uv python list"}
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(filepath.Dir(found[0])))
	if err != nil {
		return "", &PackError{Source: source, Why: err.Error(), Err: err}
	}
	python := filepath.Join(dir, "bin", "python")
	if _, err := os.Lstat(python); err != nil {
		if err := os.Symlink("python3", python); err != nil {
			return "", &PackError{Source: source, Why: err.Error(), Err: err}
		}
	}
	return dir, install(ctx, source, uv, python, []string{"--break-system-packages"}, o)
}

// install installs what was asked for, with uv if there is one, else with pip. Where
// pip is asked to be quiet uv is not: its --quiet hides also why it failed.
func install(ctx context.Context, source, uv, python string, more []string, o PackOptions) error {
	if len(o.Packages) == 0 && o.Requirements == "" {
		return nil
	}
	argv := append([]string{uv, "pip", "install", "--no-progress", "--link-mode", "copy", "--python", python}, more...)
	if uv == "" {
		argv = []string{python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"}
	}
	if o.Requirements != "" {
		argv = append(argv, "--requirement", o.Requirements)
	}
	o.Say("installing packages")
	return runTool(ctx, source, append(append(argv, "--"), o.Packages...), nil)
}
