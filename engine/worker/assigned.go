package worker

import (
	"errors"
	"fmt"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/local"
	"github.com/yarnd/yarnd/engine/wire"
)

var (
	errNoClass = errors.New("an attempt of a class that was not declared")
	errNotMore = errors.New("an attempt has more inputs, and others came")
)

// assigned hands attempts to the core. One whose inputs fill several frames is handed
// over when all have come.
func (w *worker) assigned(m *wire.Assign) error {
	tasks := slices.Grow(w.spare.tasks[:0], m.Len())[:m.Len()]
	w.spare.tasks = tasks
	defer clear(tasks)
	var class *local.Class
	var last wire.Assignment
	for i := range tasks {
		row := m.At(i)
		if i == 0 && w.large != nil {
			if w.large.Key != (local.Key{Task: row.Task, Attempt: row.Attempt}) {
				return fmt.Errorf("%w: task %s, then %s", errNotMore, w.large.Task, row.Task)
			}
			tasks[0], w.large = *w.large, nil
			addInputs(&tasks[0], &row)
			continue
		}
		if class == nil || row.Task.Job != last.Task.Job || row.Class != last.Class {
			class, last = w.classes[row.Task.Job][row.Class], row
		}
		if class == nil {
			return fmt.Errorf("%w: task %s, class %d", errNoClass, row.Task, row.Class)
		}
		t := &tasks[i]
		t.Key = local.Key{Task: row.Task, Attempt: row.Attempt}
		t.Class, t.Payload = class, row.Payload
		addInputs(t, &row)
	}
	if m.More > 0 {
		large := tasks[len(tasks)-1]
		w.large, tasks = &large, tasks[:len(tasks)-1]
	}
	w.core.Step(local.Assigned{Tasks: tasks})
	return nil
}

// addInputs appends the inputs of a row.
func addInputs(t *local.Assignment, row *wire.Assignment) {
	n := row.Inputs()
	if n == 0 {
		return
	}
	first := len(t.Inputs)
	t.Inputs = slices.Grow(t.Inputs, n)[:first+n]
	for j := range n {
		in := row.Input(j)
		to := &t.Inputs[first+j]
		*to = local.Input{Key: local.Key{Task: in.Task, Attempt: in.Attempt}, Size: in.Size, Inline: in.Inline}
		for _, h := range in.Holders {
			to.Holders = append(to.Holders, graph.WorkerID(h))
		}
	}
}
