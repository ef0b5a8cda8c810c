package yarn

import (
	"context"
	"fmt"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

// Pauses between questions about an application: the first is short, because the answer often is there at once;
// the longest is Java's (yarn.client.application-client-protocol.poll-interval-ms).
const (
	firstPoll = 10 * time.Millisecond
	lastPoll  = 200 * time.Millisecond
)

// poll asks until the answer is yes, with growing pauses.
func poll(ctx context.Context, ask func() (bool, error)) error {
	t := time.NewTimer(0)
	defer t.Stop()
	for pause := firstPoll; ; pause = min(2*pause, lastPoll) {
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if ok, err := ask(); ok || err != nil {
			return err
		}
		t.Reset(pause)
	}
}

// SubmitAndWait submits and waits until the ResourceManager has accepted the application (its state is ACCEPTED or
// later), and returns the report. An application that is refused gives a *RejectedError.
//
// A ResourceManager that fails over between taking note of an application and storing it forgets it; it is then
// submitted again under the same id. Source: YarnClientImpl.submitApplication (3.4.2).
func (c *Client) SubmitAndWait(ctx context.Context, app *pb.ApplicationSubmissionContext) (*pb.ApplicationReport, error) {
	id := ApplicationIDFromPB(app.GetApplicationId())
	if err := c.Submit(ctx, app); err != nil {
		return nil, err
	}
	var rep *pb.ApplicationReport
	err := poll(ctx, func() (bool, error) {
		var err error
		rep, err = c.Report(ctx, id)
		if IsNotFound(err) {
			return false, c.Submit(ctx, app)
		}
		return pastSubmitted(rep), err
	})
	if err != nil {
		return nil, fmt.Errorf("submit %s: %w", id, err)
	}
	return rep, rejection(id, rep)
}

func pastSubmitted(r *pb.ApplicationReport) bool {
	switch r.GetYarnApplicationState() {
	case pb.ApplicationState_NEW, pb.ApplicationState_NEW_SAVING, pb.ApplicationState_SUBMITTED:
		return false
	}
	return true
}

// rejection tells a refused application from one that was accepted and ended quickly: the latter has an attempt.
func rejection(id ApplicationID, r *pb.ApplicationReport) error {
	s := r.GetYarnApplicationState()
	ended := s == pb.ApplicationState_FAILED || s == pb.ApplicationState_KILLED
	if !ended || r.GetCurrentApplicationAttemptId().GetAttemptId() > 0 {
		return nil
	}
	return &RejectedError{ID: id, State: s, Diagnostics: r.GetDiagnostics()}
}

// KillAndWait kills an application and waits until the ResourceManager says that it has ended.
func (c *Client) KillAndWait(ctx context.Context, id ApplicationID, diagnostics string) error {
	err := poll(ctx, func() (bool, error) { return c.Kill(ctx, id, diagnostics) })
	if err != nil {
		return fmt.Errorf("kill %s: %w", id, err)
	}
	return nil
}
