package cluster

import (
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/yarnd/yarnd/dockertest/cache"
	"github.com/yarnd/yarnd/dockertest/image"
	"github.com/yarnd/yarnd/dockertest/jars"
	"github.com/yarnd/yarnd/dockertest/layout"
)

// Spec names one cluster: which composition, which Hadoop. Two clusters with different names live side by side.
type Spec struct {
	// Name distinguishes clusters on one engine; "" means the composition's.
	Name string
	// Composition is what it consists of.
	Composition layout.Composition
	// Hadoop is the version; "" means $HADOOP, and if that is empty jars.Default.
	Hadoop string
	// JIT says how daemons and Hadoop's own commands are compiled: "full" as by default, for what is measured; "quick" by the
	// first of the JVM's two compilers alone, for what is tested, since what lives for minutes spends more time on being
	// compiled by the other than it gains. "" means $HADOOP_JIT, and if that is empty "quick".
	JIT string
}

// jits are the options of JVMs by Spec.JIT.
var jits = map[string]string{"quick": "-XX:TieredStopAtLevel=1\n", "full": "\n"}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,40}$`)

// complete fills in what was left empty.
func (s Spec) complete() (Spec, error) {
	s.Name = cmp.Or(s.Name, s.Composition.Name)
	s.Hadoop = cmp.Or(s.Hadoop, os.Getenv("HADOOP"), jars.Default)
	s.JIT = cmp.Or(s.JIT, os.Getenv("HADOOP_JIT"), "quick")
	if !nameForm.MatchString(s.Name) {
		return s, fmt.Errorf("%q cannot be a cluster's name: use small letters, digits and hyphens", s.Name)
	}
	if jits[s.JIT] == "" {
		return s, fmt.Errorf("HADOOP_JIT is %q: it can be quick or full", s.JIT)
	}
	return s, nil
}

//go:embed guest
var guest embed.FS

// files returns everything that is generated for the cluster, by its path below clusters/NAME: conf/HOST/FILE, and the
// launchers bin/FILE.
func (s Spec) files() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, h := range s.Composition.Hosts {
		for name, text := range s.Composition.HostFiles(h) {
			files[filepath.Join("conf", h.Name, name)] = text
		}
		files[filepath.Join("conf", h.Name, layout.ExcludeFile)] = nil
	}
	scripts, err := guest.ReadDir("guest")
	if err != nil {
		return nil, err
	}
	for _, script := range scripts {
		text, err := guest.ReadFile("guest/" + script.Name())
		if err != nil {
			return nil, err
		}
		files[filepath.Join("bin", script.Name())] = text
	}
	files[filepath.Join("bin", "jvm.options")] = []byte(jits[s.JIT])
	return files, nil
}

// fingerprint changes when containers that were made for the spec no longer fit it: they carry it as a label.
func (s Spec) fingerprint(root string, c cache.Dir) (string, error) {
	files, err := s.files()
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(struct {
		Recipe            int
		Spec              Spec
		Files             map[string][]byte
		Image, Jars, Root string
		Own, KMS          string `json:",omitempty"`
	}{recipe, s, files, image.Name(), jars.Folder(c, s.Hadoop), root, s.own(c), s.kms(c)})
	return fmt.Sprintf("%x", sha256.Sum256(text)), err
}

// own is the folder of the classes of our own that the hosts need, or "".
func (s Spec) own(c cache.Dir) string {
	if s.Composition.Kerberos == nil {
		return ""
	}
	return jars.OwnFolder(c, s.Hadoop)
}

// kms is the folder of the jars that a key management server needs, or "" where there is none.
func (s Spec) kms(c cache.Dir) string {
	if len(s.Composition.With(layout.KMS)) == 0 {
		return ""
	}
	return jars.KMSFolder(c, s.Hadoop)
}

// marker is the file that says for which fingerprint the files beside it were written.
const marker = "fingerprint"

// write puts the generated files into dir. The mounts of running containers stay valid: files change, folders do not.
func (s Spec) write(dir, fingerprint string) error {
	files, err := s.files()
	if err != nil {
		return err
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, text, 0o755); err != nil {
			return err
		}
	}
	exchange := filepath.Join(dir, "exchange")
	if err := os.MkdirAll(exchange, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(exchange, 0o777|os.ModeSticky); err != nil { // past the umask
		return err
	}
	return os.WriteFile(filepath.Join(dir, marker), []byte(fingerprint), 0o644)
}

// written says whether the files of that fingerprint are there.
func written(dir, fingerprint string) bool {
	text, err := os.ReadFile(filepath.Join(dir, marker))
	return err == nil && string(text) == fingerprint
}
