package edgeclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
	"github.com/yarnd/yarnd/packaging"
)

// Verdict is what an examination found.
type Verdict string

const (
	Well Verdict = "ok"
	Warn Verdict = "warn"
	Fail Verdict = "fail"
)

// Finding is one thing that was looked at.
type Finding struct {
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	Detail  string  `json:"detail"`
	Next    string  `json:"next,omitempty"`
}

// Failing makes a finding of an error.
func Failing(check string, err error) Finding {
	f := Finding{Check: check, Verdict: Fail, Detail: err.Error()}
	var fault *Fault
	if errors.As(err, &fault) {
		f.Detail, f.Next = (&Fault{What: fault.What, Why: fault.Why}).Error(), fault.Next
	}
	return f
}

// Examine looks at everything that a submission of r needs. It leaves nothing on the
// file system, and starts nothing.
func (c *Client) Examine(ctx context.Context, r Request) []Finding {
	r = r.withDefaults()
	d := &doctor{ctx: ctx, client: c, request: r}
	p, err := r.prepare(ctx, packaging.LookExaminer(packaging.CacheOptions{}))
	d.judge("program", err, func() string { return p.bundle.Path + " runs on nodes of " + p.bundle.Machine })
	y, ok := c.cluster.(*yarnCluster)
	if ok {
		d.yarn(y)
	}
	if !ok || y.who != nil {
		d.files()
	}
	if err == nil {
		err = c.checkAddressSpace(ctx, r, p.bundle.Path)
		d.judge("virtual memory", err, func() string {
			if ratio := c.cluster.VmRatio(); ratio > 0 {
				return fmt.Sprintf("limited to %.1f times a container's memory; the defaults fit", ratio)
			}
			return "not limited"
		})
	}
	return d.found
}

type doctor struct {
	ctx     context.Context
	client  *Client
	request Request
	found   []Finding
}

// judge notes a check that failed with err, or what is well.
func (d *doctor) judge(check string, err error, detail func() string) bool {
	if err != nil {
		d.found = append(d.found, Failing(check, err))
		return false
	}
	d.found = append(d.found, Finding{Check: check, Verdict: Well, Detail: detail()})
	return true
}

func (d *doctor) warn(check, detail, next string) {
	d.found = append(d.found, Finding{check, Warn, detail, next})
}

// yarn looks at the ResourceManager, and at nothing behind it when it does not answer.
func (d *doctor) yarn(y *yarnCluster) {
	d.judge("configuration", nil, func() string { return strings.Join(y.conf.Files(), ", ") })
	if !d.login(y) {
		return
	}
	var metrics *pb.ClusterMetrics
	err := y.call(d.ctx, "no answer from "+y.name, func(ctx context.Context) (err error) {
		metrics, err = y.rm.ClusterMetrics(ctx)
		return err
	})
	if !d.judge("ResourceManager", err, func() string { return strings.TrimPrefix(y.name, "ResourceManager ") + ", as " + y.user }) {
		return
	}
	if n := metrics.GetNumActiveNms(); n > 0 {
		d.judge("nodes", nil, func() string { return fmt.Sprintf("%d active, %d lost", n, metrics.GetNumLostNms()) })
	} else {
		d.warn("nodes", "no node manager is active: nothing would start", "See yarn node -list -all")
	}
	d.version(y)
	err = y.checkQueue(d.ctx, d.request.Queue)
	if err == nil {
		err = y.checkACL(d.ctx, d.request.Queue)
	}
	d.judge("queue", err, func() string { return d.request.Queue + " takes applications of " + y.user })
	d.clock(y)
}

// oldest is the oldest Hadoop on which this is tested.
const oldest = "3.3"

// version asks the ResourceManager's web server, which may well be closed to us.
func (d *doctor) version(y *yarnCluster) {
	v, err := rmVersion(d.ctx, y)
	switch {
	case err != nil:
		d.warn("version", "unknown: "+err.Error(), "Open the ResourceManager's web port to this host; nothing else needs it")
	case strings.HasPrefix(v, "2.") || strings.HasPrefix(v, "3.") && len(v) > 3 && v[3] == '.' && v[:3] < oldest:
		d.warn("version", "Hadoop "+v+" is older than "+oldest, "Expect gaps: yarnd is tested on "+oldest+" and later")
	default:
		d.judge("version", nil, func() string { return "Hadoop " + v })
	}
}

