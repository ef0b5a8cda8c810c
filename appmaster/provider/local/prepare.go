package local

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

// tokenFile is the credentials file's name in a container's directory, as under
// YARN.
const tokenFile = "container_tokens"

// LifelineEnv names the environment variable that holds the file descriptor of
// the lifeline.
const LifelineEnv = "YARND_LIFELINE_FD"

// inherited are the variables that containers get from the application master.
// YARN hands down a list of its own too (yarn.nodemanager.env-whitelist): a
// program that works only with somebody's shell environment shall fail here as
// well.
var inherited = []string{"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "HADOOP_CONF_DIR", "YARN_CONF_DIR", "HADOOP_HOME", "HADOOP_USER_NAME", "JAVA_HOME", "GOCOVERDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"}

// startup is all that is needed to start a process.
type startup struct {
	dir            string
	argv           []string
	env            []string
	stdout, stderr string
}

// prepare makes a container's directories and files.
func (p *Provider) prepare(b *box, secrets map[string][]byte) (startup, error) {
	dir, logs := p.dirOf(b.id), p.logsOf(b.id)
	for _, d := range []string{dir, logs} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return startup{}, err
		}
	}
	for i := range b.pool.Files {
		if err := p.files.localize(p.ctx, &b.pool.Files[i], dir); err != nil {
			return startup{}, fmt.Errorf("cannot localize %s: %w", b.pool.Files[i].Name, err)
		}
	}
	creds := token.Credentials{}
	for alias, secret := range secrets {
		creds.AddSecret(alias, secret)
	}
	tokens := filepath.Join(dir, tokenFile)
	if err := os.WriteFile(tokens, creds.Append(nil, token.V0), 0o600); err != nil {
		return startup{}, err
	}
	s := startup{
		dir: dir, argv: b.pool.Program(),
		stdout: filepath.Join(logs, "stdout"), stderr: filepath.Join(logs, "stderr"),
	}
	for _, key := range inherited {
		if v, ok := os.LookupEnv(key); ok {
			s.env = append(s.env, key+"="+v)
		}
	}
	if p.opt.User != "" {
		s.env = append(s.env, "USER="+p.opt.User, "LOGNAME="+p.opt.User)
	}
	s.env = append(s.env,
		"CONTAINER_ID="+b.id, "NM_HOST="+p.opt.Host, "PWD="+dir, "LOCAL_DIRS="+dir, "LOG_DIRS="+logs,
		"HADOOP_TOKEN_FILE_LOCATION="+tokens, LifelineEnv+"=3")
	s.env = append(s.env, p.opt.Env...)
	return s, nil
}

// pathOf turns a file URL into a path.
func pathOf(f *spec.File) (string, error) {
	path, ok := strings.CutPrefix(f.URL, "file://")
	if !ok || !strings.HasPrefix(path, "/") {
		return "", fmt.Errorf("%s is not on this machine", f.URL)
	}
	return path, nil
}
