package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadGraph(t *testing.T) {
	text := "# a diamond, from its end\n" +
		"40\t3\t100\t20,30\n" +
		"\n" +
		"20\t0\t0\t7 # half\r\n" +
		"30\t1\t8\t7,7\t\n" +
		"  18446744073709551615\t4294967295\t4294967296\t# nobody needs it\n" +
		"7\t0\t0"
	g, err := readGraph(iotest.OneByteReader(strings.NewReader(text)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range g.len() {
		got = append(got, fmt.Sprint(g.at(i), g.deps(i, nil)))
	}
	want := []string{"{7 0 8} []", "{20 0 8} [0]", "{30 1 8} [0 0]", "{40 3 100} [1 2]", "{18446744073709551615 4294967295 4294967296} []"}
	if !slices.Equal(got, want) {
		t.Errorf("read as\n%q, want\n%q", got, want)
	}
	v7 := splitmix64(7)
	sum := splitmix64(40+splitmix64(20+v7)+splitmix64(30+v7+v7)) + splitmix64(1<<64-1)
	if got := checksum(g); got != sum {
		t.Errorf("checksum %x, want %x", got, sum)
	}
}

// Tasks that come in an order in which they may run keep it.
func TestReadGraphKeepsOrder(t *testing.T) {
	g, err := readGraph(strings.NewReader("5\t0\t8\n3\t0\t8\t5\n4\t0\t8\n1\t0\t8\t3,4\n"))
	if err != nil || g.order != nil {
		t.Errorf("order %v, %v", g.order, err)
	}
}

func TestReadGraphErrors(t *testing.T) {
	for _, k := range []struct {
		text, want string
	}{
		{"", "no task in it"},
		{"# nothing\n\n", "no task in it"},
		{"1\t0\t8\n2\t0\t8\t3\n", "line 2: task 2 depends on 3, which is not in the graph"},
		{"#\n1\t0\t8\n\n1\t0\t8\n", "line 4: task 1 was in line 2 already"},
		{"1\t0\t8\t1\n", "line 1: task 1 depends on itself"},
		{"9\t0\t8\n1\t0\t8\t2\n2\t0\t8\t3\n3\t0\t8\t9,1\n", "line 2: tasks depend on each other in a cycle: 1 → 2 → 3 → 1"},
		{"x\t0\t8\n", "line 1: 'x' where the id is to be, an unsigned number"},
		{"-1\t0\t8\n", "line 1: '-' where the id is to be, an unsigned number"},
		{"1\t0\t8\n1 0 8\n", "line 2: ' ' in front of the duration in µs, where a tab is to be"},
		{"1\n", "line 1: a tab and the duration in µs are missing"},
		{"1\t\t8\n", "line 1: '\\t' where the duration in µs is to be, an unsigned number"},
		{"1\t0\n", "line 1: a tab and the size of the result are missing"},
		{"1\t0\t\n", "line 1: the size of the result is missing"},
		{"1\t0\t8\t2,\n", "line 1: the dependency is missing"},
		{"1\t0\t8\t2;3\n", "line 1: ';' where the line is to end"},
		{"1\t0\t8\t\t2\n", "line 1: '2' where the line is to end"},
		{"1\t1.5\t8\n", "line 1: '.' in front of the size of the result, where a tab is to be"},
		{"18446744073709551616\t0\t8\n", "line 1: the id is out of range: the most is 18446744073709551615"},
		{"1\t4294967296\t8\n", "line 1: the duration in µs is out of range: the most is 4294967295"},
		{"1\t0\t4294967297\n", "line 1: the size of the result is out of range: the most is 4294967296"},
		{"1\t0\t8\t99999999999999999999\n", "line 1: the dependency is out of range: the most is 18446744073709551615"},
		{"1\t0\t8 \xff\n", "line 1: byte 0xff where the line is to end"},
		{"1\t0\t8\r1\t0\t8\n", "line 1: '1' where the line is to end"},
	} {
		_, err := readGraph(strings.NewReader(k.text))
		if _, ok := errors.AsType[*graphError](err); !ok || err.Error() != k.want {
			t.Errorf("%q: %v, want %s", k.text, err, k.want)
		}
	}
	broken := errors.New("broken disk")
	if _, err := readGraph(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("a file that cannot be read: %v", err)
	}
}

// A long cycle is told of in a few words.
func TestReadGraphLongCycle(t *testing.T) {
	var b strings.Builder
	const n = 100_000
	for i := range n {
		fmt.Fprintf(&b, "%d\t0\t8\t%d\n", i, (i+1)%n)
	}
	_, err := readGraph(strings.NewReader(b.String()))
	if want := "line 1: tasks depend on each other in a cycle: 0 → 1 → 2 → 3 → 4 → 5 → 6 → 7 → 8 → 9 → … (100000 tasks) → 0"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// slowGraph is the slow twin of readGraph and checksum: by lines, regular expressions,
// maps and recursion. A failure is the line, 0 when none in particular, -1 for none.
func slowGraph(text string) (sum uint64, order []uint64, failed int) {
	type row struct {
		line int
		deps []uint64
	}
	rows := map[uint64]row{}
	var ids []uint64
	var twice int
	for i, line := range strings.Split(text, "\n") {
		if slowBlank.MatchString(line) {
			continue
		}
		m := slowLine.FindStringSubmatch(line)
		if m == nil {
			return 0, nil, i + 1
		}
		id, err := strconv.ParseUint(m[1], 10, 64)
		_, err2 := strconv.ParseUint(m[2], 10, 32)
		size, err3 := strconv.ParseUint(m[3], 10, 64)
		r := row{line: i + 1}
		for _, d := range strings.FieldsFunc(m[5], func(r rune) bool { return r == ',' }) {
			v, err4 := strconv.ParseUint(d, 10, 64)
			err = errors.Join(err, err4)
			r.deps = append(r.deps, v)
		}
		if err != nil || err2 != nil || err3 != nil || size > maxResult {
			return 0, nil, i + 1
		}
		if _, there := rows[id]; there && twice == 0 {
			twice = i + 1
		}
		rows[id] = r
		ids = append(ids, id)
	}
	if len(ids) == 0 || twice != 0 {
		return 0, nil, twice
	}
	needed := map[uint64]bool{}
	for _, id := range ids {
		for _, d := range rows[id].deps {
			if _, there := rows[d]; !there {
				return 0, nil, rows[id].line
			}
			needed[d] = true
		}
	}
	values := map[uint64]uint64{}
	under := map[uint64]bool{}
	cycle := false
	var value func(uint64) uint64
	value = func(id uint64) uint64 {
		if v, ok := values[id]; ok || under[id] {
			cycle = cycle || under[id]
			return v
		}
		under[id] = true
		x := id
		for _, d := range rows[id].deps {
			x += value(d)
		}
		delete(under, id)
		values[id] = splitmix64(x)
		order = append(order, id)
		return values[id]
	}
	for _, id := range ids {
		v := value(id)
		if !needed[id] {
			sum += v
		}
	}
	if cycle {
		return 0, nil, 0
	}
	return sum, order, -1
}

var (
	slowBlank = regexp.MustCompile(`^[ \t]*(#.*)?\r?$`)
	slowLine  = regexp.MustCompile(`^ *([0-9]+)\t([0-9]+)\t([0-9]+)(\t([0-9]+(?:,[0-9]+)*)?)?[ \t]*(#.*)?\r?$`)
)

func FuzzReadGraph(f *testing.F) {
	for _, s := range []string{
		"1\t0\t8\n2\t0\t8\t1\n", "2\t0\t8\t1\n1\t0\t8\n", "1\t0\t8\t2\n2\t0\t8\t1\n", "1\t0\t8\t1,1\n", "1\t0\t8\n1\t0\t8\n",
		"1\t0\t8\t#\r\n 2\t5\t0\t \r", "3\t1\t9\t1,2 # x\n#\n1\t1\t9\n2\t1\t9\t1,1\n", "\t\n", "1\t0\t8\r\r\n", "18446744073709551615\t4294967295\t4294967296",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		sum, order, failed := slowGraph(text)
		g, err := readGraph(strings.NewReader(text))
		if (err == nil) != (failed < 0) {
			t.Fatalf("%q: %v, and the slow twin says line %d", text, err, failed)
		}
		if err != nil {
			ge, ok := errors.AsType[*graphError](err)
			if !ok || failed > 0 && ge.line != uint64(failed) {
				t.Fatalf("%q: %v, and the slow twin says line %d", text, err, failed)
			}
			return
		}
		if got := checksum(g); got != sum {
			t.Fatalf("%q: checksum %x, and of the slow twin %x", text, got, sum)
		}
		for i := range g.len() {
			if g.at(i).id != order[i] {
				t.Fatalf("%q: task %d in place %d, where the slow twin has %d", text, g.at(i).id, i, order[i])
			}
			for _, d := range g.deps(i, nil) {
				if int(d) >= i {
					t.Fatalf("%q: task %d needs %d, which comes after", text, i, d)
				}
			}
		}
	})
}
