package executor

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// plan is what the commands of one class have in common.
type plan struct {
	spec *CommandSpec
	env  []string // without what names the task
	err  error    // why there can be none
}

// Variables that tell a command for which task and attempt it runs. A command with
// effects outside can use them to make them once.
const (
	EnvTask    = "YARND_TASK"    // job/index
	EnvAttempt = "YARND_ATTEMPT" // from 1
)

// EnvTokens names, in the environment of a worker, the file of tokens that its commands have: they find it as Hadoop's own
// programs look for one.
const EnvTokens = "YARND_TOKENS"

const tokenFile = "HADOOP_TOKEN_FILE_LOCATION"

// hidden are variables of the container that a command has no business with.
// The credentials file is the application's, not the command's.
var hidden = []string{tokenFile, EnvTokens, EnvTask, EnvAttempt, envChild}

// mostPlans is how many classes are remembered.
const mostPlans = 256

// planOf returns the plan of a class, which is made once.
func (c *child) planOf(spec []byte) *plan {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.plans[string(spec)]
	if p == nil {
		if p = newPlan(c.environ, spec); len(c.plans) >= mostPlans {
			clear(c.plans)
		}
		c.plans[string(spec)] = p
	}
	return p
}

// newPlan reads a class's Spec; environ is what commands get besides.
func newPlan(environ []string, spec []byte) *plan {
	s, err := ParseCommandSpec(spec)
	if err != nil {
		return &plan{err: err}
	}
	env := slices.DeleteFunc(slices.Clone(environ), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		_, again := s.Env[name]
		return again || slices.Contains(hidden, name) || isMemLimit(v)
	})
	if _, again := s.Env[tokenFile]; !again {
		for _, v := range environ {
			if file, ok := strings.CutPrefix(v, EnvTokens+"="); ok && file != "" {
				env = append(env, tokenFile+"="+file)
			}
		}
	}
	for name, value := range s.Env {
		if name == EnvTask || name == EnvAttempt {
			continue
		}
		if strings.ContainsRune(name+value, 0) {
			return &plan{err: fmt.Errorf("command: the variable %q holds a NUL byte", name)}
		}
		env = append(env, name+"="+value)
	}
	return &plan{spec: s, env: env}
}

// environment returns that of the command of one task.
func (p *plan) environment(r *run) []string {
	return append(p.env[:len(p.env):len(p.env)], EnvTask+"="+r.task.String(), fmt.Sprintf("%s=%d", EnvAttempt, r.attempt))
}

// programs remembers where programs are, as a shell does. It is safe for concurrent use.
type programs struct {
	mu    sync.Mutex
	paths map[string]string
}

// mostPrograms is how many are remembered.
const mostPrograms = 1024

// find returns the path of a program, and whether that is what was remembered.
func (p *programs) find(name string) (path string, old bool, err error) {
	if strings.ContainsRune(name, '/') {
		return name, false, nil
	}
	p.mu.Lock()
	path, old = p.paths[name]
	p.mu.Unlock()
	if old {
		return path, true, nil
	}
	if path, err = exec.LookPath(name); err != nil {
		return "", false, err
	}
	if filepath.IsAbs(path) {
		p.mu.Lock()
		if p.paths == nil || len(p.paths) >= mostPrograms {
			p.paths = map[string]string{}
		}
		p.paths[name] = path
		p.mu.Unlock()
	}
	return path, false, nil
}

// forget looks anew the next time.
func (p *programs) forget(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.paths, name)
}
