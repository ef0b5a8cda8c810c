// Package image makes the base image of all hosts: Debian with a Java runtime, accounts, and no Hadoop. The jars are
// mounted, so one image serves every Hadoop version.
//
// Where an image registry answers, the image is built from debian:12-slim by the Dockerfile beside this file;
// elsewhere, and where that build fails, debootstrap makes the same thing out of Debian's packages. Either way its files end as one tar in the
// cache, and that tar is what gets imported, now and ever after.
package image

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/ory/dockertest/v3"
	"github.com/ory/dockertest/v3/docker"

	"github.com/yarnd/yarnd/dockertest/cache"
)

// Repository is the images' name without the tag.
const Repository = "yarnd-hadoop-base"

//go:embed setup.sh
var setup []byte

//go:embed Dockerfile
var dockerfile []byte

// packages go into the image beside Debian's essential ones. tini is each container's process 1 and reaps orphans;
// python3 is for users' Python tasks; the krb5 packages are a realm's server, its administration, and kinit.
var packages = []string{
	"openjdk-17-jre-headless", "ca-certificates", "tini", "procps", "iproute2", "iptables", "curl", "python3",
	"krb5-kdc", "krb5-admin-server", "krb5-user",
}

// pullTimeout decides whether a registry "answers": a mere 30 MB are to be pulled.
const pullTimeout = 45 * time.Second

// Name returns the image's full name.
func Name() string { return Repository + ":" + tag() }

// tag changes whenever what the image is made from does.
func tag() string {
	h := sha256.New()
	for _, part := range [][]byte{setup, dockerfile, []byte(strings.Join(packages, " "))} {
		h.Write(part)
		h.Write([]byte{0})
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:6])
}

// Ensure returns the name of the base image, having made it if the engine does not have it.
func Ensure(ctx context.Context, pool *dockertest.Pool, c cache.Dir, log *slog.Logger) (string, error) {
	name := Name()
	if has(pool, name) {
		return name, nil
	}
	unlock, err := c.Lock(ctx, "image")
	if err != nil {
		return "", err
	}
	defer unlock()
	if has(pool, name) { // another process was faster
		return name, nil
	}
	if _, err := c.Make("image"); err != nil {
		return "", err
	}
	file := c.Path("image", tag()+".tar")
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		if err := create(ctx, pool, c, file, log); err != nil {
			return "", fmt.Errorf("make the base image: %w", err)
		}
	}
	log.Info("importing the base image", "name", name)
	err = pool.Client.ImportImage(docker.ImportImageOptions{
		Repository: Repository, Tag: tag(), Source: file, OutputStream: io.Discard, Context: ctx,
	})
	if err != nil {
		return "", fmt.Errorf("import %s: %w", file, err)
	}
	return name, nil
}

func has(pool *dockertest.Pool, name string) bool {
	_, err := pool.Client.InspectImage(name)
	return err == nil
}

// create writes the image's files to the tar called file, which appears only when it is complete.
func create(ctx context.Context, pool *dockertest.Pool, c cache.Dir, file string, log *slog.Logger) error {
	partial := file + ".partial"
	defer os.Remove(partial)
	err := pull(ctx, pool)
	if err == nil {
		log.Info("building the base image from debian:12-slim")
		err = build(ctx, pool, partial)
	}
	if err != nil { // no registry, or no way to Debian's packages from inside a container
		log.Info("building the base image with debootstrap instead of docker build", "why", err)
		if fallback := bootstrap(ctx, c, partial, log); fallback != nil {
			return errors.Join(err, fallback)
		}
	}
	return os.Rename(partial, file)
}

func pull(ctx context.Context, pool *dockertest.Pool) error {
	if has(pool, "debian:12-slim") {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	return pool.Client.PullImage(docker.PullImageOptions{Repository: "debian", Tag: "12-slim", Context: ctx},
		docker.AuthConfiguration{})
}

// build runs the Dockerfile and exports a container of the result.
func build(ctx context.Context, pool *dockertest.Pool, file string) error {
	var out bytes.Buffer
	name := Repository + "-build:" + tag()
	err := pool.Client.BuildImage(docker.BuildImageOptions{
		Name: name, InputStream: buildContext(), OutputStream: &out, Context: ctx, RmTmpContainer: true,
		BuildArgs: []docker.BuildArg{{Name: "PACKAGES", Value: strings.Join(packages, " ")}},
	})
	if err != nil {
		return fmt.Errorf("docker build: %w\n%s", err, &out)
	}
	defer pool.Client.RemoveImage(name)
	box, err := pool.Client.CreateContainer(docker.CreateContainerOptions{
		Config: &docker.Config{Image: name, Cmd: []string{"true"}}, Context: ctx,
	})
	if err != nil {
		return err
	}
	defer pool.Client.RemoveContainer(docker.RemoveContainerOptions{ID: box.ID, Force: true})
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pool.Client.ExportContainer(docker.ExportContainerOptions{ID: box.ID, OutputStream: f, Context: ctx}); err != nil {
		return err
	}
	return f.Close()
}

// buildContext is the tar that docker build reads.
func buildContext() io.Reader {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, text := range map[string][]byte{"Dockerfile": dockerfile, "setup.sh": setup} {
		// Writing to memory cannot fail.
		w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(text))})
		w.Write(text)
	}
	w.Close()
	return &b
}
