package executor

import "sync"

// farReads answers reads of inputs that lie elsewhere, some at once, so that they hold up
// neither one another nor those of inputs that are here.
type farReads struct {
	wg sync.WaitGroup

	mu    sync.Mutex
	queue []farRead
	busy  int // goroutines that answer
}

type farRead struct {
	read
	in *TaskInput
}

// maxFar is how many are answered at once, for one executor. Each takes a buffer of
// chunkSize.
const maxFar = 16

// add queues a read. It never waits: an executor that asks for more than it can take
// costs this process some bytes for each, and ends at maxQueued.
func (f *farReads) add(p *process, r read, in *TaskInput) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) >= maxQueued {
		p.kill()
		return
	}
	f.queue = append(f.queue, farRead{r, in})
	if f.busy < maxFar {
		f.busy++
		f.wg.Go(func() { f.run(p) })
	}
}

// maxQueued is how many reads of an executor may wait. Its calls have some each.
const maxQueued = 1 << 16

func (f *farReads) run(p *process) {
	buf := make([]byte, 0, chunkSize)
	for {
		f.mu.Lock()
		if len(f.queue) == 0 {
			f.queue = nil
			f.busy--
			f.mu.Unlock()
			return
		}
		next := f.queue[0]
		f.queue = f.queue[1:]
		f.mu.Unlock()
		p.sendPiece(next.read, next.in, buf)
	}
}

// wait waits for those under way.
func (f *farReads) wait() { f.wg.Wait() }
