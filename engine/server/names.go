package server

import (
	"fmt"
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

// requestUnpublish takes a name back. Who asks again, as the connection broke when it was answered, has had it done: by
// now the name may be another's.
func (l *loop) requestUnpublish(s *session, id uint64, name string) error {
	if slices.Contains(s.removed, id) {
		return nil
	}
	p := l.names[name]
	if p == nil {
		return wire.Errorf(wire.NotFound, "nothing is published as %q; what nobody used for long has ended, which yarnd events says", name)
	}
	l.unpublish(name, p, s, id)
	return nil
}

// maxRemoved bounds the requests that a session remembers to have taken names back.
const maxRemoved = 1024

func (s *session) keepRemoved(id uint64) {
	s.removed = append(s.removed, id)
	s.removed = s.removed[max(0, len(s.removed)-maxRemoved):]
}

// recallUnpublish takes in that a name was taken back; without a name that was before the snapshot.
func (l *loop) recallUnpublish(client graph.ClientID, m *wire.Publish) error {
	s := l.ids[client]
	if s == nil {
		s = newSession(client, "") // it has ended since
	}
	p := l.names[m.Name]
	switch {
	case p != nil:
		l.unpublish(m.Name, p, s, m.Request)
	case m.Name == "":
		s.keepRemoved(m.Request)
	default:
		return fmt.Errorf("the name %q is taken back, and is not there", m.Name)
	}
	return nil
}

// publish gives a task's result a name.
func (l *loop) publish(m *wire.Publish) error {
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

func (l *loop) unpublish(name string, p *publication, s *session, id uint64) {
	l.takeBack(name, p, s, id)
	if j := l.jobs[p.task.Job]; j.published == 0 && j.detached && !l.replaying {
		l.closeJob(j, "its last published result was taken back")
	}
}

// takeBack is unpublish that leaves the job there.
func (l *loop) takeBack(name string, p *publication, s *session, id uint64) {
	s.keepRemoved(id)
	l.recordOf(l.jobs[p.task.Job], s.id, &wire.Record{Body: &wire.Record_Publish{Publish: &wire.Publish{Name: name, Remove: true, Request: id}}})
	delete(l.names, name)
	if l.publishedAs[p.task] == name {
		delete(l.publishedAs, p.task)
	}
	l.step(sched.Pin{Task: p.task, Delta: -1})
	l.jobs[p.task.Job].published--
}

func (l *loop) lookup(name string, reply *wire.Reply) error {
	p := l.names[name]
	if p == nil {
		return wire.Errorf(wire.NotFound, "nothing is published as %q; what nobody used for long has ended, which yarnd events says", name)
	}
	l.use(l.jobs[p.task.Job])
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
