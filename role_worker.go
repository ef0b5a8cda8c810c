package yarnd

import (
	"context"
	"log/slog"

	"github.com/yarnd/yarnd/appmaster/listen"
	"github.com/yarnd/yarnd/engine"
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
	m, err := join(ctx, log)
	if err != nil {
		return err
	}
	defer m.close()
	ln, err := listen.Open(m.launch.Listen)
	if err != nil {
		return err
	}
	memory := float64(m.launch.Resource.MemoryMiB << 20)
	return engineworker.Run(ctx, engineworker.Options{
		Identity:    m.id,
		Scheduler:   m.scheduler,
		Host:        m.launch.Node,
		Pool:        m.launch.Pool,
		Slots:       m.launch.Resource.VCores,
		Memory:      uint64(memory * resultShare),
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
