package main

// source is a graph of tasks, numbered from 0 so that each depends on earlier ones
// only. It does not change.
type source interface {
	len() int
	at(i int) task
	// deps appends the tasks that i needs to dst, with a task that is needed twice
	// there twice.
	deps(i int, dst []uint32) []uint32
}

// task is one of a graph's tasks.
type task struct {
	id    uint64 // of which the value is made
	us    uint32 // busy wait, in microseconds
	bytes uint64 // of the result, at least valueLen
}

// shaped is a graph that is computed from its numbers and takes no memory.
type shaped struct {
	n      int
	us     uint32
	bytes  uint64
	large  uint64 // bytes of the results of tasks below first, or with an even number
	first  int
	even   bool
	depsOf func(i int, dst []uint32) []uint32
}

func (s *shaped) len() int { return s.n }

func (s *shaped) at(i int) task {
	t := task{id: uint64(i), us: s.us, bytes: max(s.bytes, valueLen)}
	if i < s.first || s.even && i%2 == 0 {
		t.bytes = max(s.large, valueLen)
	}
	return t
}

func (s *shaped) deps(i int, dst []uint32) []uint32 { return s.depsOf(i, dst) }

func noDeps(_ int, dst []uint32) []uint32 { return dst }

// chainDeps: each task needs the one before.
func chainDeps(i int, dst []uint32) []uint32 {
	if i > 0 {
		dst = append(dst, uint32(i-1))
	}
	return dst
}

// mergeDeps: the last of n tasks needs all others.
func mergeDeps(n int) func(int, []uint32) []uint32 {
	return func(i int, dst []uint32) []uint32 {
		if i == n-1 {
			dst = appendRange(dst, 0, n-1)
		}
		return dst
	}
}

// treeDeps: the n tasks are a binary heap turned upside down, so that results are
// combined in pairs and the last task is the root.
func treeDeps(n int) func(int, []uint32) []uint32 {
	return func(i int, dst []uint32) []uint32 {
		at := n - 1 - i // in the heap
		for child := 2*at + 2; child > 2*at; child-- {
			if child < n {
				dst = append(dst, uint32(n-1-child))
			}
		}
		return dst
	}
}

// stencilDeps: rows of that width; each task needs its three neighbours in the row
// before, which is a ring.
func stencilDeps(width int) func(int, []uint32) []uint32 {
	return func(i int, dst []uint32) []uint32 {
		row, col := i/width, i%width
		if row == 0 {
			return dst
		}
		before := (row - 1) * width
		switch width {
		case 1:
			return append(dst, uint32(before))
		case 2:
			return append(dst, uint32(before), uint32(before+1))
		}
		return append(dst, uint32(before+(col+width-1)%width), uint32(before+col), uint32(before+(col+1)%width))
	}
}

// broadcastDeps: all tasks need the first.
func broadcastDeps(i int, dst []uint32) []uint32 {
	if i > 0 {
		dst = append(dst, 0)
	}
	return dst
}

// pairDeps: each second task needs the one before it.
func pairDeps(i int, dst []uint32) []uint32 {
	if i%2 == 1 {
		dst = append(dst, uint32(i-1))
	}
	return dst
}

// halvesDeps: each of the second n tasks needs one of the first n.
func halvesDeps(n int) func(int, []uint32) []uint32 {
	return func(i int, dst []uint32) []uint32 {
		if i >= n {
			dst = append(dst, uint32(i-n))
		}
		return dst
	}
}

func appendRange(dst []uint32, from, to int) []uint32 {
	for i := from; i < to; i++ {
		dst = append(dst, uint32(i))
	}
	return dst
}
