package cli_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/yarnd/yarnd/edgeclient/cli"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
)

// stepTime bounds one command of a page.
const stepTime = 60 * time.Second

// Every command that the pages show is run, in the order of its page, and gives what
// the page shows; every Go program is built, and run where the page runs it. Each page
// is a user of the embedded cluster, with a shell and a directory of its own. See
// cli.ParseDoc for the comments that tell what a test cannot know.
func TestDocs(t *testing.T) {
	if underRace {
		t.Skip("what it runs is built without the detector")
	}
	pages, err := cli.DocPages()
	if err != nil {
		t.Fatal(err)
	}
	var users []string
	for _, p := range pages {
		users = append(users, pageUser(p))
	}
	built := buildDocs(t, pages)
	cluster, err := minicluster.Start(t.Context(), minicluster.Options{
		Dir: t.TempDir(), Nodes: 2, DistinctHosts: true, Users: users, Capability: tracker.Resource{MemoryMiB: 64 << 10, VCores: 64},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cluster.Close() })
	leftOut := map[string]int{}
	for _, p := range pages {
		for _, b := range p.Blocks {
			if why, skipped := b.Skipped(); skipped {
				leftOut[why]++
				t.Logf("%s:%d is not run: %s", p.Name, b.Line, why)
			}
		}
	}
	t.Logf("blocks that are not run: %v", leftOut)
	// The longest pages first, so that none of them is alone at the end.
	slices.SortStableFunc(pages, func(a, b cli.DocPage) int { return len(b.Blocks) - len(a.Blocks) })
	for _, p := range pages {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			r := &pageRun{t: t, page: p, dir: t.TempDir(), programs: built, ids: map[string]string{}}
			r.shell = startShell(t, r.dir, pageEnv(cluster, p, r.dir))
			r.run()
		})
	}
}

func pageUser(p cli.DocPage) string {
	return "p" + strings.ToLower(strings.TrimSuffix(filepath.Base(p.Name), ".md"))
}

// pageEnv is the environment of a person at an edge node.
func pageEnv(cluster *minicluster.Cluster, p cli.DocPage, dir string) []string {
	return []string{
		"HADOOP_CONF_DIR=" + cluster.ConfDir(), "HADOOP_USER_NAME=" + pageUser(p),
		"HOME=" + dir, "YARND_HOME=" + filepath.Join(dir, ".state"), "TMPDIR=" + os.TempDir(), "LC_ALL=C",
		"PATH=" + programs + string(os.PathListSeparator) + os.Getenv("PATH"),
	}
}

// pageRun is a page on its way through its test.
type pageRun struct {
	t        *testing.T
	page     cli.DocPage
	dir      string
	programs *docPrograms
	shell    *shell
	ids      map[string]string // of applications, the page's: those that they got
	code     int               // exit code of the last command
	last     string            // that command
}

func (r *pageRun) run() {
	for _, b := range r.page.Blocks {
		if _, skipped := b.Skipped(); skipped {
			continue
		}
		if needs := b.Marks["needs"]; needs != "" {
			if _, err := exec.LookPath(needs); err != nil {
				if os.Getenv("CI") != "" {
					r.t.Fatalf("%s:%d needs %s, which is not here", r.page.Name, b.Line, needs)
				}
				r.t.Skipf("what follows %s:%d needs %s, which is not here", r.page.Name, b.Line, needs)
			}
		}
		switch {
		case b.Marks["file"] != "":
			r.write(b.Marks["file"], []byte(b.Text))
		case b.Lang == "go":
			r.program(b)
		case b.Lang == "console" || b.Lang == "sh" || b.Lang == "prepare":
			r.block(b)
		}
	}
	r.settled(r.page.Name, "")
}

// write makes a file that the page shows; a script may be run: then no process that is
// started just now may have it open for writing, or it is busy.
func (r *pageRun) write(name string, data []byte) {
	mode := os.FileMode(0o644)
	if strings.HasPrefix(string(data), "#!") {
		mode = 0o755
	}
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(filepath.Join(r.dir, name), data, mode); err != nil {
		r.t.Fatal(err)
	}
}

// program puts a Go program that the page shows beside the page's files.
func (r *pageRun) program(b cli.DocBlock) {
	files, err := r.programs.wait()
	if err != nil {
		r.t.Fatal(err)
	}
	name := b.Marks["program"]
	if name == "" || isTest(b) {
		return // a part of a program, which was built, or a test, which was run
	}
	if err := os.Link(files[r.page.Name+" "+name], filepath.Join(r.dir, name)); err != nil {
		r.t.Fatal(err)
	}
	runs := slices.ContainsFunc(r.page.Blocks, func(b cli.DocBlock) bool { return b.Lang == "console" && strings.Contains(b.Text, "./"+name) })
	if !runs {
		r.t.Errorf("%s:%d: the page does not run this program: show how, as $ ./%s", r.page.Name, b.Line, name)
	}
}

