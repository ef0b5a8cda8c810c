package yarnd

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"path"
	"path/filepath"

	"github.com/yarnd/yarnd/appmaster/amclient"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine/journal"
	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

// kept is where a scheduler keeps what the one that takes over has to know: in the
// application's staging directory, which is its owner's alone and goes with the application.
type kept struct {
	journal, bundles journal.Store
	fs               hdfs.FS
}

// Names below the staging directory.
const (
	journalDir = "journal"
	bundlesDir = "bundles"
)

func openKept(ctx context.Context, l *amclient.Launch, log *slog.Logger) (*kept, error) {
	u, err := url.Parse(l.Staging)
	if err != nil {
		return nil, fmt.Errorf("staging directory: %w", err)
	}
	k := &kept{}
	if edgeclient.IsLocalID(l.App) {
		k.fs = hdfs.NewLocal(hdfs.LocalOptions{Home: filepath.Dir(u.Path)})
	} else {
		c, err := conf.Load(conf.Options{Dirs: []string{"."}})
		if err != nil {
			return nil, err
		}
		if k.fs, err = hdfs.Open(ctx, c, l.Staging, hdfs.Options{User: l.User, Logger: log}); err != nil {
			return nil, fmt.Errorf("the journal's file system: %w", err)
		}
	}
	if k.journal, err = newHDFSJournal(ctx, k.fs, path.Join(u.Path, journalDir)); err == nil {
		k.bundles, err = newHDFSJournal(ctx, k.fs, path.Join(u.Path, bundlesDir))
	}
	if err != nil {
		k.close()
		return nil, err
	}
	return k, nil
}

func (k *kept) close() { k.fs.Close() }
