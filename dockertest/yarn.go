package dockertest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// App is what the ResourceManager says of an application: the other witness, in tests of programs that ask it
// through RPC.
type App struct {
	ID              string `json:"id"`
	User            string `json:"user"`
	Name            string `json:"name"`
	Queue           string `json:"queue"`
	Type            string `json:"applicationType"`
	Tags            string `json:"applicationTags"`
	State           string `json:"state"`       // NEW … ACCEPTED RUNNING FINISHED FAILED KILLED
	FinalStatus     string `json:"finalStatus"` // UNDEFINED SUCCEEDED FAILED KILLED
	TrackingURL     string `json:"trackingUrl"`
	Diagnostics     string `json:"diagnostics"`
	Containers      int    `json:"runningContainers"` // -1 when it is over
	AllocatedMB     int    `json:"allocatedMB"`
	AllocatedVcores int    `json:"allocatedVCores"`
}

// Over says whether the application has ended, in whatever way.
func (a App) Over() bool {
	return a.State == "FINISHED" || a.State == "FAILED" || a.State == "KILLED"
}

// App returns one application. It fails the test if there is none of that id.
func (c *Cluster) App(t testing.TB, id string) App {
	t.Helper()
	var answer struct{ App App }
	if err := c.rest(t.Context(), http.MethodGet, "apps/"+id, nil, &answer); err != nil {
		t.Fatal(err)
	}
	return answer.App
}

// AwaitApp looks at the application until it is as wanted, and returns it. It fails the test after timeout, or at once
// if the application is over and still not as wanted.
func (c *Cluster) AwaitApp(t testing.TB, id string, timeout time.Duration, wanted func(App) bool) App {
	t.Helper()
	deadline := time.Now().Add(timeout)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		app := c.App(t, id)
		switch {
		case wanted(app):
			return app
		case app.Over():
			t.Fatalf("the application is over and not as wanted: %+v", app)
		case time.Now().After(deadline):
			t.Fatalf("after %v the application is not as wanted: %+v", timeout, app)
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

// RunCommand submits an application that is one container of that many MB running a shell command, and returns its id:
// the simplest application there is, for tests of the cluster. It never registers: it stays ACCEPTED while it runs, the
// ResourceManager gives it up after 30 s, and FAILED is its end.
func (c *Cluster) RunCommand(t testing.TB, user string, memoryMB int, command string) string {
	t.Helper()
	return c.RunCommandIn(t, "default", user, memoryMB, command)
}

// RunCommandIn is RunCommand in a queue.
func (c *Cluster) RunCommandIn(t testing.TB, queue, user string, memoryMB int, command string) string {
	t.Helper()
	var fresh struct {
		ID string `json:"application-id"`
	}
	as := "?" + url.Values{"user.name": {user}}.Encode()
	if err := c.rest(t.Context(), http.MethodPost, "apps/new-application"+as, nil, &fresh); err != nil {
		t.Fatal(err)
	}
	type object = map[string]any
	submission := object{
		"application-id": fresh.ID, "application-name": t.Name(), "max-app-attempts": 1, "queue": queue,
		"resource":          object{"memory": memoryMB, "vCores": 1},
		"am-container-spec": object{"commands": object{"command": command + " 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr"}},
	}
	if err := c.rest(t.Context(), http.MethodPost, "apps"+as, submission, nil); err != nil {
		t.Fatal(err)
	}
	return fresh.ID
}

// rest calls the ResourceManager's REST API at /ws/v1/cluster/path, with body as JSON if not nil, and decodes the
// answer into into, if that is not nil.
func (c *Cluster) rest(ctx context.Context, method, path string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.RMWeb()+"/ws/v1/cluster/"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	res, err := c.HTTP().Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, req.URL.Path, res.Status, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}