func rmVersion(ctx context.Context, y *yarnCluster) (string, error) {
	addrs, err := yarn.AddressesFromConf(y.conf)
	if err != nil {
		return "", err
	}
	if len(addrs.Web) == 0 {
		return "", errors.New("no web address is configured")
	}
	ctx, cancel := context.WithTimeout(ctx, clockTimeout)
	defer cancel()
	for _, a := range addrs.Web {
		var v string
		if v, err = versionAt(ctx, addrs.WebScheme()+a); err == nil {
			return v, nil
		}
	}
	return "", err
}

func versionAt(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/ws/v1/cluster/info", nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var v struct {
		ClusterInfo struct {
			HadoopVersion string `json:"hadoopVersion"`
		} `json:"clusterInfo"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&v); err != nil || v.ClusterInfo.HadoopVersion == "" {
		return "", fmt.Errorf("%s answers %s without a version", url, resp.Status)
	}
	return v.ClusterInfo.HadoopVersion, nil
}

// clock compares clocks; a warning comes as progress.
func (d *doctor) clock(y *yarnCluster) {
	var said []string
	probe := &yarnCluster{conf: y.conf, who: y.who, rm: y.rm, name: y.name, user: y.user, opts: y.opts}
	probe.opts.Progress = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	err := probe.checkClock(d.ctx)
	switch {
	case err == nil && len(said) > 0:
		d.warn("clock", strings.TrimPrefix(said[0], "warning: "), "Set the clock: see timedatectl")
	case err == nil && !probe.clocked:
		d.warn("clock", "cannot be compared: the ResourceManager's web port does not answer", "Compare date here and there")
	default:
		d.judge("clock", err, func() string { return "agrees with the ResourceManager's" })
	}
}

// probeFile is written and removed, to see whether that is possible.
const probeFile = ".yarnd-doctor"

// files looks at the file system and at the home and staging directories.
func (d *doctor) files() {
	var err error
	if y, ok := d.client.cluster.(*yarnCluster); ok {
		err = checkScheme(y.conf)
	}
	var f hdfs.FS
	if err == nil {
		f, err = d.client.cluster.FS(d.ctx)
	}
	var home hdfs.FileInfo
	if err == nil {
		ctx, cancel := context.WithTimeout(d.ctx, d.client.opts.CallTimeout)
		defer cancel()
		home, err = f.Stat(ctx, f.Home())
		if errors.Is(err, fs.ErrNotExist) {
			err = &Fault{Code: NotFound, What: "there is no home directory " + f.Home(), Next: fmt.Sprintf("Ask an administrator: hdfs dfs -mkdir -p %s && hdfs dfs -chown %s %s", f.Home(), f.User(), f.Home())}
		} else if err != nil {
			err = fsFault("cannot look at "+f.Home(), err)
		}
	}
	if !d.judge("file system", err, func() string { return home.Path + " of " + home.Owner }) {
		return
	}
	if y, ok := d.client.cluster.(*yarnCluster); ok {
		d.keys(y)
	}
	err = checkTarget(d.ctx, f)
	if err == nil {
		if _, err = hdfs.WriteFile(d.ctx, f, path.Join(f.Home(), probeFile), []byte("yarnd doctor\n"), 0o600); err == nil {
			err = f.Remove(d.ctx, path.Join(f.Home(), probeFile))
		}
		if err != nil {
			err = fsFault("cannot write into "+f.Home(), err)
		}
	}
	d.judge("home directory", err, func() string { return "can be written" })
	st, err := f.Stat(d.ctx, path.Join(f.Home(), stagingRoot))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.judge("staging directory", nil, func() string { return "is made by the first submit" })
	case err == nil && st.Perm.Perm()&0o077 != 0:
		d.warn("staging directory", fmt.Sprintf("%s can be read by others (%v): they see which applications there are", st.Path, st.Perm.Perm()), "Run hdfs dfs -chmod 700 "+st.Path)
	default:
		d.judge("staging directory", err, func() string { return st.Path })
	}
}
