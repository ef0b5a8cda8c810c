package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// DocPage is a page for people: its blocks of code, in order, and the comments that
// tell its test what to do with them. See [ParseDoc].
type DocPage struct {
	Name   string // docs/python.md
	Blocks []DocBlock
	Spans  []DocSpan // `code` between them
}

// DocSpan is code within a sentence.
type DocSpan struct {
	Line int
	Text string
}

// DocBlock is a block of code, or a preparation that readers do not see.
type DocBlock struct {
	Line  int
	Lang  string // of the fence; "prepare" of a preparation
	Text  string
	Marks map[string]string
}

// Skipped tells whether a block is marked as not to be run here, and why.
func (b DocBlock) Skipped() (why string, skipped bool) {
	run := b.Marks["run"]
	if run == "hadoop" {
		return "needs a real Hadoop", true
	}
	why, skipped = strings.CutPrefix(run, "no, ")
	return why, skipped
}

// docMarks are the comments above a block, `<!-- name: value -->`:
//
//	run      "no, WHY" or "hadoop": it is not run, only looked at
//	file     it is written under that name
//	program  it is a Go program, or a test of one, of that name
//	given    it is the inside of a Go function with these parameters
//
// A preparation is a comment of its own: its first line may name a program without
// which the rest of the page is left out.
//
//	<!-- prepare: needs python3
//	shell commands
//	-->
var docMarks = []string{"run", "file", "program", "given"}

// docLangs are the languages of blocks, and the marks without which a block of that
// language is nothing that a test could look at.
var docLangs = map[string][]string{
	"console": nil, "sh": nil, "go": nil, "text": nil,
	"yaml": {"file", "run"}, "python": {"file", "run"},
}

var (
	docMark = regexp.MustCompile(`^<!-- ([a-z]+):\s*(.*?)\s*-->$`)
	docSpan = regexp.MustCompile("`([^`]+)`")
)

// ParseDoc reads a page.
func ParseDoc(name, text string) (DocPage, error) {
	p := docParser{page: DocPage{Name: name}, lines: strings.Split(text, "\n")}
	for p.at < len(p.lines) {
		if err := p.line(); err != nil {
			return p.page, fmt.Errorf("%s:%d: %w", name, p.at+1, err)
		}
		p.at++
	}
	return p.page, p.noMarks()
}

type docParser struct {
	page  DocPage
	lines []string
	at    int
	marks map[string]string // above the next block
}

func (p *docParser) line() error {
	line := p.lines[p.at]
	switch {
	case strings.HasPrefix(line, "```"):
		return p.block(strings.TrimPrefix(line, "```"))
	case strings.HasPrefix(line, "<!-- prepare:"):
		return p.prepare(strings.TrimSpace(strings.TrimPrefix(line, "<!-- prepare:")))
	case docMark.MatchString(line):
		m := docMark.FindStringSubmatch(line)
		if !slices.Contains(docMarks, m[1]) {
			return fmt.Errorf("a comment says %q, which means nothing", m[1])
		}
		if p.marks == nil {
			p.marks = map[string]string{}
		}
		p.marks[m[1]] = m[2]
		return nil
	case line == "":
		return nil
	}
	for _, m := range docSpan.FindAllStringSubmatch(line, -1) {
		p.page.Spans = append(p.page.Spans, DocSpan{p.at + 1, m[1]})
	}
	return p.noMarks()
}

func (p *docParser) noMarks() error {
	if len(p.marks) > 0 {
		return errors.New("the comment above belongs to no block of code")
	}
	return nil
}

// until returns the lines up to one that is end, and goes there.
func (p *docParser) until(end string) (string, error) {
	from := p.at + 1
	for p.at = from; p.at < len(p.lines); p.at++ {
		if p.lines[p.at] == end {
			return strings.Join(p.lines[from:p.at], "\n") + "\n", nil
		}
	}
	p.at = from - 1
	return "", fmt.Errorf("what begins here has no end %q", end)
}

func (p *docParser) block(lang string) error {
	b := DocBlock{Line: p.at + 1, Lang: lang, Marks: p.marks}
	p.marks = nil
	var err error
	if b.Text, err = p.until("```"); err != nil {
		return err
	}
	if lang == "" && strings.HasPrefix(b.Text, "$ ") {
		lang, b.Lang = "console", "console"
	}
	need, known := docLangs[lang]
	if !known {
		return fmt.Errorf("the block that ends here is of the language %q: name one of console, sh, go, yaml, python, text, or begin it with $ and a command", lang)
	}
	if need != nil && !slices.ContainsFunc(need, func(m string) bool { return b.Marks[m] != "" }) {
		return fmt.Errorf("the block that ends here is neither written to a file nor marked: say <!-- file: NAME -->, or <!-- run: no, WHY -->, above it")
	}
	if _, skipped := b.Skipped(); b.Marks["run"] != "" && !skipped {
		return fmt.Errorf("the block that ends here has the mark run: %s; say hadoop, or no and why", b.Marks["run"])
	}
	p.page.Blocks = append(p.page.Blocks, b)
	return nil
}

func (p *docParser) prepare(needs string) error {
	b := DocBlock{Line: p.at + 1, Lang: "prepare", Marks: map[string]string{}}
	if program, ok := strings.CutPrefix(needs, "needs "); ok {
		b.Marks["needs"] = program
	} else if needs != "" {
		return fmt.Errorf("a preparation says %q; only needs PROGRAM may stand there", needs)
	}
	var err error
	if b.Text, err = p.until("-->"); err != nil {
		return err
	}
	p.page.Blocks = append(p.page.Blocks, b)
	return nil
}

