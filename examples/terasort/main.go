// Command terasort generates, sorts and checks records as Hadoop's TeraGen, TeraSort and
// TeraValidate do.
//
//	terasort [--app APP] [--parts N] gen ROWS OUT
//	terasort [--app APP] [--parts N] sort IN OUT
//	terasort [--app APP] validate DIR
//
// IN and OUT are directories in HDFS, OUT one that does not exist yet; relative paths are
// under the HDFS home directory. On an application on this machine, paths are local. Each
// prints how many rows there were, and their checksum: those of gen, sort and validate are
// equal, or something is wrong. validate fails when the rows of DIR are not sorted, file
// after file.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/examples/internal/files"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

func main() {
	yarnd.Main(func(ctx context.Context) error {
		flags := flag.NewFlagSet("terasort", flag.ContinueOnError)
		app := flags.String("app", "", "application to run on: an id, last, current, name:NAME")
		n := flags.Int("parts", 4, "how many output files")
		err := flags.Parse(os.Args[1:])
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		args := flags.Args()
		if err != nil || *n < 1 || len(args) < 2 || len(args) != map[string]int{"gen": 3, "sort": 3, "validate": 2}[args[0]] {
			return usage("terasort takes gen ROWS OUT, sort IN OUT, or validate DIR")
		}
		cluster, err := yarnd.Connect(ctx, *app)
		if err != nil {
			return err
		}
		defer cluster.Close()
		hfs, err := files.Open(ctx, edgeclient.IsLocalID(cluster.ID))
		if err != nil {
			return err
		}
		defer hfs.Close()
		start := time.Now()
		total, err := do(ctx, cluster, hfs, args, *n)
		if err != nil {
			return err
		}
		fmt.Printf("%d rows, checksum %x\n", total.Rows, total.Checksum)
		fmt.Fprintf(os.Stderr, "%s took %s\n", args[0], time.Since(start).Round(time.Millisecond))
		return nil
	})
}

func usage(what string) error {
	return &edgeclient.Fault{Code: edgeclient.Usage, What: what, Next: "See terasort --help"}
}

func do(ctx context.Context, cluster *yarnd.Cluster, hfs hdfs.FS, args []string, n int) (total sum, err error) {
	switch args[0] {
	case "gen":
		rows, err := strconv.ParseUint(args[1], 10, 48)
		if err != nil {
			return total, usage(fmt.Sprintf("%q is not a number of rows", args[1]))
		}
		return into(ctx, hfs, args[2], func(out string) (sum, error) { return generate(ctx, cluster, out, rows, n) })
	case "sort":
		work, err := splits(ctx, hfs, args[1])
		if err != nil {
			return total, err
		}
		return into(ctx, hfs, args[2], func(out string) (sum, error) { return sortAll(ctx, cluster, work, out, n) })
	}
	return validate(ctx, cluster, hfs, args[1])
}

// into makes a directory for what f writes, and removes it if f fails.
func into(ctx context.Context, hfs hdfs.FS, name string, f func(url string) (sum, error)) (total sum, err error) {
	out, err := hfs.URL(name)
	if err != nil {
		return total, err
	}
	if _, err := hfs.Stat(ctx, name); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = usage("the output " + out + " exists")
		}
		return total, err
	}
	if err := hfs.MkdirAll(ctx, name, 0o755); err != nil {
		return total, err
	}
	if total, err = f(out); err == nil {
		_, err = hdfs.WriteFile(ctx, hfs, name+"/_SUCCESS", nil, 0o644)
	}
	if err != nil {
		return total, errors.Join(err, hfs.RemoveAll(context.WithoutCancel(ctx), name))
	}
	return total, nil
}
