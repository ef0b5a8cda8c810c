package sched

import "github.com/yarnd/yarnd/engine/graph"

// The result of a Done task is inline at the scheduler, or on one worker and any
// number of others that copied it. Copies come and go; when the last one went,
// the result is lost, and what that means is settled here.

// nowHolds takes in that w holds a result. One that is not needed is freed.
func (c *Core) nowHolds(w *worker, h Held) {
	j, t := c.look(h.Task)
	i := h.Task.Index
	switch {
	case j == nil:
	case t.state == StateDone && t.attempt == h.Attempt && t.flags&flagInline == 0:
		if !j.holds(i, w.id) {
			j.copies.add(i, w.id)
			c.hold(w, h.Task, t.size)
		}
		c.transferArrived(w, h.Task)
		return
	case c.mayTakeOver(j, i, t, h.Attempt) && (j.lost[i] == 0 || t.flags&flagSeen == 0), t.state.Active() && h.Attempt != 0 && (h.Attempt == j.lost[i] || h.Attempt == max(t.attempt, j.top[i]) || h.Attempt == t.attempt):
		c.find(h.Task) // makes the row
		c.recover(j, i, w, h)
		return
	}
	c.reject(StaleResult)
	c.out.Free = append(c.out.Free, Order{w.id, h.Task, h.Attempt})
}

// recover takes in a result that a worker brings along after a reconnect, for a
// task that is about to be computed again. It is either the accepted one that was
// thought lost: who saw it sees the same again. Or it is of the last attempt that
// anybody was given, which ended while its worker could not be heard: an attempt
// is given once, so nobody else can have made it.
func (c *Core) recover(j *job, i uint32, w *worker, h Held) {
	t := j.task(i)
	if t.state.Given() && t.attempt != h.Attempt {
		c.stop(j, i)
	}
	if t.attempt != h.Attempt {
		if j.top == nil {
			j.top = map[uint32]graph.Attempt{}
		}
		j.top[i] = max(t.attempt, j.top[i])
	}
	t.attempt = h.Attempt
	c.finish(j, i, moveRecover, w.id, h.Size)
}

func (c *Core) stepCopied(ev Copied) {
	w := c.workers[ev.Worker]
	if w == nil {
		c.reject(UnknownWorker)
		return
	}
	for _, h := range ev.Tasks {
		c.nowHolds(w, h)
		c.settle()
	}
}

func (c *Core) stepMissing(ev Missing) {
	for _, a := range ev.Tasks {
		j, t := c.look(a.Task)
		if j == nil || t.state != StateDone || a.Attempt != 0 && a.Attempt != t.attempt || !c.copyGone(j, a.Task.Index, ev.Worker) {
			c.reject(StaleResult)
		}
		c.settle()
	}
}

// holds reports whether w is among i's holders.
func (j *job) holds(i uint32, w graph.WorkerID) bool {
	for h := range j.holdersOf(i) {
		if h == w {
			return true
		}
	}
	return false
}

// copyGone is dropCopy for a copy that turned out not to be there, or not to be
// reachable: should it exist after all, it is freed.
func (c *Core) copyGone(j *job, i uint32, id graph.WorkerID) bool {
	w := c.workers[id]
	if w == nil {
		return false
	}
	attempt := j.task(i).attempt
	if !c.dropCopy(j, i, w) {
		return false
	}
	c.out.Free = append(c.out.Free, Order{id, j.name(i), attempt})
	return true
}

// dropCopy takes w from i's holders and reports whether it was one. With the
// last copy the result is lost.
func (c *Core) dropCopy(j *job, i uint32, w *worker) bool {
	t := j.task(i)
	if t.state != StateDone || t.flags&flagInline != 0 {
		return false
	}
	if t.where != w.id {
		if !j.copies.remove(i, w.id) {
			return false
		}
		w.unhold(t.size)
		return true
	}
	w.unhold(t.size)
	if t.where = j.copies.pop(i); t.where == 0 {
		c.lose(j, i)
	}
	return true
}

// lose follows the loss of a result's last copy: who waits for it waits again,
// and if anybody wants it, it is computed again.
func (c *Core) lose(j *job, i uint32) {
	t := j.task(i)
	c.apply(j, i, moveLose)
	c.noteLost(j, i, t.attempt)
	c.dropTransfers(j.name(i))
	c.doubt(j, i)
	for jk, k := range c.consumers(j, i) {
		tk := jk.task(k)
		switch tk.state {
		case StateReady:
			c.apply(jk, k, moveUnready)
			tk.waiting++
		case StateWaiting:
			tk.waiting++
		}
	}
	c.dropLater(j, i)
	c.wantLater(j, i)
}

// noteLost remembers which attempt's result is the accepted one, though nobody has it.
func (c *Core) noteLost(j *job, i uint32, a graph.Attempt) {
	if j.lost == nil {
		j.lost = map[uint32]graph.Attempt{}
	}
	j.lost[i] = a
}

// freeCopies tells all holders that a result is not needed any more.
func (c *Core) freeCopies(j *job, i uint32) {
	t := j.task(i)
	if t.flags&flagInline != 0 {
		t.flags &^= flagInline
		c.out.Free = append(c.out.Free, Order{0, j.name(i), t.attempt})
		return
	}
	c.dropTransfers(j.name(i))
	for h := t.where; h != 0; h = j.copies.pop(i) {
		c.workers[h].unhold(t.size)
		c.out.Free = append(c.out.Free, Order{h, j.name(i), t.attempt})
	}
	t.where = 0
}
