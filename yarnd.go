package yarnd

import (
	"context"

	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
)

// The engine's types, as documented there.
type (
	// Task is a function or command that can be run on a cluster.
	Task[In, Out any] = engine.Task[In, Out]
	// Future is a result to come.
	Future[T any] = engine.Future[T]
	// Batch is many results to come.
	Batch[T any] = engine.Batch[T]
	// Ref stands in a task's input for another task's result: an edge of the graph.
	Ref[T any] = engine.Ref[T]
	// Job is a named list of tasks that outlives its client.
	Job = engine.Job
	// Client is a connection to a scheduler.
	Client = engine.Client
	// TaskError is a task's failure.
	TaskError = engine.TaskError
	// TaskOption says how tasks of a kind run.
	TaskOption = engine.TaskOption
	// CommandOption says how a command runs.
	CommandOption = engine.CommandOption
	// SubmitOption says how one submission runs.
	SubmitOption = engine.SubmitOption
	// CommandResult is what a command left.
	CommandResult = engine.CommandResult
)

// Define names a function that can run on a cluster. It is called from package
// variables: every process of the cluster must know it. See [engine.Define].
func Define[In, Out any](name string, fn func(context.Context, In) (Out, error), o ...TaskOption) *Task[In, Out] {
	return engine.Define(name, fn, o...)
}

// Command is a task that runs a command line, in which "{}" is replaced by the
// task's input. See [engine.Command].
func Command(argv []string, o ...CommandOption) *Task[string, CommandResult] {
	return engine.Command(argv, o...)
}

// Spec says what cluster to start; see [edgeclient.Request].
type Spec = edgeclient.Request

// Resources of one container.
type Resources = edgeclient.Resources

// Submit starts a cluster of this very program on the Hadoop cluster that the
// configuration names, and connects to it. Close leaves it running. With Spec.IDFile, or
// Spec.Name and Spec.IfNotExists, a program that is started again, also after it was killed
// in the middle of Submit, gets the cluster of before; then an error of Submit ends no
// cluster, as others may use it.
func Submit(ctx context.Context, spec Spec) (*Cluster, error) {
	return submit(ctx, edgeclient.Options{}, spec)
}

// Connect opens a running application by what names it: its id, "last",
// "current", "name:NAME", a suffix of its id, or the HOST:PORT of a scheduler that was
// started by hand. Close leaves it running.
//
// "" is the current application: YARND_APP, any of these, or what yarnd connect
// remembered in ~/.yarnd/current, which is forgotten with its end. Where there is none, and no Hadoop configuration either, it starts a cluster of this
// machine's cores, as Local does, and says so on standard error.
func Connect(ctx context.Context, app string) (*Cluster, error) {
	return connect(ctx, edgeclient.Options{}, app)
}

// Local starts n workers, with one slot each, as processes of this very program
// on this machine, and connects to them. Close ends them, and so does the program's end.
func Local(ctx context.Context, n int) (*Cluster, error) {
	c, err := submit(ctx, edgeclient.Options{Provider: "local", Leash: true}, Spec{Workers: n, Name: "local"})
	if err != nil {
		return nil, err
	}
	c.ends = true
	return c, nil
}
