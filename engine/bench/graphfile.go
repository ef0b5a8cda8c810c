package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Limits of a graph.
const (
	maxTasks  = math.MaxUint32 - 1
	maxEdges  = math.MaxUint32
	maxResult = 4 << 30 // bytes of one result that the data plane carries
)

// graphError says what is wrong with a graph, and in which line.
type graphError struct {
	line uint64 // 0: of no line
	what string
}

func (e *graphError) Error() string {
	if e.line == 0 {
		return e.what
	}
	return fmt.Sprintf("line %d: %s", e.line, e.what)
}

// fileGraph is a graph that was read, in columns and in its own order: 24 bytes
// a task, 32 if the file is in no order in which it may run, and 4 an edge.
type fileGraph struct {
	ids   []uint64
	us    []uint32
	bytes []uint64
	end   []uint32 // of a task's edges
	to    []uint32 // positions of tasks in the file
	lines []lineRun
	// order is the tasks in the order in which they may run, place its inverse; nil
	// when that is the order of the file.
	order, place []uint32
}

// lineRun says that tasks from position pos on are in lines from line on, one a line.
type lineRun struct {
	pos  uint32
	line uint64
}

func (g *fileGraph) len() int { return len(g.ids) }

func (g *fileGraph) at(i int) task {
	if g.order != nil {
		i = int(g.order[i])
	}
	return task{id: g.ids[i], us: g.us[i], bytes: g.bytes[i]}
}

func (g *fileGraph) deps(i int, dst []uint32) []uint32 {
	if g.order == nil {
		return append(dst, g.edges(uint32(i))...)
	}
	for _, d := range g.edges(g.order[i]) {
		dst = append(dst, g.place[d])
	}
	return dst
}

// edges returns what the task at a position of the file needs, by position.
func (g *fileGraph) edges(pos uint32) []uint32 {
	from := uint32(0)
	if pos > 0 {
		from = g.end[pos-1]
	}
	return g.to[from:g.end[pos]]
}

// line returns the line of the task at a position.
func (g *fileGraph) line(pos uint32) uint64 {
	k, found := slices.BinarySearchFunc(g.lines, pos, func(r lineRun, pos uint32) int { return int(int64(r.pos) - int64(pos)) })
	if !found {
		k--
	}
	return g.lines[k].line + uint64(pos-g.lines[k].pos)
}

// readGraph reads a graph: lines of
//
//	ID <tab> DURATION_US <tab> OUTPUT_BYTES [<tab> DEP,DEP,…]
//
// in any order. # starts a comment, blank lines do not count, blanks may end a line.
// Errors are *graphError or of reading.
func readGraph(r io.Reader) (*fileGraph, error) {
	p := &graphParser{r: bufio.NewReaderSize(r, 1<<20), line: 1, g: &fileGraph{}}
	for {
		if err := p.next(); err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
	}
	g := p.g
	if len(g.ids) == 0 {
		return nil, &graphError{0, "no task in it"}
	}
	if err := g.resolve(&p.named); err != nil {
		return nil, err
	}
	return g, g.sort()
}

// graphParser reads lines as bytes, so that one of a million dependencies takes no more
// memory than these do.
type graphParser struct {
	r     *bufio.Reader
	line  uint64
	g     *fileGraph
	named idList // dependencies by id, in order
}

// idList is a list of ids that grows without being copied.
type idList struct {
	n     int
	parts [][]uint64 // idPart each, but the last
}

const idPart = 1 << 20

func (l *idList) add(id uint64) {
	if l.n%idPart == 0 {
		l.parts = append(l.parts, make([]uint64, 0, min(idPart, 16+l.n)))
	}
	last := &l.parts[len(l.parts)-1]
	*last = append(*last, id)
	l.n++
}

func (l *idList) at(k uint32) uint64 { return l.parts[k/idPart][k%idPart] }

// drop lets go of the parts that end at or before k.
func (l *idList) drop(k uint32) {
	for i := int(k/idPart) - 1; i >= 0 && l.parts[i] != nil; i-- {
		l.parts[i] = nil
	}
}

// next reads one line, with a task or without.
func (p *graphParser) next() error {
	c, err := p.skipSpaces()
	switch {
	case err != nil:
		return err // the end
	case endsLine(c) || c == '\t':
		return p.rest(c)
	}
	id, c, err := p.number("id", c, math.MaxUint64)
	if err != nil {
		return err
	}
	us, c, err := p.field("duration in µs", c, math.MaxUint32)
	if err != nil {
		return err
	}
	size, c, err := p.field("size of the result", c, maxResult)
	if err != nil {
		return err
	}
	if c == '\t' {
		if c, err = p.dependencies(); err != nil {
			return err
		}
	}
	if err := p.rest(c); err != nil {
		return err
	}
	return p.add(id, uint32(us), size)
}

