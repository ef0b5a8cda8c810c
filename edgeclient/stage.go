package edgeclient

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/identity"
	"github.com/yarnd/yarnd/packaging"
)

// stagingRoot is below the owner's home directory.
const stagingRoot = ".yarnd"

// program is what gets staged for one application, checked before anything is
// sent anywhere.
type program struct {
	bundle packaging.Bundle
	files  []packaging.Spec // archives and files
	known  *packaging.Examiner

	command []string // of the driver
	shipped bool     // the driver is the last of files, and its container's alone
}

const envFlag = "--env"

// prepare checks everything local that a request names, with an examiner that the
// staging asks again.
func (r Request) prepare(ctx context.Context, known *packaging.Examiner) (program, error) {
	p := program{known: known}
	var err error
	if r.Bundle == "" {
		p.bundle, err = packaging.SelfBundle()
	} else {
		p.bundle, err = packaging.CheckBundle(r.Bundle)
	}
	if err != nil {
		return p, wrap(Usage, "the program cannot run on the cluster", err, nextOf(err))
	}
	add := func(flag, text string, kind packaging.Kind, hint string) {
		s, e := packaging.ParseSpec(text, kind)
		if e != nil && err == nil {
			err = wrap(Usage, flag+" "+text, e, hint)
		}
		s.Limits = r.limits(flag)
		p.files = append(p.files, s)
	}
	const archive = "Give a .tar.gz, .tgz or .zip, PATH[#NAME]"
	if env := r.Env; env != "" {
		if !strings.Contains(env, "#") {
			env += "#environment"
		}
		add(envFlag, env, packaging.Archive, archive)
	}
	for _, a := range r.Archives {
		add("--archives", a, packaging.Archive, archive)
	}
	for _, f := range r.Files {
		add("--files", f, packaging.File, "Give an existing file, PATH[#NAME]")
	}
	if err != nil {
		return p, err
	}
	if r.Driver != "" {
		if err := r.addDriver(&p); err != nil {
			return p, err
		}
	}
	return p, p.check(ctx)
}

// limits of an archive: an environment may link to the nodes' own interpreter, as
// virtual environments do.
func (r Request) limits(flag string) packaging.Limits {
	l := packaging.Limits{OutsideLinks: flag == envFlag}
	if r.AllowRatio {
		l.Ratio = -1
	}
	return l
}

// check inspects what lies here and refuses two files of one name. What lies on
// the cluster's file system is looked at when it is staged.
func (p program) check(ctx context.Context) error {
	seen := map[string]string{spec.ProgramName: "the program", siteFile: "Hadoop's configuration", spec.SpecFile: "the specification", spec.SeedFile: "a file of yarnd's", spec.ClientFile: "a file of yarnd's", spec.KeytabFile: "the owner's keytab"}
	for _, s := range p.files {
		if other, ok := seen[s.Name]; ok {
			return usagef("Give it another name with "+s.Source+"#NAME", "%s would be called %q in the container, like %s", s.Source, s.Name, other)
		}
		seen[s.Name] = s.Source
		if err := p.known.Check(ctx, s); err != nil {
			return fsFault("cannot use "+s.Source, err)
		}
	}
	return nil
}

// launchFile holds what starts the application master, once all of it is staged.
const launchFile = "launch.json"

// maxLaunch bounds that file, in bytes.
const maxLaunch = 16 << 20

// stage puts everything on the cluster's file system and returns what the
// application master's container gets. What it stages appears in one step, so a
// staging directory is whole; of several submissions of one id that stage at once,
// the first one's is what all of them submit.
func (c *Client) stage(ctx context.Context, f hdfs.FS, id string, r Request, p program) (Launch, error) {
	root := path.Join(f.Home(), stagingRoot)
	if err := hdfs.EnsureDir(ctx, f, root, 0o700); err != nil {
		return Launch{}, fsFault("cannot make the staging directory", err)
	}
	dir := path.Join(root, id)
	s := &stager{ctx: ctx, fs: f, dir: dir, work: dir + "." + rand.Text()}
	if err := hdfs.EnsureDir(ctx, f, s.work, 0o700); err != nil {
		return Launch{}, fsFault("cannot make the staging directory", err)
	}
	c.reached(stepStaging)
	l, err := c.fill(s, id, r, p)
	taken := false
	if err == nil {
		err = f.Rename(ctx, s.work, dir)
		taken = errors.Is(err, hdfs.ErrNotEmpty)
		err = fsFault("cannot stage "+id, err)
	}
	if err == nil {
		return l, nil
	}
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.opts.CallTimeout)
	defer cancel()
	if e := f.RemoveAll(clean, s.work); e != nil {
		c.opts.Progress("could not clean up after the failure: %v. Remove %s by hand", e, s.work)
	}
	if taken {
		if first, e := readLaunch(ctx, f, dir); e == nil {
			return first, nil
		}
	}
	return Launch{}, err
}

