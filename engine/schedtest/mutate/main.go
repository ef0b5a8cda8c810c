// Command mutate puts faults into the cores of the scheduler and the workers, one at a
// time, and sees whether the simulator finds them; and faults into what lies around the
// cores, for package livetest to find; and into the journal, for its model check. Nothing of the tree is changed: the faults are given
// to the compiler by -overlay.
//
//	go run ./engine/schedtest/mutate [-hand] [-mechanical] [-all] [-only NAME] [-schedules N] [-sampled N]
//
// Those made by hand are in hand.txt, for livetest in live.txt, and for the journal in journal.txt, each a text that is replaced by another
// (hand.go); the tool says so when a text is not there exactly once any more. The
// mechanical ones are made from the syntax of the cores (mechanical.go): conditions
// negated, statements left out, limits moved by one. A sample of them is listed in
// mechanical.txt. Some change nothing that can be seen; the list says of each why. One
// that survives without such a reason is a hole in the simulator.
//
// It prints a table: the mutant, after how many schedules it was found, by what, and in
// how many seconds. It fails when one made by hand survives, or a mechanical one that is
// not listed.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

var (
	hand       = flag.Bool("hand", false, "only the mutants made by hand")
	mechanical = flag.Bool("mechanical", false, "only the mechanical ones")
	only       = flag.String("only", "", "only mutants whose names contain one of these words, which commas divide")
	schedules  = flag.Int("schedules", 20_000, "schedules that a mutant made by hand is tried with")
	sampled    = flag.Int("sampled", 5000, "schedules that a mechanical mutant is tried with")
	lives      = flag.Int("lives", 150, "schedules of livetest that a mutant is tried with")
	workers    = flag.Int("j", 2, "mutants at a time")
	limit      = flag.Duration("limit", 5*time.Minute, "time of one mutant")
	scripts    = flag.String("scripts", "", "folder for the scripts that find the mutants made by hand")
	all        = flag.Bool("all", false, "all mechanical mutants, not only those that are listed")
	list       = flag.Bool("list", false, "only print the names of all mechanical mutants")
	survivors  = flag.Bool("survivors", false, "of the mechanical mutants those that are listed as survivors")
)

// verdict is what came of a mutant.
type verdict struct {
	name    string
	found   bool
	after   string // schedules
	by      string
	seconds float64
}

