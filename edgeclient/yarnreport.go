package edgeclient

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/logagg"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

func (y *yarnCluster) Report(ctx context.Context, app string) (Report, error) {
	id, err := yarn.ParseApplicationID(app)
	if err != nil {
		return Report{}, usagef("Give an id such as application_1700000000000_0001", "%q is no application id of YARN", app)
	}
	var r *pb.ApplicationReport
	err = y.call(ctx, "no report of "+app, func(ctx context.Context) (err error) {
		r, err = y.rm.Report(ctx, id)
		return err
	})
	if err != nil {
		return Report{}, err
	}
	if r.GetApplicationType() != ApplicationType {
		return Report{}, &Fault{Code: NotFound, What: fmt.Sprintf("%s is of type %s, not %s", app, r.GetApplicationType(), ApplicationType), Next: "See yarnd list --all"}
	}
	return y.reportOf(r), nil
}

func (y *yarnCluster) List(ctx context.Context, f Filter) ([]Report, error) {
	req := &pb.GetApplicationsRequest{ApplicationTypes: []string{ApplicationType}}
	if f.User != "" {
		req.Users = []string{f.User}
	}
	if f.Queue != "" {
		req.Queues = []string{f.Queue}
	}
	if !f.All {
		req.ApplicationStates = []pb.ApplicationState{pb.ApplicationState_NEW, pb.ApplicationState_NEW_SAVING,
			pb.ApplicationState_SUBMITTED, pb.ApplicationState_ACCEPTED, pb.ApplicationState_RUNNING}
	}
	var apps []*pb.ApplicationReport
	err := y.call(ctx, "cannot list applications", func(ctx context.Context) (err error) {
		apps, err = y.rm.Applications(ctx, req)
		return err
	})
	if err != nil {
		return nil, err
	}
	var out []Report
	for _, a := range apps {
		if r := y.reportOf(a); f.Name == "" || r.Name == f.Name {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, newestFirst)
	return out, nil
}

func newestFirst(a, b Report) int {
	if c := b.Started.Compare(a.Started); c != 0 {
		return c
	}
	return strings.Compare(b.ID, a.ID)
}

// Kill asks until the ResourceManager says that the application ended; that
// takes as long as its containers take to stop, so it has more time than a call.
func (y *yarnCluster) Kill(ctx context.Context, app, why string) error {
	id, err := yarn.ParseApplicationID(app)
	if err != nil {
		return &Fault{Code: Usage, What: "cannot kill", Why: err}
	}
	if y.no != nil {
		return y.no
	}
	if err := y.rm.KillAndWait(ctx, id, why); err != nil {
		if ctx.Err() != nil {
			return wrap(TimedOut, app+" has not ended yet", context.Cause(ctx), "Run yarnd kill again")
		}
		return y.fault("cannot kill "+app, err)
	}
	return nil
}

func (y *yarnCluster) FinishedLogs(ctx context.Context, r Report, yield func(LogFile) error) error {
	f, err := y.FS(ctx)
	if err != nil {
		return err
	}
	logs, err := logagg.Open(ctx, f, y.conf, r.ID, r.User)
	if err != nil {
		next := "Log aggregation may still be under way, or be off (yarn.log-aggregation-enable). Try again in a minute"
		if errors.Is(err, fs.ErrPermission) {
			return &Fault{Code: Auth, What: "cannot read the logs of " + r.ID, Why: err, Next: "Ask " + r.User}
		}
		return wrap(NotFound, "no aggregated logs of "+r.ID, err, next)
	}
	if pending := logs.Pending(); len(pending) > 0 {
		y.opts.Progress("the logs are not complete yet: %s still upload", strings.Join(pending, ", "))
	}
	return eachLog(ctx, logs, yield)
}

// reportOf maps the ResourceManager's report, with its word for us.
func (y *yarnCluster) reportOf(a *pb.ApplicationReport) Report {
	r := reportOf(a)
	r.guarded = ipc.Secure(y.conf)
	if m := a.GetClientToAmToken(); len(m.GetPassword()) > 0 && m.GetKind() == token.KindClientToAM {
		t := yarn.TokenFromPB(m)
		r.letter = func() token.Token { return t }
	}
	return r
}

// reportOf maps the ResourceManager's report.
func reportOf(a *pb.ApplicationReport) Report {
	state := a.GetYarnApplicationState().String()
	if state == "NEW_SAVING" {
		state = string(StateNew)
	}
	r := Report{
		ID: yarn.ApplicationIDFromPB(a.GetApplicationId()).String(), Name: a.GetName(), User: a.GetUser(), Queue: a.GetQueue(),
		State: State(state), Tags: a.GetApplicationTags(), Progress: a.GetProgress(),
		TrackingURL: a.GetTrackingUrl(), Started: time.UnixMilli(a.GetStartTime()).UTC(),
	}
	if a.CurrentApplicationAttemptId != nil {
		r.Attempt = yarn.AttemptIDFromPB(a.GetCurrentApplicationAttemptId()).String()
	}
	if r.State.Ended() {
		r.Final = strings.TrimPrefix(a.GetFinalApplicationStatus().String(), "APP_")
		r.Finished = time.UnixMilli(a.GetFinishTime()).UTC()
	}
	if d := strings.TrimSpace(a.GetDiagnostics()); d != "" && d != "N/A" {
		r.Diagnostics = d
	}
	if a.GetRpcPort() > 0 && a.GetHost() != "" && a.GetHost() != "N/A" && !r.State.Ended() {
		r.Endpoint = fmt.Sprintf("%s:%d", a.GetHost(), a.GetRpcPort())
	}
	return r
}