// fill writes a staging directory, its launch file last.
func (c *Client) fill(s *stager, id string, r Request, p program) (Launch, error) {
	staging, err := s.fs.URL(s.dir)
	if err != nil {
		return Launch{}, fsFault("cannot name the staging directory", err)
	}
	shared, err := c.upload(s.ctx, s.fs, p, s)
	if err != nil {
		return Launch{}, err
	}
	c.reached(stepUploaded)
	site := s.site(c.cluster)
	if s.err != nil {
		return Launch{}, s.err
	}
	seed := identity.NewSeed()
	credential, err := ownerCredential(seed, id, c.cluster.User())
	if err != nil {
		return Launch{}, &Fault{Code: Internal, What: "cannot make the owner's credential", Why: err}
	}
	owner := s.put(spec.ClientFile, credential)
	if s.err != nil {
		return Launch{}, s.err
	}
	principal, keytab, err := c.keys()
	if err != nil {
		return Launch{}, err
	}
	specJSON, err := c.describe(id, r, p, staging, principal, shared, site, owner)
	if err != nil {
		return Launch{}, err
	}
	l := Launch{ID: id, Request: r, Cluster: c.cluster.Name(), Staging: staging, Env: c.cluster.Env()}
	l.Files = append(l.Files, localFile(shared[0], true), s.put(spec.SpecFile, specJSON), s.put(spec.SeedFile, seed.Encode()))
	if principal != "" {
		l.Files = append(l.Files, s.put(spec.KeytabFile, keytab))
	}
	for _, x := range site {
		l.Files = append(l.Files, localFile(x, false))
	}
	text, err := json.Marshal(l)
	if err != nil {
		return Launch{}, wrap(Internal, "cannot write what is to be submitted", err, "See yarnd -v for more")
	}
	s.put(launchFile, text)
	return l, s.err
}

