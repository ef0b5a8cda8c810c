package yarnd

import (
	"context"
	"log/slog"
	"os"

	"github.com/yarnd/yarnd/engine"
	engineworker "github.com/yarnd/yarnd/engine/worker"
)

// resultShare is the part of a worker's memory that results may take: the rest is
// for the tasks that run.
const resultShare = 0.4

// worker is the role of the containers that run tasks.
func worker(ctx context.Context, log *slog.Logger) error {
	m, err := join(ctx, log)
	if err != nil {
		return err
	}
	defer m.close()
	host := m.launch.Node
	if host == "" {
		host, _ = os.Hostname()
	}
	return engineworker.Run(ctx, engineworker.Options{
		Identity:  m.id,
		Scheduler: m.scheduler,
		Name:      m.launch.Container,
		Host:      host,
		Pool:      m.launch.Pool,
		Slots:     m.launch.Resource.VCores,
		Memory:    uint64(float64(m.launch.Resource.MemoryMiB<<20) * resultShare),
		Dir:       bundleDir(),
		Listen:    m.listen(),
		Funcs:     engine.Builtins(), // what a program defined runs in executors: it may crash
		Log:       log,
	})
}
