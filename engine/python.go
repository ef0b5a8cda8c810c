package engine

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"github.com/yarnd/yarnd/engine/codec"
	"github.com/yarnd/yarnd/engine/executor"
	"github.com/yarnd/yarnd/engine/graph"
)

// PyObject is a Python object. As the result type of a Python task it keeps whatever the
// function returns, arrays with their memory, in the cluster, for other Python tasks that
// take a Ref to it.
type PyObject = codec.PyObject

// Python makes a Python function runnable on the cluster: ref is "package.module:name",
// with dots in the name for what is in a class. The module is imported from the
// environment archive or the worker's directory, by the archive's interpreter
// (environment/bin/python) or the host's python3.
//
// The function gets one argument, In: structs arrive as dicts, slices as lists, Refs as
// the values they stand for. See [Spread] for several. What it returns must be numbers,
// strings, bytes, lists and dicts of them, as Out has it; or anything that can be pickled
// if Out is [PyObject]. An exception is a failure, with its traceback as
// TaskError.Stack, and what the call printed as TaskError.Output.
//
// A worker runs one call at a time in each interpreter and as many interpreters as it
// has slots. They live on between calls, and so do imported modules.
//
// Python panics when ref is malformed, or when In or Out cannot be sent.
func Python[In, Out any](ref string, o ...PythonOption) *Task[In, Out] {
	module, name, ok := strings.Cut(ref, ":")
	if !ok || module == "" || name == "" || strings.ContainsAny(name, ": ") {
		panic(fmt.Sprintf("engine: Python(%q): write it as package.module:function", ref))
	}
	return python[In, Out](ref, executor.PythonSpec{Module: module, Name: name}, o)
}

// PythonPickle makes a Python function runnable that is given as a pickle, as
// cloudpickle.dumps makes it of any function. The environment must have cloudpickle
// then. The name is for people. It panics like [Python].
func PythonPickle[In, Out any](name string, pickle []byte, o ...PythonOption) *Task[In, Out] {
	if name == "" || len(pickle) == 0 {
		panic(fmt.Sprintf("engine: PythonPickle(%q): a name and a pickle are needed", name))
	}
	return python[In, Out](name, executor.PythonSpec{Pickle: pickle}, o)
}

func python[In, Out any](name string, spec executor.PythonSpec, o []PythonOption) *Task[In, Out] {
	in, err := codec.For[In]()
	if err != nil {
		panic(fmt.Sprintf("engine: Python(%q): input %v", name, err))
	}
	out, err := codec.For[Out]()
	if err != nil {
		panic(fmt.Sprintf("engine: Python(%q): result %v", name, err))
	}
	if out.HasRefs() {
		panic(fmt.Sprintf("engine: Python(%q): the result type %s holds Refs, which only inputs can", name, out.Type()))
	}
	spec.Version = executor.PythonVersion
	if _, object := any(*new(Out)).(PyObject); object {
		spec.Result = executor.PythonPickle
	}
	s := pythonSettings{class: graph.Class{Name: name, Kind: graph.KindPython}, spec: spec}
	for _, opt := range o {
		opt.python(&s)
	}
	if s.class.Spec, err = json.Marshal(&s.spec); err != nil {
		panic(fmt.Sprintf("engine: Python(%q): %v", name, err))
	}
	return &Task[In, Out]{class: s.class, in: in.Append, out: &kind[Out]{out, name}}
}

// PythonOption changes how a Python function runs.
type PythonOption interface{ python(*pythonSettings) }

type pythonSettings struct {
	class graph.Class
	spec  executor.PythonSpec
}

type pythonOption func(*executor.PythonSpec)

func (o pythonOption) python(s *pythonSettings) { o(&s.spec) }

// Spread gives the function's input as arguments: the fields of a struct and the entries
// of a map by their names, the elements of a slice in order.
func Spread() PythonOption {
	return pythonOption(func(s *executor.PythonSpec) { s.Call = executor.PythonSpread })
}

// Interpreter names the interpreter: its path on the workers' hosts, or below the
// worker's directory, as "./venv/bin/python", or a program of the PATH.
func Interpreter(path string) PythonOption {
	return pythonOption(func(s *executor.PythonSpec) { s.Interpreter = path })
}

// ProcessOption changes the process in which a command or a Python function runs.
type ProcessOption interface {
	CommandOption
	PythonOption
}

type envOption map[string]string

func (o envOption) command(s *commandSettings) { s.spec.Env = maps.Clone(o) }

func (o envOption) python(s *pythonSettings) { s.spec.Env = maps.Clone(o) }

// Env adds variables to the environment of the command, or of the interpreter, which is
// otherwise the worker's.
func Env(vars map[string]string) ProcessOption { return envOption(vars) }
