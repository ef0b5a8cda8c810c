package nm

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

// place puts a resource's source into a directory under its name: copied, or unpacked if it is of type ARCHIVE or
// PATTERN and has the name of an archive. All writing goes through an os.Root, so that neither ".." nor a link that
// the archive itself made leads outside.
func place(source string, st fs.FileInfo, into, name string, r *pb.LocalResource, m permissions) error {
	root, err := os.OpenRoot(into)
	if err != nil {
		return err
	}
	defer root.Close()
	if st.IsDir() {
		return copyTree(source, root, name, m)
	}
	kind, lower := archiveKind(r.GetType(), name), strings.ToLower(name)
	if kind == "" {
		return copyFile(source, root, name, m.file)
	}
	if err := mkdir(root, name, m.dir); err != nil {
		return err
	}
	sub, err := root.OpenRoot(name)
	if err != nil {
		return err
	}
	defer sub.Close()
	match := func(string) bool { return true }
	if r.GetType() == pb.LocalResourceType_PATTERN && kind == "jar" {
		// RunJar.unJarAndSave: the jar itself, too, and of its entries those that the pattern matches.
		if err := copyFile(source, sub, name, m.file); err != nil {
			return err
		}
		if r.Pattern != nil {
			re, err := regexp.Compile("^(?:" + r.GetPattern() + ")$")
			if err != nil {
				return err
			}
			match = re.MatchString
		}
	}
	syscall.ForkLock.RLock() // see copyFile
	defer syscall.ForkLock.RUnlock()
	if kind == "tar" {
		return untar(source, sub, !strings.HasSuffix(lower, ".tar"), m)
	}
	return unzip(source, sub, match, m)
}

// archiveKind is "jar", "zip", "tar", or "" for what is not unpacked. Source: FSDownload.unpack (3.4.2).
func archiveKind(t pb.LocalResourceType, name string) string {
	name = strings.ToLower(name)
	switch {
	case t == pb.LocalResourceType_FILE:
	case strings.HasSuffix(name, ".jar"):
		return "jar"
	case strings.HasSuffix(name, ".zip"):
		return "zip"
	case strings.HasSuffix(name, ".tar"), strings.HasSuffix(name, ".tar.gz"), strings.HasSuffix(name, ".tgz"):
		return "tar"
	}
	return ""
}

func copyTree(source string, root *os.Root, name string, m permissions) error {
	return filepath.WalkDir(source, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(source, p)
		if err != nil {
			return err
		}
		to := filepath.Join(name, rel)
		if d.IsDir() {
			return mkdir(root, to, m.dir)
		}
		return copyFile(p, root, to, m.file)
	})
}

func unzip(source string, root *os.Root, match func(string) bool, m permissions) error {
	z, err := zip.OpenReader(source)
	if err != nil {
		return err
	}
	defer z.Close()
	for _, f := range z.File {
		name, err := inside(f.Name)
		if err != nil {
			return err
		}
		switch {
		case !match(f.Name):
		case f.Mode().IsDir():
			err = mkdir(root, name, m.dir)
		case f.Mode().IsRegular():
			err = unzipFile(f, root, name, m)
		default:
			err = fmt.Errorf("%s is neither file nor directory", f.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func unzipFile(f *zip.File, root *os.Root, name string, m permissions) error {
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	return put(root, name, r, m)
}

func untar(source string, root *os.Root, zipped bool, m permissions) error {
	f, err := os.Open(source)
	if err != nil {
		return err
	}
	defer f.Close()
	var in io.Reader = f
	if zipped {
		if in, err = gzip.NewReader(f); err != nil {
			return err
		}
	}
	for t := tar.NewReader(in); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			_, err = io.Copy(io.Discard, in) // #nosec G110 -- the checksum stands at the end; what comes before it goes nowhere
			return err
		}
		if err != nil {
			return err
		}
		if err := untarEntry(h, t, root, m); err != nil {
			return err
		}
	}
}

func untarEntry(h *tar.Header, r io.Reader, root *os.Root, m permissions) error {
	name, err := inside(h.Name)
	if err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return mkdir(root, name, m.dir)
	case tar.TypeReg:
		return put(root, name, r, m)
	case tar.TypeSymlink: // wherever it leads; nothing is written through it to the outside
		if err := mkdir(root, path.Dir(name), m.dir); err != nil {
			return err
		}
		root.Remove(name)
		return root.Symlink(h.Linkname, name)
	case tar.TypeLink:
		target, err := inside(h.Linkname)
		if err != nil {
			return err
		}
		if err := mkdir(root, path.Dir(name), m.dir); err != nil {
			return err
		}
		return root.Link(target, name)
	case tar.TypeXGlobalHeader:
		return nil
	}
	return fmt.Errorf("%s is of type %q, which is neither file, directory nor link", h.Name, h.Typeflag)
}

// inside cleans an entry's name. One that is absolute or leads upwards is refused.
func inside(name string) (string, error) {
	clean := path.Clean(name)
	if path.IsAbs(name) || clean == ".." || strings.HasPrefix(clean, "../") {
		return "", fmt.Errorf("expanding %s would create file outside of the archive's directory", name)
	}
	return clean, nil
}

// put writes a file and the directories above it; the later of two with one name wins.
func put(root *os.Root, name string, r io.Reader, m permissions) error {
	if err := mkdir(root, path.Dir(name), m.dir); err != nil {
		return err
	}
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return writeFile(root, name, r, m.file)
}

func writeFile(root *os.Root, name string, r io.Reader, mode fs.FileMode) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Chmod(mode), f.Close())
}

// mkdir makes a directory, and those above it, with a mode that no umask takes from.
func mkdir(root *os.Root, name string, mode fs.FileMode) error {
	if name == "." {
		return nil
	}
	if st, err := root.Stat(name); err == nil && st.IsDir() {
		return nil
	}
	if err := mkdir(root, path.Dir(name), mode); err != nil {
		return err
	}
	if err := root.Mkdir(name, mode); err != nil {
		return err
	}
	return root.Chmod(name, mode)
}
