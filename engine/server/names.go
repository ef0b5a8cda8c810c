package server

import (
	"maps"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
)

// publication is a name for a task's result, which it keeps.
type publication struct {
	task graph.TaskID
	typ  string // of the result, as the client says; not looked at
}

// publish gives a task's result a name, or takes a name back.
func (l *loop) publish(m *wire.Publish) error {
	if m.Remove {
		p := l.names[m.Name]
		if p == nil {
			return wire.Errorf(wire.NotFound, "nothing is published as %q", m.Name)
		}
		l.unpublish(m.Name, p)
		return nil
	}
	if err := checkTitle("name", m.Name); err != nil {
		return err
	}
	j, err := l.find(m.Job)
	if err != nil {
		return err
	}
	t := j.taskID(m.Index)
	if m.Index >= j.tasks {
		return wire.Errorf(wire.NotFound, "%s has no task %d", j.title(), m.Index)
	}
	if p := l.names[m.Name]; p != nil {
		if p.task == t && p.typ == m.Type {
			return nil
		}
		return wire.Errorf(wire.Conflict, "%q is published already, for task %s: another name, or Client.Unpublish(ctx, %[1]q) before", m.Name, p.task)
	}
	if l.core.Gone(t) && !l.replaying { // a snapshot may know already that it was taken back
		return wire.Errorf(wire.NotFound, "the result of task %s was released", t)
	}
	l.recordOf(j, 0, &wire.Record{Body: &wire.Record_Publish{Publish: m}})
	l.names[m.Name] = &publication{task: t, typ: m.Type}
	l.publishedAs[t] = m.Name
	j.published++
	l.step(sched.Pin{Task: t, Delta: 1})
	return nil
}

func (l *loop) unpublish(name string, p *publication) {
	l.recordOf(l.jobs[p.task.Job], 0, &wire.Record{Body: &wire.Record_Publish{Publish: &wire.Publish{Name: name, Remove: true}}})
	delete(l.names, name)
	if l.publishedAs[p.task] == name {
		delete(l.publishedAs, p.task)
	}
	l.step(sched.Pin{Task: p.task, Delta: -1})
	j := l.jobs[p.task.Job]
	if j.published--; j.published == 0 && j.detached && !l.replaying {
		l.closeJob(j, "its last published result was taken back")
	}
}

func (l *loop) lookup(name string, reply *wire.Reply) error {
	p := l.names[name]
	if p == nil {
		return wire.Errorf(wire.NotFound, "nothing is published as %q", name)
	}
	reply.Body = &wire.Reply_Name{Name: p.message(name)}
	return nil
}

func (p *publication) message(name string) *wire.Name {
	return &wire.Name{Name: name, Job: uint32(p.task.Job), Index: p.task.Index, Type: p.typ}
}

func (l *loop) listNames(reply *wire.Reply) {
	m := &wire.Names{}
	for _, name := range slices.Sorted(maps.Keys(l.names)) {
		m.Name = append(m.Name, l.names[name].message(name))
	}
	reply.Body = &wire.Reply_Names{Names: m}
}
