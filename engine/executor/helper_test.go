package executor

import (
	"context"
	"sync"
	"testing"
)

// blocking is a manager whose tasks can be waited for.
type blocking struct {
	*Manager
	lock   sync.Mutex
	ends   map[*Task]chan Report
	others []Report // Kept
	deaths [][]*Task
}

func newBlocking(o Options) (*blocking, error) {
	m := &blocking{ends: map[*Task]chan Report{}}
	o.Report = m.took
	if o.Slots == 0 {
		o.Slots = 1000
	}
	var err error
	m.Manager, err = NewManager(o)
	return m, err
}

func (m *blocking) took(reports []Report) {
	m.lock.Lock()
	defer m.lock.Unlock()
	var dead []*Task
	for _, r := range reports {
		if r.Died {
			dead = append(dead, r.Task)
		}
	}
	if dead != nil {
		m.deaths = append(m.deaths, dead)
	}
	for _, r := range reports {
		if r.What == Kept {
			m.others = append(m.others, r)
			continue
		}
		m.ends[r.Task] <- r
		delete(m.ends, r.Task)
	}
}

// died returns which tasks died together.
func (m *blocking) died() [][]*Task {
	m.lock.Lock()
	defer m.lock.Unlock()
	return m.deaths
}

// start runs tasks, of one place, and returns where each one's end can be waited for.
func (m *blocking) start(tasks ...*Task) []chan Report {
	ends := make([]chan Report, len(tasks))
	m.lock.Lock()
	for i, t := range tasks {
		t.Place = m.Place(t.Class)
		ends[i] = make(chan Report, 1)
		m.ends[t] = ends[i]
	}
	m.lock.Unlock()
	m.Manager.Run(tasks)
	return ends
}

// Run runs a task to its end, which comes soon when ctx ends.
func (m *blocking) Run(ctx context.Context, t *Task) Result {
	mine := *t
	end := m.start(&mine)[0]
	select {
	case r := <-end:
		return r.Result
	case <-ctx.Done():
	}
	m.Stop(&mine)
	return (<-end).Result
}

func manager(t *testing.T, o Options) *blocking {
	t.Helper()
	m, err := newBlocking(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close(); m.Close() })
	return m
}