// DocPages reads README.md and docs/*.md.
func DocPages() ([]DocPage, error) {
	names, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		return nil, err
	}
	var pages []DocPage
	for _, file := range append(names, "../../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		p, err := ParseDoc(strings.TrimPrefix(file, "../../"), string(text))
		if err != nil {
			return nil, err
		}
		pages = append(pages, p)
	}
	return pages, nil
}

// DocStep is a command of a transcript, and what the page shows of its output.
type DocStep struct {
	Line    int
	Command string
	Output  string
}

// Steps cuts a transcript into commands, which begin with "$ " and go on after a line
// that ends with "\" or "|". Any other block is one step.
func (b DocBlock) Steps() ([]DocStep, error) {
	if b.Lang != "console" {
		return []DocStep{{Line: b.Line + 1, Command: b.Text}}, nil
	}
	var steps []DocStep
	goesOn := false
	for i, line := range strings.Split(strings.TrimSuffix(b.Text, "\n"), "\n") {
		command, ok := strings.CutPrefix(line, "$ ")
		switch last := len(steps) - 1; {
		case ok:
			steps = append(steps, DocStep{Line: b.Line + 1 + i, Command: command})
		case last < 0:
			return nil, fmt.Errorf("line %d: a transcript begins with $ and a command", b.Line+1+i)
		case goesOn:
			steps[last].Command += "\n" + line
		default:
			steps[last].Output += line + "\n"
		}
		goesOn = (ok || goesOn) && (strings.HasSuffix(line, `\`) || strings.HasSuffix(line, "|"))
	}
	return steps, nil
}

// docCommand finds the commands of ours in a line of shell, also behind a pipe, in $(…).
var docCommand = regexp.MustCompile(`(?:^|[\s($;&|])(?:bin/)?yarnd( [^|;&)<>]*)?`)

// checkCommand tells what is wrong with the verb and the flags of a command line,
// without the program's name.
func checkCommand(line string) error {
	line, _, _ = strings.Cut(line+" ", " -- ")
	words := slices.DeleteFunc(strings.Fields(strings.NewReplacer(`"`, "", `'`, "", `\`, "").Replace(line)), func(w string) bool { return w == "…" })
	root := (&command{Streams: Streams{Out: io.Discard, Err: io.Discard}}).root()
	root.InitDefaultCompletionCmd() // as running it does
	cmd, rest, err := root.Find(words)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil && !errors.Is(err, pflag.ErrHelp) {
		return err
	}
	// One group of commands takes an argument too: yarnd worker node1:8786.
	if args := cmd.Flags().Args(); cmd.HasSubCommands() && len(args) > 0 && !strings.HasPrefix(args[0], "$") && cmd.ValidateArgs(args) != nil {
		return fmt.Errorf("%s has no command %q", cmd.CommandPath(), args[0])
	}
	return nil
}

// Every command that a page names exists and has the flags that stand there, whether
// it can be run by a test or not.
func TestDocsCommands(t *testing.T) {
	pages, err := DocPages()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	check := func(page string, line int, text string) {
		text, _, _ = strings.Cut(text, " #")
		for _, m := range docCommand.FindAllStringSubmatch(text, -1) {
			found++
			if err := checkCommand(m[1]); err != nil {
				t.Errorf("%s:%d: yarnd%s: %v", page, line, m[1], err)
			}
		}
	}
	for _, p := range pages {
		for _, s := range p.Spans {
			if strings.HasPrefix(s.Text, "yarnd ") {
				check(p.Name, s.Line, s.Text)
			}
		}
		for _, b := range p.Blocks {
			if b.Lang != "console" && b.Lang != "sh" {
				continue
			}
			steps, err := b.Steps()
			if err != nil {
				t.Errorf("%s: %v", p.Name, err)
			}
			for _, s := range steps {
				for i, line := range strings.Split(s.Command, "\n") {
					check(p.Name, s.Line+i, line)
				}
			}
		}
	}
	if found < 150 {
		t.Errorf("only %d commands found", found)
	}
	for _, wrong := range []string{" nonsense", " submit --wokers 3", " env nonsense x", " submit --worker-memory 300"} {
		if checkCommand(wrong) == nil {
			t.Errorf("yarnd%s: no fault found", wrong)
		}
	}
}

func TestParseDoc(t *testing.T) {
	for wrong, want := range map[string]string{
		"```\nls\n```":                                 `the language ""`,
		"```\n$ ls\n```":                               "",
		"```console\n$ ls":                             "has no end",
		"```yaml\na: b\n```":                           "neither written to a file nor marked",
		"<!-- run: no, why -->\ntext":                  "belongs to no block",
		"<!-- rum: no, why -->\n```sh\nls\n```":        `says "rum"`,
		"<!-- run: perhaps -->\n```sh\nls\n```":        "say hadoop, or no and why",
		"<!-- run: no -->\n```sh\nls\n```":             "say hadoop, or no and why",
		"<!-- prepare: python3\nls\n-->":               "only needs PROGRAM",
		"<!-- prepare:\nls":                            "has no end",
		"<!-- run: no, it is the last -->":             "belongs to no block",
		"<!-- file: a -->\n\n```python\nx = 1\n```\n`": "",
	} {
		_, err := ParseDoc("page.md", wrong)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", wrong, err, want)
		}
	}
	b := DocBlock{Line: 1, Lang: "console", Text: "$ a |\n    b\nout\n\n$ c \\\nd\n"}
	steps, err := b.Steps()
	want := []DocStep{{2, "a |\n    b", "out\n\n"}, {6, "c \\\nd", ""}}
	if err != nil || !slices.Equal(steps, want) {
		t.Errorf("steps %v, %v; want %v", steps, err, want)
	}
}
