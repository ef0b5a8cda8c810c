package jars

import (
	"context"
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/yarnd/yarnd/dockertest/cache"
)

// compiler is Eclipse's: a jar that runs on a Java runtime, as there is no JDK.
const compiler = "org.eclipse.jdt:ecj:3.33.0"

// getPlugin fetches it.
const getPlugin = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"

//go:embed own/*.java
var own embed.FS

// OwnFolder returns where the classes of our own for that release are or will be, in a folder "classes". Other sources
// mean another folder.
func OwnFolder(c cache.Dir, version string) string {
	h := sha256.New()
	fmt.Fprintln(h, compiler, filepath.Base(Folder(c, version)))
	names, _ := fs.Glob(own, "own/*.java") // the pattern is a good one
	for _, name := range names {
		text, _ := own.ReadFile(name) // embedded: it is there
		fmt.Fprintf(h, "%s %d\n%s", name, len(text), text)
	}
	return c.Path("jars", fmt.Sprintf("own-%s-%x", version, h.Sum(nil)[:4]))
}

// ResolveOwn returns OwnFolder, having compiled the classes of our own against the jars of that release if it is not there.
// A folder that exists is complete. It needs java, mvn and Maven Central the first time only.
func ResolveOwn(ctx context.Context, c cache.Dir, version string, log *slog.Logger) (string, error) {
	lib, err := Resolve(ctx, c, version, log)
	if err != nil {
		return "", err
	}
	final := OwnFolder(c, version)
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
	if err := needMaven(ctx, log); err != nil { // it brings java along
		return "", err
	}
	log.Info("compiling classes of our own for Hadoop", "version", version)
	return final, compile(ctx, c, lib, final)
}

func compile(ctx context.Context, c cache.Dir, lib, final string) error {
	work, err := os.MkdirTemp(c.Path("jars"), ".own-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := os.CopyFS(work, own); err != nil {
		return err
	}
	sources, err := filepath.Glob(filepath.Join(work, "own", "*.java"))
	if err != nil {
		return err
	}
	path, err := filepath.Glob(filepath.Join(lib, "*.jar")) // the compiler knows no lib/*
	if err != nil {
		return err
	}
	out := filepath.Join(work, "out")
	ecj := filepath.Join(work, "ecj.jar")
	for _, argv := range [][]string{
		{"mvn", "-B", "-q", getPlugin, "-Dartifact=" + compiler, "-DoutputDirectory=" + work, "-Dmdep.stripVersion=true"},
		append([]string{"java", "-jar", ecj, "-17", "-proc:none", "-nowarn", "-classpath", strings.Join(path, ":"),
			"-d", filepath.Join(out, "classes")}, sources...),
	} {
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Dir = work // where there is no other POM
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("compile classes of our own for Hadoop with %s: %w\n%s", argv[0], err, text)
		}
	}
	if err := os.Chmod(out, 0o755); err != nil {
		return err
	}
	return os.Rename(out, final)
}
