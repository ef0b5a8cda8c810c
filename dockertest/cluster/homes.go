package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/yarnd/yarnd/dockertest/layout"
)

// Users are the accounts that exist on every host and have a home in HDFS.
var Users = []string{"alice", "bob"}

// folder is a folder of HDFS that must exist.
type folder struct{ path, owner, group, mode string }

// folders lists them, parents first.
func folders() []folder {
	all := []folder{
		{"/tmp", "hdfs", "supergroup", "1777"},
		{"/tmp/logs", "yarn", "hadoop", "1777"}, // aggregated logs: yarn.nodemanager.remote-app-log-dir
		{"/user", "hdfs", "supergroup", "755"},
		{"/user/history", "yarn", "hadoop", "1777"}, // where MapReduce's application masters leave their histories
		{"/user/history/done_intermediate", "yarn", "hadoop", "1777"},
	}
	for _, u := range Users {
		all = append(all, folder{"/user/" + u, u, u, "755"})
	}
	return all
}

// ensureHomes creates those folders that are missing, over WebHDFS as its superuser. It leaves the others as they are.
func (c *Cluster) ensureHomes(ctx context.Context) error {
	return c.any(layout.NameNode, func(web string) error {
		for _, f := range folders() {
			err := c.webHDFS(ctx, web, http.MethodGet, f.path, url.Values{"op": {"GETFILESTATUS"}})
			var status *statusError
			if errors.As(err, &status) && status.code == http.StatusNotFound {
				err = c.makeFolder(ctx, web, f)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *Cluster) makeFolder(ctx context.Context, web string, f folder) error {
	for _, op := range []url.Values{
		{"op": {"MKDIRS"}, "permission": {f.mode}},
		{"op": {"SETOWNER"}, "owner": {f.owner}, "group": {f.group}},
	} {
		if err := c.webHDFS(ctx, web, http.MethodPut, f.path, op); err != nil {
			return fmt.Errorf("create %s in HDFS: %w", f.path, err)
		}
	}
	return nil
}

func (c *Cluster) webHDFS(ctx context.Context, web, method, path string, query url.Values) error {
	query.Set("user.name", layout.NameNode.User)
	req, err := http.NewRequestWithContext(ctx, method, web+"/webhdfs/v1"+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	res, err := c.HTTP().Do(req)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return &statusError{url: req.URL.Path + " " + query.Get("op"), code: res.StatusCode}
	}
	return nil
}
