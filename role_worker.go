package yarnd

import (
	"context"
	"log/slog"
	"os"

	"github.com/yarnd/yarnd/appmaster/listen"
	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/executor"
	"github.com/yarnd/yarnd/engine/graph"
	engineworker "github.com/yarnd/yarnd/engine/worker"
)

// Shares of a worker's container memory: results stay below the first, and the
// largest executor is ended at the second, before YARN ends the whole container.
const (
	resultShare = 0.40
	limitShare  = 0.95
)

// worker is the role of the containers that run tasks.
func worker(ctx context.Context, log *slog.Logger) error {
	m, err := join(ctx, log, tokensForCommands)
	if err != nil {
		return err
	}
	defer m.close()
	ln, err := listen.Open(m.launch.Listen)
	if err != nil {
		return err
	}
	memory := float64(m.launch.Resource.MemoryMiB << 20)
	engineworker.TuneMemory()
	return engineworker.Run(ctx, engineworker.Options{
		Identity:    m.id,
		Scheduler:   m.scheduler,
		Host:        m.launch.Node,
		Pool:        m.launch.Pool,
		Slots:       m.launch.Resource.VCores,
		Memory:      uint64(memory * resultShare),
		TaskMemory:  uint64(memory * (limitShare - resultShare)),
		Named:       namedAmounts(m.launch.Resource.Named),
		MemoryLimit: uint64(memory * limitShare),
		Dir:         ".", // the container's, which YARN removes
		Listener:    ln,
		Bundle:      m.bundle,
		Funcs:       engine.Builtins(), // what a program defined runs in executors: it may crash
		Adopt:       true,
		Version:     Version,
		Log:         log,
	})
}

// tokensForCommands has commands find the owner's delegation tokens, where there are any, in a file of their own: the container's
// also has what is not theirs.
func tokensForCommands() (string, error) {
	file, err := writeDelegated()
	if err != nil || file == "" {
		return "", err
	}
	return file, os.Setenv(executor.EnvTokens, file)
}

// namedAmounts returns a container's resources besides cores and memory.
func namedAmounts(named map[string]int64) graph.Amounts {
	var out graph.Amounts
	for name, count := range named {
		out = append(out, graph.Amount{Name: name, Count: uint64(max(count, 0))})
	}
	return out.Canonical()
}
