package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/yarnd/yarnd/dockertest/layout"
)

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
	for _, u := range layout.Users {
		all = append(all, folder{"/user/" + u, u, u, "755"})
	}
	return all
}

// ensureHomes creates, over WebHDFS as its superuser, those folders that are missing, and gives those an owner that
// have another: whoever was interrupted between a folder and its owner left it so. With Kerberos it wants a ticket: see ensureSecureHomes.
func (c *Cluster) ensureHomes(ctx context.Context) error {
	if c.spec.Composition.Kerberos != nil {
		return c.ensureSecureHomes(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	return c.any(layout.NameNode, func(web string) error {
		for _, f := range folders() {
			if err := c.ensureFolder(ctx, web, f); err != nil {
				return fmt.Errorf("create %s in HDFS: %w", f.path, err)
			}
		}
		return nil
	})
}

func (c *Cluster) ensureFolder(ctx context.Context, web string, f folder) error {
	var found struct{ FileStatus struct{ Owner, Group string } }
	err := c.webHDFS(ctx, web, http.MethodGet, f.path, url.Values{"op": {"GETFILESTATUS"}}, &found)
	var status *statusError
	if errors.As(err, &status) && status.code == http.StatusNotFound {
		err = c.webHDFS(ctx, web, http.MethodPut, f.path, url.Values{"op": {"MKDIRS"}, "permission": {f.mode}}, nil)
	}
	if err != nil || found.FileStatus.Owner == f.owner && found.FileStatus.Group == f.group {
		return err
	}
	return c.webHDFS(ctx, web, http.MethodPut, f.path, url.Values{"op": {"SETOWNER"}, "owner": {f.owner}, "group": {f.group}}, nil)
}

// webHDFS makes one call, and reads its answer into reply unless that is nil.
func (c *Cluster) webHDFS(ctx context.Context, web, method, path string, query url.Values, reply any) error {
	query.Set("user.name", layout.NameNode.User)
	req, err := http.NewRequestWithContext(ctx, method, web+"/webhdfs/v1"+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	res, err := c.HTTP().Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return &statusError{url: req.URL.Path + " " + query.Get("op"), code: res.StatusCode}
	}
	if reply == nil {
		return nil
	}
	return json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(reply)
}
