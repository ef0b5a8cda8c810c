// Command calls is the program that make bench-secure times beside Hadoop's own client (test.yarnd.GetApplications): it asks
// the ResourceManager for all applications, so many times from so many goroutines, and prints how many a second. As many
// calls before are not counted.
//
//	calls N GOROUTINES
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/login"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "calls:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("use: calls N GOROUTINES")
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	goroutines, err := strconv.Atoi(args[1])
	if err != nil || goroutines < 1 {
		return fmt.Errorf("calls: %q goroutines", args[1])
	}
	c, err := conf.Load(conf.Options{})
	if err != nil {
		return err
	}
	who, err := login.Find(c, login.Options{})
	if err != nil {
		return err
	}
	defer who.Close()
	addrs, err := yarn.AddressesFromConf(c)
	if err != nil {
		return err
	}
	o, err := who.IPC(ipc.Options{}, c, login.ResourceManager(c, addrs.Client))
	if err != nil {
		return err
	}
	client := yarn.NewClient(yarn.Options{Addresses: addrs.Client, IPC: o})
	defer client.Close()
	if _, err := round(ctx, client, n, goroutines); err != nil {
		return err
	}
	began := time.Now()
	apps, err := round(ctx, client, n, goroutines)
	if err != nil {
		return err
	}
	_, err = fmt.Printf("%.1f calls/s, %d applications\n", float64(n/goroutines*goroutines)/time.Since(began).Seconds(), apps)
	return err
}

// round makes n calls and returns how many applications the last ones told of.
func round(ctx context.Context, client *yarn.Client, n, goroutines int) (apps int, err error) {
	var all errgroup.Group
	for i := range goroutines {
		all.Go(func() error {
			for range n / goroutines {
				list, err := client.Applications(ctx, &pb.GetApplicationsRequest{})
				if err != nil {
					return err
				}
				if i == 0 {
					apps = len(list)
				}
			}
			return nil
		})
	}
	return apps, all.Wait()
}