// add takes in the task of the line that ended just now.
func (p *graphParser) add(id uint64, us uint32, size uint64) error {
	g, pos := p.g, uint32(len(p.g.ids))
	line := p.line - 1
	if len(g.ids) == maxTasks {
		return &graphError{line, fmt.Sprintf("more than %d tasks", uint64(maxTasks))}
	}
	if p.named.n > maxEdges {
		return &graphError{line, fmt.Sprintf("more than %d dependencies", uint64(maxEdges))}
	}
	if k := len(g.lines) - 1; k < 0 || g.lines[k].line+uint64(pos-g.lines[k].pos) != line {
		g.lines = append(g.lines, lineRun{pos, line})
	}
	g.ids, g.us, g.bytes = append(g.ids, id), append(g.us, us), append(g.bytes, max(size, valueLen))
	g.end = append(g.end, uint32(p.named.n))
	return nil
}

// dependencies reads the last field, behind its tab, which may be empty.
func (p *graphParser) dependencies() (byte, error) {
	c, err := p.byte()
	if err != nil || endsLine(c) || c == ' ' || c == '\t' {
		return c, err
	}
	for {
		var id uint64
		if id, c, err = p.number("dependency", c, math.MaxUint64); err != nil {
			return 0, err
		}
		p.named.add(id)
		if c != ',' {
			return c, nil
		}
		if c, err = p.byte(); err != nil {
			return 0, err
		}
	}
}

// field reads a number behind a tab, of which c is to be one.
func (p *graphParser) field(what string, c byte, limit uint64) (uint64, byte, error) {
	if c != '\t' {
		if endsLine(c) {
			return 0, 0, p.fail("a tab and the %s are missing", what)
		}
		return 0, 0, p.fail("%s in front of the %s, where a tab is to be", quoteByte(c), what)
	}
	c, err := p.byte()
	if err != nil {
		return 0, 0, err
	}
	return p.number(what, c, limit)
}

// number reads decimal digits, of which c is the first, and returns the byte behind.
func (p *graphParser) number(what string, c byte, limit uint64) (v uint64, _ byte, err error) {
	if c < '0' || c > '9' {
		if endsLine(c) {
			return 0, 0, p.fail("the %s is missing", what)
		}
		return 0, 0, p.fail("%s where the %s is to be, an unsigned number", quoteByte(c), what)
	}
	for c >= '0' && c <= '9' {
		d := uint64(c - '0')
		if v > (math.MaxUint64-d)/10 || v*10+d > limit {
			return 0, 0, p.fail("the %s is out of range: the most is %d", what, limit)
		}
		v = v*10 + d
		if c, err = p.byte(); err != nil {
			return 0, 0, err
		}
	}
	return v, c, nil
}

// rest reads the line to its end, from c on: spaces and a comment.
func (p *graphParser) rest(c byte) error {
	var err error
	for c == ' ' || c == '\t' {
		if c, err = p.byte(); err != nil {
			return err
		}
	}
	if c == '#' {
		if c, err = p.comment(); err != nil {
			return err
		}
	}
	if c == '\r' {
		if c, err = p.byte(); err != nil {
			return err
		}
	}
	if c != '\n' {
		return p.fail("%s where the line is to end", quoteByte(c))
	}
	p.line++
	return nil
}

// comment skips to the line's end, and returns '\n'.
func (p *graphParser) comment() (byte, error) {
	for {
		_, err := p.r.ReadSlice('\n')
		switch {
		case err == nil, err == io.EOF: // the last line may end without '\n'
			return '\n', nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return 0, err
		}
	}
}

// skipSpaces returns the first byte of a line that is none; io.EOF is the end.
func (p *graphParser) skipSpaces() (byte, error) {
	for {
		c, err := p.r.ReadByte()
		if err != nil || c != ' ' {
			return c, err
		}
	}
}

// byte returns the next byte; the end of the file ends the last line.
func (p *graphParser) byte() (byte, error) {
	c, err := p.r.ReadByte()
	if err == io.EOF {
		return '\n', nil
	}
	return c, err
}

func (p *graphParser) fail(format string, args ...any) error {
	return &graphError{p.line, fmt.Sprintf(format, args...)}
}

func endsLine(c byte) bool { return c == '\n' || c == '\r' || c == '#' }

func quoteByte(c byte) string {
	if c >= 0x80 {
		return fmt.Sprintf("byte %#02x", c)
	}
	return strconv.QuoteRune(rune(c))
}

