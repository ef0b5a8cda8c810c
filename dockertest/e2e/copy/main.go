// Command copy is the program that make bench-secure times: a local file into HDFS, and back.
//
//	copy put FILE NAME
//	copy get NAME FILE
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "copy:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	c, err := conf.Load(conf.Options{})
	if err != nil {
		return err
	}
	f, err := hdfs.Open(ctx, c, "", hdfs.Options{})
	if err != nil {
		return err
	}
	defer f.Close()
	switch {
	case len(args) == 3 && args[0] == "put":
		from, err := os.Open(args[1])
		if err != nil {
			return err
		}
		defer from.Close()
		_, err = hdfs.Upload(ctx, f, args[2], from, hdfs.UploadOptions{CreateOptions: hdfs.CreateOptions{Overwrite: true}})
		return err
	case len(args) == 3 && args[0] == "get":
		from, err := f.Open(ctx, args[1])
		if err != nil {
			return err
		}
		defer from.Close()
		to, err := os.Create(args[2])
		if err != nil {
			return err
		}
		_, err = io.Copy(to, from)
		return errors.Join(err, to.Close())
	}
	return errors.New("use: copy put FILE NAME, or copy get NAME FILE")
}