// staged returns what an earlier try of the same submission has staged, whole. What is
// older than the leases of submissions on what they use is removed, and staged anew.
func (c *Client) staged(ctx context.Context, f hdfs.FS, id string) (l Launch, ok bool, err error) {
	dir := path.Join(f.Home(), stagingRoot, id)
	info, err := f.Stat(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return Launch{}, false, nil
	}
	if err == nil && time.Since(time.UnixMilli(info.ModTimeMs)) < abandoned/2 {
		if l, err = readLaunch(ctx, f, dir); err == nil {
			return l, true, nil
		}
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.As(err, new(*json.SyntaxError)) || errors.As(err, new(*json.UnmarshalTypeError)) {
		err = f.RemoveAll(ctx, dir)
	}
	return Launch{}, false, fsFault("cannot look at what was staged for "+id, err)
}

func readLaunch(ctx context.Context, f hdfs.FS, dir string) (l Launch, err error) {
	text, err := hdfs.ReadFile(ctx, f, path.Join(dir, launchFile), maxLaunch)
	if err == nil {
		err = json.Unmarshal(text, &l)
	}
	return l, err
}

// stager writes small owner-only files; its first error sticks.
type stager struct {
	ctx  context.Context
	fs   hdfs.FS
	dir  string // where all of it will be
	work string // where it is put together
	err  error
}

func (s *stager) put(name string, data []byte) LocalFile {
	if s.err != nil {
		return LocalFile{}
	}
	info, err := hdfs.WriteFile(s.ctx, s.fs, path.Join(s.work, name), data, 0o600)
	if err != nil {
		s.err = fsFault("cannot stage "+name, err)
		return LocalFile{}
	}
	u, err := s.fs.URL(path.Join(s.dir, name)) // a rename keeps the modification time
	if err != nil {
		s.err = fsFault("cannot stage "+name, err)
	}
	return LocalFile{Link: name, URL: u, Size: info.Length, ModTimeMs: info.ModTimeMs}
}

// site stages Hadoop's configuration where the cluster has one.
func (s *stager) site(c Cluster) []spec.File {
	text, err := c.Site()
	if err != nil {
		s.err = &Fault{Code: Internal, What: "cannot write the configuration", Why: err}
	}
	if len(text) == 0 || s.err != nil {
		return nil
	}
	return []spec.File{applicationFile(s.put(siteFile, text))}
}

// describe writes the application's specification. principal is of the keytab that it gets, or "".
func (c *Client) describe(id string, r Request, p program, staging, principal string, shared, site []spec.File, owner LocalFile) ([]byte, error) {
	var own []spec.File // the driver's alone
	if p.shipped {
		last := len(shared) - 1
		own, shared = []spec.File{shared[last]}, shared[:last]
	}
	files := slices.Concat(shared, site)
	app := application(id, r, c.cluster.User(), staging, files, c.cluster.Env())
	app.Access.Realm = c.cluster.Realm()
	if r.Driver != "" {
		pool, err := driverPool(id, r, p, slices.Concat(files, own, []spec.File{applicationFile(owner)}), c.cluster.Env())
		if err != nil {
			return nil, err
		}
		app.Pools = append(app.Pools, pool)
	}
	app.Keytab = principal
	text, err := app.Encode()
	return text, wrap(Usage, "the request cannot be met", err, "See yarnd submit --help")
}

// applicationFile is a file of this application alone.
func applicationFile(f LocalFile) spec.File {
	return spec.File{Name: f.Link, URL: f.URL, Size: f.Size, ModTime: f.ModTimeMs, Visibility: spec.ApplicationOnly}
}

func localFile(f spec.File, private bool) LocalFile {
	return LocalFile{Link: f.Name, URL: f.URL, Size: f.Size, ModTimeMs: f.ModTime, Private: private}
}

// upload puts the program, archives and files into the cache by content. The
// program comes first. Before anything else it takes a lease on what it will use.
func (c *Client) upload(ctx context.Context, f hdfs.FS, p program, staging *stager) ([]spec.File, error) {
	cache, err := packaging.OpenCache(ctx, f, packaging.CacheOptions{Examiner: p.known, Progress: c.opts.Upload})
	if err != nil {
		return nil, fsFault("cannot open the cache", err)
	}
	if err := staging.lease(cache, p.specs()); err != nil {
		return nil, err
	}
	var out []spec.File
	for i, s := range p.specs() {
		start := time.Now()
		var res packaging.Resource
		if i == 0 { // what was checked is what must run
			res, err = cache.PutBundle(ctx, p.bundle, s.Name)
		} else {
			res, err = cache.Put(ctx, s)
		}
		if err != nil {
			return nil, uploadFault(s, err)
		}
		if res.Uploaded {
			c.opts.Progress("uploaded %s (%s) in %s", s.Source, FormatBytes(res.Size), time.Since(start).Round(time.Millisecond))
		} else {
			c.opts.Progress("%s (%s) is there already", s.Source, FormatBytes(res.Size))
		}
		out = append(out, spec.File{Name: res.Name, URL: res.URL, Size: res.Size, ModTime: res.ModTimeMs,
			Archive: res.Kind == packaging.Archive, Visibility: spec.Private})
	}
	return out, nil
}

// uploadFault tells what is wrong with a file from what is wrong with the place where
// it should go.
func uploadFault(s packaging.Spec, err error) error {
	if wrongInput(err) {
		return fsFault("cannot use "+s.Source, err)
	}
	return fsFault("cannot upload "+s.Source, err)
}

// application is the specification that the application master reads.
func application(id string, r Request, user, staging string, files []spec.File, clusterEnv map[string]string) *spec.Application {
	env := maps.Clone(clusterEnv)
	if env == nil {
		env = map[string]string{}
	}
	maps.Copy(env, r.EnvVars)
	scheduler := spec.Pool{Name: "scheduler", Role: spec.RoleScheduler, Count: 1, MaxRestarts: r.Restarts, Files: files, Env: env, NodeLabel: r.SchedulerLabel,
		Resource: spec.Resource{VCores: r.Scheduler.VCores, MemoryMiB: mib(r.Scheduler.Memory)}}
	var workers []spec.Pool
	for _, p := range r.workerPools() {
		workers = append(workers, p.pool(r.Restarts, files, env))
	}
	return &spec.Application{
		Version: spec.Version, ID: id, Name: r.Name, User: user, Staging: staging,
		IdleTimeout: spec.Duration(r.IdleTimeout), MaxAttempts: r.MaxAttempts, KeepResults: spec.Duration(max(r.KeepResults, -1)), NoJournal: r.NoJournal, Env: r.AMEnv, FileSystems: r.FileSystems,
		Listen: spec.Listen{Interface: r.Interface, PortMin: r.Ports.Min, PortMax: r.Ports.Max},
		Pools:  append([]spec.Pool{scheduler}, workers...),
		Access: r.access(),
	}
}

// limitsOf are a request's limits as the application master reads them; nil is none.
func limitsOf(l Limits) *spec.Limits {
	if l.Max == 0 {
		return nil
	}
	return &spec.Limits{Min: l.Min, Max: l.Max, Idle: spec.Duration(l.Idle)}
}

// WorkerPool is the name of the pool of Request.Worker.
const WorkerPool = "worker"

func ownerCredential(seed identity.Seed, id, user string) ([]byte, error) {
	ca, err := identity.NewCA(seed, id)
	if err != nil {
		return nil, err
	}
	owner, err := ca.NewIdentity(identity.Subject{App: id, Role: identity.Client, Name: user}, identity.MaxTTL)
	if err != nil {
		return nil, err
	}
	return owner.PEM()
}

// wrongInput reports whether a file that a person named is at fault.
func wrongInput(err error) bool {
	return errors.As(err, new(*packaging.ArchiveError)) || errors.As(err, new(*packaging.SpecError)) || errors.As(err, new(*packaging.BundleError))
}

// nextOf is the next step after an error of a wrong file, empty when its own text
// has one.
func nextOf(err error) string {
	var archive *packaging.ArchiveError
	var bundle *packaging.BundleError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "Check the path"
	case errors.As(err, &archive) && archive.Hint == "":
		return "Pack it anew, or see yarnd env inspect"
	case errors.As(err, &bundle) && bundle.Hint == "":
		return "Name a static program for Linux, see yarnd bundle build"
	case archive == nil && bundle == nil:
		return "Check the path"
	}
	return ""
}