// resolve turns the ids of dependencies into positions.
func (g *fileGraph) resolve(named *idList) error {
	index := newIDIndex(g.ids)
	for pos := range g.ids {
		if first := index.add(uint32(pos)); first != uint32(pos) {
			return &graphError{g.line(uint32(pos)), fmt.Sprintf("task %d was in line %d already", g.ids[pos], g.line(first))}
		}
	}
	g.to = make([]uint32, 0, named.n)
	from := uint32(0)
	for pos, end := range g.end {
		for k := from; k < end; k++ {
			at, ok := index.find(named.at(k))
			if !ok {
				return &graphError{g.line(uint32(pos)), fmt.Sprintf("task %d depends on %d, which is not in the graph", g.ids[pos], named.at(k))}
			}
			g.to = append(g.to, at)
		}
		from = end
		named.drop(end)
	}
	return nil
}

// idIndex finds positions by id: a table with open addressing, of 4 bytes a slot, or
// with a slot for each number where ids are dense.
type idIndex struct {
	ids   []uint64
	slots []uint32 // position + 1; 0 is free
	mask  uint64   // 0: a slot for each number
}

// sparse is how many times larger than their number ids may be and count as dense.
const sparse = 4

func newIDIndex(ids []uint64) *idIndex {
	if most := slices.Max(ids); most < sparse*uint64(len(ids)) {
		return &idIndex{ids: ids, slots: make([]uint32, most+1)}
	}
	n := uint64(4)
	for n < uint64(len(ids))*3/2 {
		n *= 2
	}
	return &idIndex{ids: ids, slots: make([]uint32, n), mask: n - 1}
}

// home is the slot where an id is looked for first.
func (x *idIndex) home(id uint64) uint64 {
	if x.mask == 0 {
		return id
	}
	return splitmix64(id) & x.mask
}

// add enters a position and returns the one that has its id: an earlier one if there is.
func (x *idIndex) add(pos uint32) uint32 {
	for h := x.home(x.ids[pos]); ; h = (h + 1) & x.mask {
		switch s := x.slots[h]; {
		case s == 0:
			x.slots[h] = pos + 1
			return pos
		case x.ids[s-1] == x.ids[pos]:
			return s - 1
		}
	}
}

func (x *idIndex) find(id uint64) (uint32, bool) {
	if x.mask == 0 && id >= uint64(len(x.slots)) {
		return 0, false
	}
	for h := x.home(id); x.slots[h] != 0; h = (h + 1) & x.mask {
		if pos := x.slots[h] - 1; x.ids[pos] == id {
			return pos, true
		}
	}
	return 0, false
}

// States of a task while the order is made.
const (
	unseen byte = iota
	open        // it is on the stack: what it needs comes first
	placed
)

// sort finds an order in which what a task needs comes before it: that of the file
// wherever it may be, and otherwise as late in it as the first that needs it allows.
func (g *fileGraph) sort() error {
	n := len(g.ids)
	state := make([]byte, n)
	order := make([]uint32, 0, n)
	type visit struct{ pos, next uint32 } // next: which of its edges
	var stack []visit
	for root := range uint32(n) {
		if state[root] != unseen {
			continue
		}
		stack = append(stack, visit{root, 0})
		state[root] = open
		for len(stack) > 0 {
			v := &stack[len(stack)-1]
			edges := g.edges(v.pos)
			if int(v.next) == len(edges) {
				state[v.pos] = placed
				order = append(order, v.pos)
				stack = stack[:len(stack)-1]
				continue
			}
			d := edges[v.next]
			v.next++
			switch state[d] {
			case unseen:
				state[d] = open
				stack = append(stack, visit{d, 0})
			case open:
				path := []uint32{d}
				for k := len(stack) - 1; stack[k].pos != d; k-- {
					path = append(path, stack[k].pos)
				}
				return g.cycle(path)
			}
		}
	}
	if slices.IsSorted(order) {
		return nil
	}
	g.order, g.place = order, make([]uint32, n)
	for i, pos := range order {
		g.place[pos] = uint32(i)
	}
	return nil
}

// shownCycle is how many tasks of a cycle are named.
const shownCycle = 10

// cycle tells of tasks of which each is needed by the next, and the last by the first.
func (g *fileGraph) cycle(path []uint32) error {
	if len(path) == 1 {
		return &graphError{g.line(path[0]), fmt.Sprintf("task %d depends on itself", g.ids[path[0]])}
	}
	slices.Reverse(path[1:]) // from d on, each depends on the next
	var b strings.Builder
	for i, pos := range path {
		if i == shownCycle {
			fmt.Fprintf(&b, "… (%d tasks) → ", len(path))
			break
		}
		fmt.Fprintf(&b, "%d → ", g.ids[pos])
	}
	return &graphError{g.line(path[0]), fmt.Sprintf("tasks depend on each other in a cycle: %s%d", b.String(), g.ids[path[0]])}
}
