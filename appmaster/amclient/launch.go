package amclient

import (
	"errors"
	"fmt"
	"os"

	"github.com/yarnd/yarnd/appmaster/provider/local"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

// Launch is what a container's process was told at its start.
type Launch struct {
	spec.Launch
	token [spec.JoinTokenSize]byte
}

// credentialsEnv names the environment variable that holds the path of a
// container's credentials file (org.apache.hadoop.security.UserGroupInformation).
const credentialsEnv = "HADOOP_TOKEN_FILE_LOCATION"

// ReadLaunch reads what this process was told, and sets the environment variables
// that its pool has. It is called once, before anything looks at the environment.
func ReadLaunch() (*Launch, error) {
	path := os.Getenv(credentialsEnv)
	if path == "" {
		return nil, fmt.Errorf("%s is not set: this command is started by yarnd itself, in a container", credentialsEnv)
	}
	creds, err := token.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read what this container is for: %w", err)
	}
	l, err := LaunchOf(creds)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return l, Setenv(l.Env)
}

// Setenv sets this process's environment variables. It is called before anything looks at them.
func Setenv(env map[string]string) error {
	for key, value := range env {
		if err := os.Setenv(key, value); err != nil {
			return fmt.Errorf("cannot set %s: %w", key, err)
		}
	}
	return nil
}

// LaunchOf returns what a container with these credentials is told.
func LaunchOf(creds *token.Credentials) (*Launch, error) {
	l := &Launch{}
	data, secret := creds.Secrets[spec.SecretLaunch], creds.Secrets[spec.SecretJoin]
	if len(data) == 0 || len(secret) != len(l.token) {
		return nil, errors.New("the credentials do not say what this container is for: this command is started by yarnd itself")
	}
	decoded, err := spec.DecodeLaunch(data)
	if err != nil {
		return nil, err
	}
	l.Launch = *decoded
	copy(l.token[:], secret)
	return l, nil
}

// Lifeline ends this process when the application master that started it on the
// local provider is gone. Elsewhere it does nothing. Processes in containers call
// it first of all.
func Lifeline() error { return local.WatchLifeline(func() { os.Exit(1) }) }