// fsFault gives a file system's error a person's words.
func fsFault(what string, err error) error {
	if f := loginFault(what, err); f != err {
		return f
	}
	switch {
	case errors.As(err, new(*packaging.TamperedError)):
		return &Fault{Code: Auth, What: what, Why: err}
	case wrongInput(err):
		return wrap(Usage, what, err, nextOf(err))
	case errors.Is(err, fs.ErrNotExist):
		return wrap(NotFound, what, err, "Check the path")
	case errors.Is(err, fs.ErrPermission):
		return wrap(Auth, what, err, "Ask the owner, or check HADOOP_USER_NAME")
	case errors.Is(err, hdfs.ErrAuth) && ipc.Is(err, saslException):
		return wrap(Auth, what, err, serviceRefuses)
	case errors.Is(err, hdfs.ErrAuth):
		return wrap(Auth, what, err, "Run klist to see whether your ticket is good (where HADOOP_TOKEN_FILE_LOCATION is set its tokens count: run the step of the workflow again, or unset it); what the message means is in docs/kerberos.md")
	case errors.Is(err, hdfs.ErrQuota):
		return wrap(Refused, what, err, "Run yarnd env gc to remove what no application uses")
	case errors.Is(err, hdfs.ErrSafeMode):
		return wrap(Refused, what, err, "Wait until the NameNode leaves safe mode, then try again")
	case errors.Is(err, hdfs.ErrUnreachable):
		return wrap(TimedOut, what, err, "Check that the NameNode runs and that HADOOP_CONF_DIR is that of your cluster")
	case errors.Is(err, hdfs.ErrUnprotected):
		return unprotectedFault(what, err)
	case errors.Is(err, hdfs.ErrUnsupported):
		return wrap(Refused, what, err, "Use an hdfs:// file system as fs.defaultFS")
	}
	return wrap(Internal, what, err, "See yarnd -v for more")
}

// unprotectedFault is of a file system that would be sent in clear what is to be protected: its own hint is the advice.
func unprotectedFault(what string, err error) error {
	e := (*hdfs.Error)(nil)
	if !errors.As(err, &e) || e.Hint == "" {
		return wrap(Refused, what, err, "Copy hdfs-site.xml from the cluster")
	}
	why := *e
	why.Hint = ""
	return wrap(Refused, what, &why, sentence(e.Hint))
}
