package engine

import (
	"encoding/json"
	"fmt"

	"github.com/yarnd/yarnd/engine/codec"
	"github.com/yarnd/yarnd/engine/executor"
	"github.com/yarnd/yarnd/engine/graph"
)

// CommandResult is what a command gave.
type CommandResult = executor.CommandResult

// Command makes a command line runnable on the cluster: argv[0] is a program on the
// workers' hosts, "{}" anywhere in an argument becomes the item, which is the task's
// input. There is no shell, unless argv[0] is one. An exit code other than 0 is a
// failure: see [OKExit] and [KeepExit]. It panics when argv is empty.
func Command(argv []string, o ...CommandOption) *Task[string, CommandResult] {
	if len(argv) == 0 || argv[0] == "" {
		panic("engine: Command without a program")
	}
	out, err := codec.For[CommandResult]()
	if err != nil {
		panic(fmt.Sprintf("engine: Command: %v", err))
	}
	s := commandSettings{
		class: graph.Class{Name: argv[0], Kind: graph.KindCommand},
		spec:  executor.CommandSpec{Argv: argv},
	}
	for _, opt := range o {
		opt.command(&s)
	}
	if s.class.Spec, err = json.Marshal(&s.spec); err != nil {
		panic(fmt.Sprintf("engine: Command(%q): %v", argv[0], err))
	}
	return &Task[string, CommandResult]{class: s.class, in: appendItem, out: &kind[CommandResult]{out, argv[0]}}
}

// appendItem appends a command's item as it is.
func appendItem(dst []byte, deps []TaskID, item string) ([]byte, []TaskID, error) {
	return append(dst, item...), deps, nil
}

// Dir sets the command's working directory, relative to the worker's container.
func Dir(dir string) CommandOption {
	return commandOption(func(s *executor.CommandSpec) { s.Dir = dir })
}

// Stdin gives the item to the command on standard input.
func Stdin() CommandOption {
	return commandOption(func(s *executor.CommandSpec) { s.Stdin = true })
}

// Interactive gives the command on standard input what [Feed] brings while it runs.
func Interactive() CommandOption {
	return commandOption(func(s *executor.CommandSpec) { s.Feed = true })
}

// OKExit takes these exit codes for success, besides 0.
func OKExit(codes ...int) CommandOption {
	return commandOption(func(s *executor.CommandSpec) { s.OK = codes })
}

// KeepExit takes every exit code for success; CommandResult.Exit tells it. An end by
// a signal stays a failure.
func KeepExit() CommandOption {
	return commandOption(func(s *executor.CommandSpec) { s.Keep = true })
}

// OutputLimit sets how many bytes the command may write to standard output, which is
// the result: a command that writes more fails. It is 64 MiB otherwise.
func OutputLimit(bytes int64) CommandOption {
	return commandOption(func(s *executor.CommandSpec) { s.StdoutLimit = bytes })
}

// Literal leaves "{}" in arguments alone; with [Stdin] the item is input only.
func Literal() CommandOption {
	return commandOption(func(s *executor.CommandSpec) { s.Literal = true })
}

// Live makes what the command writes readable while it runs: see [Follow]. It takes
// every exit code for success, as KeepExit does, and keeps as much of standard error as
// of standard output; an end by a signal has the exit code 128+n.
func Live() CommandOption {
	return commandOption(func(s *executor.CommandSpec) {
		s.Live, s.Keep = true, true
		if s.StderrLimit == 0 {
			s.StderrLimit = executor.DefaultStdoutLimit
		}
	})
}
