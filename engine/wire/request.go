package wire

import (
	"errors"
	"fmt"

	"github.com/yarnd/yarnd/engine/graph"
)

// Check reports whether the message names a dialer of sound values.
func (m *Hello) Check() error {
	err := errors.Join(checkName("build", m.Build))
	switch who := m.Who.(type) {
	case *Hello_Worker:
		w := who.Worker
		err = errors.Join(err, checkName("name", w.Name), checkName("host", w.Host), checkName("pool", w.Pool), checkName("data address", w.DataAddress))
		if w.Slots > 1<<16-1 {
			err = errors.Join(err, fmt.Errorf("%d slots: the limit is %d", w.Slots, 1<<16-1))
		}
	case *Hello_Client:
		err = errors.Join(err, checkName("user", who.Client.User), checkName("host", who.Client.Host), checkName("session", who.Client.Session))
	default:
		err = errors.Join(err, errors.New("neither a worker nor a client"))
	}
	return err
}

// Check reports whether the request has a body within every limit.
func (m *Request) Check() error {
	switch b := m.Body.(type) {
	case nil:
		return nil // of a later version: it is refused, the connection lives
	case *Request_OpenJob:
		return checkName("job name", b.OpenJob.Name)
	case *Request_Submit:
		return b.Submit.Check()
	case *Request_SubmitRange:
		if n := len(b.SubmitRange.Payload); n > MaxRangePayload {
			return fmt.Errorf("payload of %d bytes for a range: the limit is %d", n, MaxRangePayload)
		}
	case *Request_Release:
		return sameLen(len(b.Release.From), "count", len(b.Release.Count))
	case *Request_Cancel:
		return sameLen(len(b.Cancel.From), "count", len(b.Cancel.Count))
	case *Request_Classes:
		return b.Classes.Check()
	case *Request_Locate:
		if n := len(b.Locate.Index); n > MaxLocate {
			return fmt.Errorf("locate of %d tasks: the limit is %d", n, MaxLocate)
		}
	case *Request_Publish:
		return errors.Join(checkName("name", b.Publish.Name), checkName("type", b.Publish.Type))
	case *Request_Lookup:
		return checkName("name", b.Lookup.Name)
	case *Request_Gate:
		return checkName("name", b.Gate.Name)
	case *Request_Call:
		return errors.Join(checkName("actor", b.Call.Actor), checkName("method", b.Call.Method))
	case *Request_Serve:
		return b.Serve.GetBegun().Check()
	case *Request_Answer:
		if n := len(b.Answer.Result); n > MaxCall {
			return fmt.Errorf("answer of %d bytes: the limit is %d", n, MaxCall)
		}
		if f := b.Answer.Failure; f != nil {
			return f.Check()
		}
	case *Request_ListTasks:
		return checkName("state", b.ListTasks.State)
	case *Request_PutBundle:
		if n := len(b.PutBundle.Digest); n != len(graph.Digest{}) {
			return fmt.Errorf("bundle digest of %d bytes", n)
		}
	}
	return nil
}

// Check reports whether the reply's columns agree.
func (m *Reply) Check() error {
	switch b := m.Body.(type) {
	case *Reply_Ended:
		return b.Ended.Check()
	case *Reply_Tasks:
		t := b.Tasks
		return sameLen(len(t.Index), "state", len(t.State), "class", len(t.Class), "worker", len(t.Worker), "attempt", len(t.Attempt), "started_ms", len(t.StartedMs), "ended_ms", len(t.EndedMs))
	case *Reply_Retried:
		return sameLen(len(b.Retried.Job), "index", len(b.Retried.Index))
	case *Reply_Task:
		if f := b.Task.Failure; f != nil {
			return f.Check()
		}
	case *Reply_Answered:
		if f := b.Answered.Failure; f != nil {
			return f.Check()
		}
	case *Reply_Delivery:
		return b.Delivery.GetBegun().Check()
	case *Reply_Bundle:
		if n := len(b.Bundle.Digest); n != len(graph.Digest{}) {
			return fmt.Errorf("bundle digest of %d bytes", n)
		}
	}
	return nil
}
