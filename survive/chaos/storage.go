package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hdfs/hdfstest"
)

var outages = []hdfstest.Trouble{
	{NameNode: hdfstest.Refuses},
	{NameNode: hdfstest.Hangs},
	{DataNode: hdfstest.Refuses},
	{DataNode: hdfstest.Hangs},
	{NameNode: hdfstest.Refuses, DataNode: hdfstest.Refuses},
	{NameNode: hdfstest.Hangs, DataNode: hdfstest.Hangs},
	{SafeMode: true},
}

// hdfsAway takes HDFS away for a while: what keeps the journal, the master's memory and its address.
func (w *world) hdfsAway(ctx context.Context) error {
	return w.troubled(ctx, outages[w.rnd.IntN(len(outages))], w.pause(5*time.Second, time.Minute))
}

// troubled has HDFS be in trouble for so long, and until somebody has met it.
func (w *world) troubled(ctx context.Context, t hdfstest.Trouble, length time.Duration) error {
	const patience = 10 * time.Second // for somebody to meet it
	if err := w.HDFS.SetTrouble(t); err != nil {
		return err
	}
	began := time.Now()
	for ctx.Err() == nil && (time.Since(began) < length || w.HDFS.Met() == 0 && time.Since(began) < length+patience) {
		sleep(ctx, 20*time.Millisecond)
	}
	met := w.HDFS.Met()
	err := w.HDFS.SetTrouble(hdfstest.Trouble{})
	w.harm()
	if err == nil && met == 0 {
		return errMissed
	}
	w.hit(1)
	return err
}

// diskFull fills the disk of a node on which a worker runs, or all of HDFS.
func (w *world) diskFull(ctx context.Context) error {
	length := w.pause(4*time.Second, 30*time.Second)
	if !w.disks || w.rnd.IntN(3) == 0 {
		return w.troubled(ctx, hdfstest.Trouble{Full: true}, length)
	}
	id := w.worker(ctx)
	node := w.nodeOf(id)
	if node < 0 {
		return errMissed
	}
	filler := filepath.Join(w.disk(node), "filler")
	if err := fill(filler); err != nil {
		return err
	}
	for began := time.Now(); ctx.Err() == nil && time.Since(began) < length; {
		sleep(ctx, 100*time.Millisecond)
		if err := fill(filler); err != nil { // what was freed meanwhile
			return err
		}
	}
	lives := w.nodeOf(id) == node
	err := os.Remove(filler)
	w.harm()
	if err == nil && !lives {
		return errMissed
	}
	w.hit(1)
	return err
}

// fill makes a file grow until its disk is full.
func fill(name string) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil && !errors.Is(err, syscall.ENOSPC) {
		return err
	}
	defer f.Close()
	for piece := make([]byte, 1<<20); len(piece) > 0; {
		if _, err = f.Write(piece); err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				return err
			}
			piece = piece[:len(piece)/2]
		}
	}
	return nil
}
