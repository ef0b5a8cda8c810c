package main

import (
	"context"
	"slices"
	"time"
)

// kept is which containers of the application have to be there still when the present fault is over.
type kept struct {
	before []string        // all that there were when it began, and those that were being launched when it hit
	home   map[string]bool // of these those that were sent home
	unseen int             // launches that it hit of which there was no container: these are lost
	deaths int             // of application masters
}

func newKept(before []string) kept { return kept{before: before, home: map[string]bool{}} }

// launched adds what was being launched: of the containers that run now, those that were not there before, or one that
// was never seen.
func (k *kept) launched(now []string) {
	more := 0
	for _, id := range now {
		if !slices.Contains(k.before, id) {
			k.before, more = append(k.before, id), more+1
		}
	}
	if more == 0 {
		k.unseen++
	}
}

// count counts the containers that nobody has hurt on purpose or sent home, and which of them run now: once for each death
// of an application master over which they were to be kept, of which one has lost those that are lost.
func (k *kept) count(now []string, victims map[string]bool) (kept, of int) {
	of, lost := k.unseen, k.unseen
	for _, id := range k.before {
		if victims[id] || k.home[id] {
			continue
		}
		of++
		if !slices.Contains(now, id) {
			lost++
		}
	}
	of *= max(1, k.deaths)
	return of - lost, of
}

// sendsHome notes that containers were told to end, by who wanted fewer.
func (w *world) sendsHome(ids ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		w.kept.home[id] = true
	}
}

// launching notes what was being launched at the moment. What the killed master had just ordered may take some
// milliseconds to be seen, and is taken back with the node's next heartbeat.
func (w *world) launching(ctx context.Context) {
	const visible = 100 * time.Millisecond
	w.mu.Lock()
	before := w.kept.before
	w.mu.Unlock()
	now := w.containers()
	for began := time.Now(); time.Since(began) < visible && !slices.ContainsFunc(now, func(id string) bool { return !slices.Contains(before, id) }); {
		sleep(ctx, 5*time.Millisecond)
		now = w.containers()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept.launched(now)
}