func (r *pageRun) block(b cli.DocBlock) {
	steps, err := b.Steps()
	if err != nil {
		r.t.Fatalf("%s: %v", r.page.Name, err)
	}
	for _, s := range steps {
		at := fmt.Sprintf("%s:%d", r.page.Name, s.Line)
		r.settled(at, s.Command)
		command := shownID.ReplaceAllStringFunc(s.Command, func(id string) string {
			if real, ok := r.ids[id]; ok {
				return real
			}
			return id
		})
		if b.Lang != "console" {
			command = "set -e\n" + command + "\nset +e"
		}
		stdout, stderr, code, err := r.shell.do(command)
		if err != nil {
			r.t.Fatalf("%s: $ %s\n%v\n%s%s", at, s.Command, err, stdout, stderr)
		}
		r.code, r.last = code, fmt.Sprintf("%s: $ %s\n%s%s", at, s.Command, stdout, stderr)
		if s.Output != "" && !r.shows(s.Output, stdout, stderr, stdout+stderr, stderr+stdout) {
			r.t.Fatalf("%s: $ %s\nshows\n%sbut the page shows\n%s", at, s.Command, stdout+stderr, s.Output)
		}
	}
}

// settled demands that the last command ended well, unless the next one tells its
// exit code.
func (r *pageRun) settled(at, next string) {
	if r.code != 0 && next != "echo $?" {
		r.t.Fatalf("%sended with %d; where that is meant, %s has to show $ echo $?", r.last, r.code, at)
	}
}

// shownID is the part of ids that is an application's, as pages show it.
var shownID = regexp.MustCompile(`\d{13}_\d{4}`)

// shows tells whether one of the outputs is what the page shows, where "..." stands for
// anything within a line, a line of it for any lines, and any spaces for any. Ids are
// told apart: the page's mean those of this run from the first time on.
func (r *pageRun) shows(want string, outputs ...string) bool {
	pattern, ids := outputPattern(want, r.ids)
	for _, out := range outputs {
		m := pattern.FindStringSubmatch(plain(out))
		if m == nil {
			continue
		}
		got := map[string]string{}
		same := true
		for i, id := range ids {
			if got[id] != "" && got[id] != m[i+1] {
				same = false
			}
			got[id] = m[i+1]
		}
		if same {
			maps.Copy(r.ids, got)
			return true
		}
	}
	return false
}

// outputPattern returns a page's output as a pattern with a group for each of the ids,
// those that are not known.
func outputPattern(want string, known map[string]string) (*regexp.Regexp, []string) {
	var p strings.Builder
	var ids []string
	p.WriteString("^")
	for _, line := range strings.SplitAfter(plain(want), "\n") {
		if line == "...\n" {
			p.WriteString(`(?:.*\n)*`)
			continue
		}
		for i, part := range strings.Split(line, "...") {
			if i > 0 {
				p.WriteString(".*")
			}
			at := 0
			for _, m := range shownID.FindAllStringIndex(part, -1) {
				id := part[m[0]:m[1]]
				p.WriteString(regexp.QuoteMeta(part[at:m[0]]))
				if real, ok := known[id]; ok {
					p.WriteString(real)
				} else {
					p.WriteString(`(\d+_\d+)`)
					ids = append(ids, id)
				}
				at = m[1]
			}
			p.WriteString(regexp.QuoteMeta(part[at:]))
		}
	}
	p.WriteString("$")
	return regexp.MustCompile(p.String()), ids
}

var spaces = regexp.MustCompile(`[ \t]+`)

// plain makes any spaces one, and drops those at the end of a line.
func plain(s string) string {
	return strings.ReplaceAll(spaces.ReplaceAllString(s, " "), " \n", "\n")
}

func TestOutputPattern(t *testing.T) {
	for _, x := range []struct {
		want, out string
		same      bool
	}{
		{"a  b\n", "a b \n", true},
		{"a\n", "a\nb\n", false},
		{"a ... c\n", "a b c\n", true},
		{"a...\n", "a\nb\n", false},
		{"...\nb\n...\n", "a\nb\n", true},
		{"...\nb\n...\n", "a\n", false},
		{"id 1764000000000_0001\n", "id 1764000000777_0042\n", true},
		{"id 1764000000000_0001\n", "id x\n", false},
		{"1764000000000_0001 1764000000000_0001\n", "1764000000777_0042 1764000000777_0043\n", false},
		{"1764000000000_0009\n", "1764000000777_0009\n", true},
		{"1764000000000_0009\n", "1764000000777_0010\n", false},
		{"a.b\n", "axb\n", false},
	} {
		r := &pageRun{ids: map[string]string{"1764000000000_0009": "1764000000777_0009"}}
		if got := r.shows(x.want, x.out); got != x.same {
			t.Errorf("%q shows %q: %v, want %v", x.want, x.out, got, x.same)
		}
	}
}
