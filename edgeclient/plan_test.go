package edgeclient

import (
	"os"
	"path/filepath"
	"testing"
)

// A plan makes the checks of a submission, tells what would be uploaded, and changes
// nothing.
func TestPlan(t *testing.T) {
	c, s, root := newStage(t)
	caches := filepath.Join(os.Getenv("XDG_CACHE_HOME"), "yarnd")
	bundle, settled := staticProgram(t), "/etc/passwd" // old enough for the index
	data := filepath.Join(t.TempDir(), "data.txt")
	if err := os.WriteFile(data, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := Request{Bundle: bundle, Files: []string{data, settled}, Wait: WaitNone}
	plan, err := c.Plan(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Uploads) != 3 || plan.Uploads[0].Cached || plan.Uploads[1] != (Upload{Name: "data.txt", Source: data, Bytes: 4}) {
		t.Errorf("uploads %+v", plan.Uploads)
	}
	if left := names(t, root); len(left) > 0 || len(s.forgotten) != 1 || len(s.apps) > 0 {
		t.Errorf("left %v, ids given back %v, applications %v", left, s.forgotten, s.apps)
	}
	if index := names(t, caches); len(index) > 0 {
		t.Errorf("the index was written: %v", index)
	}
	if _, err := c.Submit(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if index := names(t, caches); len(index) == 0 {
		t.Error("a submission writes no index")
	}
	if plan, err = c.Plan(t.Context(), r); err != nil || !plan.Uploads[0].Cached || !plan.Uploads[1].Cached || !plan.Uploads[2].Cached {
		t.Errorf("after a submission: %+v, %v", plan.Uploads, err)
	}
	s.checkErr = &Fault{Code: Refused, What: "no"}
	if _, err := c.Plan(t.Context(), r); CodeOf(err) != Refused {
		t.Errorf("what the cluster refuses: %v", err)
	}
}
