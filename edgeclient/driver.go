package edgeclient

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"

	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/packaging"
)

// DriverPool is the name of the pool of a driver's container.
const DriverPool = "driver"

// CredentialVar names the file with the owner's credential of the application that
// YARND_APP names; a driver has it in its environment.
const CredentialVar = "YARND_CREDENTIAL"

// Limits of a driver's command line.
const (
	maxDriverArgs = spec.MaxCommand - 1
	maxScriptLine = 256 // Linux reads so much of a script's first line
)

// checkDriver refuses what cannot be a driver.
func (r Request) checkDriver() error {
	if r.Driver == "" {
		if len(r.DriverArgs) > 0 {
			return usagef("Name it: yarnd submit PROGRAM -- ARG…", "there are arguments, and no program that gets them")
		}
		return nil
	}
	if len(r.DriverArgs) > maxDriverArgs {
		return usagef("Put them into a file and ship that with --files", "%d arguments are more than %d", len(r.DriverArgs), maxDriverArgs)
	}
	for i, a := range r.DriverArgs {
		if len(a) > maxValue || strings.ContainsRune(a, 0) {
			return usagef("Put it into a file and ship that with --files", "argument %d cannot be given to a process: it has a zero byte, or more than %d bytes", i+1, maxValue)
		}
	}
	if err := judgeDriver(r.Driver); err != nil {
		return wrap(Usage, "cannot run "+r.Driver, err, "Give a Linux program, or a script that begins with #!")
	}
	return nil
}

// judgeDriver says why a file cannot be started as a program on the nodes.
func judgeDriver(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return errors.Join(err, errors.New("it is no regular file"))
	}
	line, err := bufio.NewReader(io.LimitReader(f, maxScriptLine)).ReadBytes('\n')
	switch {
	case bytes.HasPrefix(line, []byte("\x7fELF")):
		return nil
	case !bytes.HasPrefix(line, []byte("#!")):
		return errors.New("it is neither a Linux program nor a script that begins with #!")
	case bytes.HasSuffix(line, []byte("\r\n")):
		return errors.New("its lines end with CR LF, so the interpreter would not be found: convert it with dos2unix")
	case err != nil && !errors.Is(err, io.EOF):
		return err
	case len(bytes.TrimSpace(line[2:])) == 0:
		return errors.New("its first line names no interpreter")
	}
	return nil
}

// addDriver finds out what the driver is: a program that imports yarnd is the bundle of
// the whole application, so that its functions are known on the workers; anything else
// is a file of the driver's container.
func (r Request) addDriver(p *program) error {
	if b, err := packaging.CheckBundle(r.Driver); err == nil && b.Library != "" && r.Bundle == "" {
		p.bundle, p.command = b, append([]string{"./" + spec.ProgramName}, r.DriverArgs...)
		return nil
	}
	s, err := packaging.ParseSpec(r.Driver, packaging.File)
	if err != nil {
		return wrap(Usage, r.Driver, err, "Give the file a plain name")
	}
	p.files, p.shipped = append(p.files, s), true
	p.command = append([]string{"./" + s.Name}, r.DriverArgs...)
	return nil
}

// driverPool is the one container of the driver.
func driverPool(id string, r Request, p program, files []spec.File, clusterEnv map[string]string) (spec.Pool, error) {
	env := maps.Clone(clusterEnv)
	if env == nil {
		env = map[string]string{}
	}
	if IsLocalID(id) {
		home, err := StateDir()
		if err != nil {
			return spec.Pool{}, err
		}
		env["YARND_HOME"], env["YARND_PROVIDER"] = home, "local"
	}
	maps.Copy(env, r.EnvVars)
	return spec.Pool{Name: DriverPool, Role: spec.RoleDriver, Count: 1, Command: p.command, Env: env, NodeLabel: r.NodeLabel,
		Files:    files,
		Resource: spec.Resource{VCores: r.DriverSize.VCores, MemoryMiB: mib(r.DriverSize.Memory)}}, nil
}

// ownCredential reads the credential that a driver's container has of its own
// application, if this process runs in it.
func ownCredential(app string) ([]byte, bool, error) {
	path := os.Getenv(CredentialVar)
	if path == "" || os.Getenv("YARND_APP") != app {
		return nil, false, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, true, &Fault{Code: Auth, What: fmt.Sprintf("cannot read the owner's credential of %s (%s)", app, CredentialVar), Why: err, Next: "Unset " + CredentialVar + " to read it from the staging directory"}
	}
	return text, true, nil
}
