package wire

import (
	"errors"
	"fmt"
)

// Check reports whether a record of a journal has what this version knows, with columns
// that agree with one another.
func (m *Record) Check() error {
	if len(m.ProtoReflect().GetUnknown()) > 0 || m.Body == nil {
		return errors.New("it was written by a newer version of yarnd: take that one")
	}
	switch b := m.Body.(type) {
	case *Record_Session:
		return errors.Join(checkName("session", b.Session.Token), checkName("user", b.Session.User), checkName("host", b.Session.Host))
	case *Record_Job:
		return errors.Join(checkName("job name", b.Job.Name), checkName("user", b.Job.Owner))
	case *Record_Classes:
		return b.Classes.Check()
	case *Record_Submit:
		return b.Submit.Check()
	case *Record_Release:
		return sameLen(len(b.Release.From), "count", len(b.Release.Count))
	case *Record_Publish:
		return errors.Join(checkName("name", b.Publish.Name), checkName("type", b.Publish.Type))
	case *Record_Facts:
		return b.Facts.Check()
	case *Record_Retried:
		return sameLen(len(b.Retried.Retried.GetJob()), "index", len(b.Retried.Retried.GetIndex()))
	case *Record_Took:
		return sameLen(len(b.Took.Job), "class", len(b.Took.Class), "micros", len(b.Took.Micros))
	case *Record_Log:
		return sameLen(len(b.Log.From), "count", len(b.Log.Count))
	}
	return nil
}

// Check reports whether the columns agree.
func (m *Facts) Check() error {
	n := len(m.Kind)
	if m.Quiet || len(m.End) > 0 {
		if len(m.End) != n {
			return fmt.Errorf("%d facts with %d times", n, len(m.End))
		}
	}
	from := uint32(0)
	for _, end := range m.InlineEnd {
		if end < from || uint64(end) > uint64(len(m.Inline)) {
			return fmt.Errorf("a result that ends at %d, after %d, of %d bytes", end, from, len(m.Inline))
		}
		from = end
	}
	return sameLen(n, "job", len(m.Job), "index", len(m.Index), "attempt", len(m.Attempt), "size", len(m.Size))
}
