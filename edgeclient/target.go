package edgeclient

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

// checkTarget refuses a home directory into which nothing can be written: files
// there are encrypted or erasure-coded by the client, which this one cannot do.
func checkTarget(ctx context.Context, f hdfs.FS) error {
	root, err := f.Resolve(stagingRoot)
	if err != nil {
		return fsFault("cannot name the staging directory", err)
	}
	s, err := hdfs.StorageOf(ctx, f, root)
	if errors.Is(err, fs.ErrPermission) {
		return nil // whether it can be written to is seen when it is
	}
	if err != nil {
		return fsFault("cannot look at "+root, err)
	}
	return judgeTarget(root, s)
}

func judgeTarget(root string, s hdfs.Storage) error {
	switch {
	case s.EncryptionZone != "":
		return &Fault{Code: Refused,
			What: fmt.Sprintf("%s is in the encryption zone %s (key %s), into which yarnd cannot write", root, s.EncryptionZone, s.Key),
			Next: "Ask for a directory outside of it, and name the one above with -D dfs.user.home.dir.prefix=PATH"}
	case s.ErasureCoding != "":
		return &Fault{Code: Refused,
			What: fmt.Sprintf("%s is erasure-coded (%s), and yarnd writes replicated files only", root, s.ErasureCoding),
			Next: fmt.Sprintf("Run hdfs dfs -mkdir -p %[1]s && hdfs dfs -chmod 700 %[1]s && hdfs ec -setPolicy -replicate -path %[1]s", root)}
	}
	return nil
}
