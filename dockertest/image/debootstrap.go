package image

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/yarnd/yarnd/dockertest/cache"
	"github.com/yarnd/yarnd/dockertest/dockerd"
)

// bootstrap writes a tar with a fresh Debian 12, our packages in it and setup.sh run. It needs root: debootstrap makes
// device nodes and changes its root.
func bootstrap(ctx context.Context, c cache.Dir, file string, log *slog.Logger) error {
	if os.Geteuid() != 0 {
		return errors.New("no image registry answers and debootstrap needs root: run this once as root, or `docker pull debian:12-slim`")
	}
	if _, err := exec.LookPath("debootstrap"); err != nil {
		if err := dockerd.Install(ctx, log, "debootstrap", "debian-archive-keyring"); err != nil {
			return err
		}
	}
	root, err := os.MkdirTemp(c.Path("image"), ".rootfs-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	if err := os.Chmod(root, 0o755); err != nil { // it becomes the image's "/"
		return err
	}
	script := filepath.Join(root, "setup.sh")
	steps := []struct {
		before func() error
		argv   []string
	}{
		{argv: []string{"debootstrap", "--variant=minbase", "--include=" + strings.Join(packages, ","), "bookworm", root}},
		{
			before: func() error { return os.WriteFile(script, setup, 0o755) },
			argv:   []string{"chroot", root, "/bin/sh", "/setup.sh"},
		},
		{
			before: func() error { return os.Remove(script) },
			argv:   []string{"tar", "--numeric-owner", "--exclude=./dev/*", "--exclude=./proc/*", "--exclude=./sys/*", "-C", root, "-cf", file, "."},
		},
	}
	for _, step := range steps {
		if step.before != nil {
			if err := step.before(); err != nil {
				return err
			}
		}
		cmd := exec.CommandContext(ctx, step.argv[0], step.argv[1:]...)
		cmd.Env = append(os.Environ(), "LC_ALL=C")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(step.argv, " "), err, out)
		}
	}
	return nil
}
