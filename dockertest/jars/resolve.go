// Package jars fetches the jars of a Hadoop release from Maven Central by the POM beside this file, and compiles a few
// classes of our own (own/*.java) against them, which clusters with Kerberos need.
package jars

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"

	"github.com/yarnd/yarnd/dockertest/cache"
	"github.com/yarnd/yarnd/dockertest/dockerd"
)

// Default is the release that clusters run unless told otherwise.
const Default = "3.4.2"

//go:embed pom.xml
var pom []byte

// copyPlugin is the plugin's version that is used, so that no newer one changes what is copied.
const copyPlugin = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"

var versionForm = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(-[A-Za-z0-9.]+)?$`)

// examples names the release whose example programs run on a version that Maven Central has none for.
var examples = map[string]string{"3.5.0": "3.4.2"}

// Folder returns where the jars of that release are or will be. Another POM means another folder.
func Folder(c cache.Dir, version string) string {
	return c.Path("jars", fmt.Sprintf("%s-%x", version, sha256.Sum256(pom))[:len(version)+1+8])
}

// Resolve returns Folder, having fetched the jars if it is not there. A folder that exists is complete: it gets its name
// last. It needs mvn and Maven Central the first time only.
func Resolve(ctx context.Context, c cache.Dir, version string, log *slog.Logger) (string, error) {
	return resolve(ctx, c, Folder(c, version), version, func() error {
		var more []string
		if other := examples[version]; other != "" {
			more = append(more, "-Dexamples.version="+other)
		}
		return fetch(ctx, c, version, Folder(c, version), pom, log, more...)
	})
}

// resolve returns the folder final, having it fetched if it is not there.
func resolve(ctx context.Context, c cache.Dir, final, version string, fetch func() error) (string, error) {
	if !versionForm.MatchString(version) {
		return "", fmt.Errorf("%q is no Hadoop version; try %s", version, Default)
	}
	if _, err := os.Stat(final); err == nil {
		return final, nil
	}
	unlock, err := c.Lock(ctx, "jars")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(final); err == nil { // another process was faster
		return final, nil
	}
	return final, fetch()
}

// needMaven has mvn installed if it is not there.
func needMaven(ctx context.Context, log *slog.Logger) error {
	if _, err := exec.LookPath("mvn"); err == nil {
		return nil
	}
	if err := dockerd.Install(ctx, log, "maven"); err != nil {
		return fmt.Errorf("Hadoop's jars come from Maven Central, and there is no mvn: %w", err)
	}
	return nil
}

// fetch puts the jars that a POM names into the folder final.
func fetch(ctx context.Context, c cache.Dir, version, final string, pom []byte, log *slog.Logger, more ...string) error {
	if err := needMaven(ctx, log); err != nil {
		return err
	}
	log.Info("fetching Hadoop's jars", "version", version)
	dir, err := c.Make("jars")
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp(dir, ".fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	pomFile := filepath.Join(work, "pom.xml")
	if err := os.WriteFile(pomFile, pom, 0o644); err != nil {
		return err
	}
	out := filepath.Join(work, "out")
	args := append([]string{"-B", "-q", "-f", pomFile, copyPlugin, "-DincludeScope=runtime", "-DoutputDirectory=" + out,
		"-Dhadoop.version=" + version}, more...)
	if text, err := exec.CommandContext(ctx, "mvn", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("fetch the jars of Hadoop %s with mvn: %w\n%s", version, err, text)
	}
	if err := os.Chmod(out, 0o755); err != nil {
		return err
	}
	return os.Rename(out, final)
}
