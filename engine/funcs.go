package engine

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/yarnd/yarnd/engine/codec"
	"github.com/yarnd/yarnd/engine/executor"
)

// reserved begins the names of the engine's own functions, which every program that
// links this package has.
const reserved = "yarnd."

// scatterName is the function behind Scatter: its result is its payload.
const scatterName = reserved + "scatter"

func builtin(name string) bool { return strings.HasPrefix(name, reserved) }

// registry holds the functions of this program, by name.
var registry = functions{byName: map[string]executor.Func{
	scatterName: func(_ context.Context, call *executor.Call) ([]byte, error) { return bytes.Clone(call.Payload), nil },
	holdName:    func(context.Context, *executor.Call) ([]byte, error) { return []byte{0xa0}, nil },
}}

// functions is an executor.Funcs.
type functions struct {
	mu     sync.RWMutex
	byName map[string]executor.Func
}

func (f *functions) add(name string, fn executor.Func) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if name == "" || builtin(name) {
		panic(fmt.Sprintf("engine: Define(%q): a name is needed, and those that begin with %q are the engine's own", name, reserved))
	}
	if _, taken := f.byName[name]; taken {
		panic(fmt.Sprintf("engine: Define(%q): the name is taken", name))
	}
	f.byName[name] = fn
}

// Lookup finds a function.
func (f *functions) Lookup(name string) (executor.Func, bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	fn, ok := f.byName[name]
	return fn, ok
}

// Funcs returns the functions that this program has defined, for its executor.
func Funcs() executor.Funcs { return &registry }

// Builtins returns the engine's own functions alone, which a worker may run within
// its own process.
func Builtins() executor.Funcs { return builtins{} }

type builtins struct{}

func (builtins) Lookup(name string) (executor.Func, bool) {
	if !builtin(name) {
		return nil, false
	}
	return registry.Lookup(name)
}

// Names returns the names of all functions that this program has defined, sorted.
func Names() []string {
	registry.mu.RLock()
	defer registry.mu.RUnlock()
	var names []string
	for name := range registry.byName {
		if !builtin(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// TaskInfo tells a function about its run. See [Info].
type TaskInfo struct {
	Name    string // the function's
	Task    TaskID
	Attempt int    // from 1
	Host    string // as its node manager calls it
	Worker  string // the worker's container
}

type infoKey struct{}

// Info returns what is known of the run whose function got ctx.
func Info(ctx context.Context) (TaskInfo, bool) {
	r, ok := ctx.Value(infoKey{}).(*running)
	if !ok {
		return TaskInfo{}, false
	}
	return r.TaskInfo, true
}

// adapt gives fn the form in which executors call it.
func adapt[In, Out any](name string, in *codec.Codec[In], out *codec.Codec[Out], fn func(context.Context, In) (Out, error)) executor.Func {
	return func(ctx context.Context, call *executor.Call) ([]byte, error) {
		v, err := decodeInput(name, in, call)
		if err != nil {
			return nil, err
		}
		ctx, leave := enter(ctx, name, call)
		defer leave()
		result, err := fn(ctx, v)
		if err != nil {
			return nil, err
		}
		data, _, err := out.Append(nil, nil, result)
		if err != nil {
			return nil, fmt.Errorf("result of %s: %w", name, err)
		}
		return data, nil
	}
}

// decodeInput returns a task's input, with the results that its Refs name in their place.
func decodeInput[In any](name string, in *codec.Codec[In], call *executor.Call) (In, error) {
	v, err := in.Decode(call.Payload, false)
	if err == nil {
		err = in.Resolve(&v, inputs(call))
	}
	if err != nil {
		return v, fmt.Errorf("input of %s: %w", name, err)
	}
	return v, nil
}

// inputs finds the results that a call's Refs name.
func inputs(call *executor.Call) func(TaskID) ([]byte, error) {
	byTask := make(map[TaskID]*executor.Input, len(call.Inputs))
	for _, in := range call.Inputs {
		byTask[in.Task] = in
	}
	return func(id TaskID) ([]byte, error) {
		in := byTask[id]
		if in == nil {
			return nil, fmt.Errorf("the result of task %s is needed and was not sent along", id)
		}
		return in.Bytes()
	}
}
