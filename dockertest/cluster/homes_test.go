package cluster

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

// Whatever was interrupted, the folder has its owner afterwards, and one that has it is left alone.
func TestEnsureFolder(t *testing.T) {
	alice := folder{"/user/alice", "alice", "staff", "755"}
	for name, x := range map[string]struct {
		owner string // "" where the folder is missing
		want  []string
	}{
		"missing":               {"", []string{"GETFILESTATUS", "MKDIRS", "SETOWNER"}},
		"made, without owner":   {"hdfs", []string{"GETFILESTATUS", "SETOWNER"}},
		"there, with its owner": {"alice", []string{"GETFILESTATUS"}},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				op := r.URL.Query().Get("op")
				asked = append(asked, op)
				switch {
				case r.URL.Path != "/webhdfs/v1/user/alice" || r.URL.Query().Get("user.name") != "hdfs":
					http.Error(w, r.URL.String(), http.StatusBadRequest)
				case op == "GETFILESTATUS" && x.owner == "":
					http.NotFound(w, r)
				case op == "GETFILESTATUS":
					fmt.Fprintf(w, `{"FileStatus":{"owner":%q,"group":"staff"}}`, x.owner)
				}
			}))
			defer web.Close()
			if err := (&Cluster{}).ensureFolder(t.Context(), web.URL, alice); err != nil || !slices.Equal(asked, x.want) {
				t.Errorf("asked %v, want %v; %v", asked, x.want, err)
			}
		})
	}
}