func main() {
	flag.Parse()
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func run(out io.Writer) error {
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bad := 0
	for _, g := range []*game{simulator, live, journal} {
		if *mechanical || *list {
			break
		}
		n, err := runHand(out, dir, g)
		if err != nil {
			return err
		}
		bad += n
	}
	if !*hand {
		n, err := runMechanical(out, dir)
		if err != nil {
			return err
		}
		bad += n
	}
	if bad > 0 {
		return fmt.Errorf("%d mutants survive that must not, or need care", bad)
	}
	return nil
}

func isAsked(name string) bool {
	return slices.ContainsFunc(strings.Split(*only, ","), func(word string) bool { return strings.Contains(name, word) })
}

// runHand tries the mutants made by hand for a game.
func runHand(out io.Writer, dir string, g *game) (bad int, err error) {
	mutants, err := readHand("engine/schedtest/mutate/" + g.mutants)
	if err != nil {
		return 0, err
	}
	mutants = slices.DeleteFunc(mutants, func(m handMutant) bool { return !isAsked(m.name) })
	fmt.Fprintf(out, "%d mutants made by hand, of %s\n", len(mutants), g.mutants)
	verdicts := each(out, mutants, func(n int, m handMutant) verdict {
		work := filepath.Join(dir, fmt.Sprint(n))
		binary, err := m.build(g, work)
		if err != nil {
			return verdict{name: m.name, by: err.Error()}
		}
		defer os.RemoveAll(work)
		args := g.args
		if *scripts != "" && g == simulator {
			if args, err = m.scriptArgs(); err != nil {
				return verdict{name: m.name, by: err.Error()}
			}
		}
		return g.try(m.name, binary, 0, args...)
	})
	for _, v := range verdicts {
		if !v.found {
			bad++
		}
	}
	return bad, nil
}

// runMechanical tries the mutants that the syntax gives.
func runMechanical(out io.Writer, dir string) (bad int, err error) {
	mutants, binary, err := buildMechanical(dir)
	if err != nil {
		return 0, err
	}
	if *list {
		for _, m := range mutants {
			fmt.Fprintln(out, m.name)
		}
		return 0, nil
	}
	listed, err := readList("engine/schedtest/mutate/mechanical.txt")
	if err != nil {
		return 0, err
	}
	for name := range listed {
		if !slices.ContainsFunc(mutants, func(m mechanicalMutant) bool { return m.name == name }) {
			fmt.Fprintf(out, "NEEDS CARE: listed, but not in the code any more: %s\n", name)
			bad++
		}
	}
	possible := len(mutants)
	mutants = slices.DeleteFunc(mutants, func(m mechanicalMutant) bool {
		why, known := listed[m.name]
		return !isAsked(m.name) || !known && !*all || *survivors && why == ""
	})
	fmt.Fprintf(out, "%d mechanical mutants of %d\n", len(mutants), possible)
	found := 0
	for _, v := range each(out, mutants, func(_ int, m mechanicalMutant) verdict {
		return simulator.try(m.name, binary, m.number, "-shrink=false", "-schedules", fmt.Sprint(*sampled)) // the last -schedules counts
	}) {
		why := listed[v.name]
		switch {
		case v.found:
			found++
			if why != "" {
				fmt.Fprintf(out, "found this time, although listed: %s: %s\n", v.name, why)
			}
		case why == "":
			fmt.Fprintf(out, "survives: %s\n", v.name)
			bad++
		default:
			fmt.Fprintf(out, "%s survives: %s\n", v.name, why)
		}
	}
	fmt.Fprintf(out, "%d found, %d survive\n", found, len(mutants)-found)
	return bad, nil
}

// each tries mutants, some at a time, and prints a line for each when it is done.
func each[M any](out io.Writer, mutants []M, try func(int, M) verdict) []verdict {
	verdicts := make([]verdict, len(mutants))
	var wg sync.WaitGroup
	var mu sync.Mutex
	next := make(chan int)
	for range max(1, *workers) {
		wg.Go(func() {
			for n := range next {
				v := try(n, mutants[n])
				verdicts[n] = v
				mu.Lock()
				fmt.Fprintf(out, "%-70s %8s %6.1fs  %s\n", v.name, v.after, v.seconds, v.by)
				mu.Unlock()
			}
		})
	}
	for n := range mutants {
		next <- n
	}
	close(next)
	wg.Wait()
	return verdicts
}

// game is a test that plays schedules.
type game struct {
	dir, test string
	mutants   string // the file of those made by hand
	schedules *int
	args      []string
}

var (
	simulator = &game{"engine/schedtest", "^TestSimulation$", "hand.txt", schedules, []string{"-shrink=false"}}
	live      = &game{"engine/livetest", "^Test(Live|ActorsOutliveTheScheduler)$", "live.txt", lives, nil}
	journal   = &game{"engine/journal", "^TestModel$", "journal.txt", schedules, nil}
)

var failure = regexp.MustCompile(`schedule (\d+): (.*)`)

// try plays schedules against a mutant until one fails.
func (g *game) try(name, binary string, number int, args ...string) verdict {
	ctx, cancel := context.WithTimeout(context.Background(), *limit)
	defer cancel()
	args = append([]string{"-test.run", g.test, "-schedules", fmt.Sprint(*g.schedules)}, args...)
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir = g.dir
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", variable, number), "GOGC=400")
	start := time.Now()
	output, err := cmd.CombinedOutput()
	v := verdict{name: name, found: err != nil, after: "-", seconds: time.Since(start).Seconds()}
	switch m := failure.FindSubmatch(output); {
	case err == nil:
		v.by = "survives"
	case m != nil:
		v.after, v.by = string(m[1]), shorten(string(m[2]))
	case ctx.Err() != nil:
		v.by = "it never ends"
	default:
		v.by = shorten(lastWords(string(output)))
	}
	return v
}

// lastWords finds what a test says when no schedule failed by itself.
func lastWords(output string) string {
	for line := range strings.SplitSeq(output, "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "fatal error") || strings.HasPrefix(line, "panic:") || strings.Contains(line, "_test.go:") && !strings.Contains(line, "schedules;") {
			return line
		}
	}
	return cmp.Or(strings.TrimSpace(output), "no words")
}

func shorten(s string) string {
	if at := strings.IndexAny(s, "{("); at > 20 {
		s = s[:at]
	}
	return s[:min(len(s), 90)]
}

// compile builds the game's test with some files in the place of others, and with small
// chunks, so that small jobs drop some.
func (g *game) compile(dir string, overlay map[string]string) (binary string, err error) {
	binary = filepath.Join(dir, "sim.test")
	file, err := writeOverlay(dir, overlay)
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "test", "-c", "-vet=off", "-tags", "smallchunks", "-overlay", file, "-o", binary, "./"+g.dir)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("it does not compile: %s", output)
	}
	return binary, nil
}
