// Command wordcount counts the words of files in HDFS, reading blocks where they
// lie, and writes what Hadoop's own wordcount writes.
//
//	wordcount [--app APP | --workers N] IN… OUT
//
// IN is a file or a directory, with all below it; files whose names end in .gz,
// .bz2 or .deflate are decompressed. OUT is a directory that does not exist yet.
// Relative paths are under the HDFS home directory. Each output file OUT/part-r-NNNNN
// holds lines "word<TAB>count", sorted by bytes.
//
// It runs on the application that --app names, on a cluster of its own with
// --workers, and else on the host's current application (see yarnd connect). On
// an application on this machine, paths are local.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/examples/internal/files"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

func main() {
	yarnd.Main(func(ctx context.Context) error {
		o := options{}
		flags := flag.NewFlagSet("wordcount", flag.ContinueOnError)
		flags.StringVar(&o.app, "app", "", "application to run on: an id, last, current, name:NAME")
		flags.IntVar(&o.workers, "workers", 0, "start a cluster of so many workers, and end it afterwards")
		flags.Int64Var(&o.memory, "worker-memory", 512, "MiB of each of those workers")
		flags.IntVar(&o.parts, "parts", 4, "how many output files")
		flags.DurationVar(&o.pause, "pause", 0, "rest so long in each task, to have something to look at")
		err := flags.Parse(os.Args[1:])
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		if err != nil {
			return &edgeclient.Fault{Code: edgeclient.Usage, What: err.Error(), Next: "See wordcount --help"}
		}
		if flags.NArg() < 2 || o.parts < 1 || o.workers < 0 || o.app != "" && o.workers > 0 {
			return &edgeclient.Fault{Code: edgeclient.Usage, What: "wordcount takes at least one input and an output", Next: "Write wordcount [--app APP | --workers N] IN… OUT"}
		}
		o.in, o.out = flags.Args()[:flags.NArg()-1], flags.Arg(flags.NArg()-1)
		return run(ctx, o)
	})
}

type options struct {
	app     string
	workers int
	memory  int64 // MiB
	parts   int
	pause   time.Duration
	in      []string
	out     string
}

func run(ctx context.Context, o options) (err error) {
	cluster, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer cluster.Close()
	if o.workers > 0 {
		defer func() { err = errors.Join(err, cluster.Stop(context.WithoutCancel(ctx))) }()
	}
	hfs, err := files.Open(ctx, edgeclient.IsLocalID(cluster.ID))
	if err != nil {
		return err
	}
	defer hfs.Close()
	out, err := hfs.URL(o.out)
	if err != nil {
		return err
	}
	if _, err := hfs.Stat(ctx, o.out); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = &edgeclient.Fault{Code: edgeclient.Usage, What: "the output " + out + " exists", Next: "Give another, or remove it"}
		}
		return err
	}
	start := time.Now()
	work, err := splits(ctx, hfs, o.in)
	if err != nil {
		return err
	}
	if err := hfs.MkdirAll(ctx, o.out, 0o755); err != nil {
		return err
	}
	total, err := countWords(ctx, cluster, work, out, o)
	if err != nil {
		return errors.Join(err, hfs.RemoveAll(context.WithoutCancel(ctx), o.out))
	}
	if _, err := hdfs.WriteFile(ctx, hfs, o.out+"/_SUCCESS", nil, 0o644); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%d words, %d different, in %d files of %s; %d of %d splits read locally (%.0f %%); %s\n",
		total.Words, total.Different, o.parts, out, total.Local, len(work), 100*float64(total.Local)/float64(max(1, len(work))),
		time.Since(start).Round(time.Millisecond))
	return nil
}

func open(ctx context.Context, o options) (*yarnd.Cluster, error) {
	if o.workers > 0 {
		return yarnd.Submit(ctx, yarnd.Spec{Name: "wordcount", Workers: o.workers, Worker: yarnd.Resources{Memory: o.memory << 20}})
	}
	if o.app == "" {
		o.app = "current"
	}
	return yarnd.Connect(ctx, o.app)
}
