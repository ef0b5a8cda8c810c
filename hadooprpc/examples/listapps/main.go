// Command listapps lists the applications of a YARN cluster. It shows that a Go program needs nothing but hadooprpc for that:
// no Java, no command line tools.
//
//	listapps                       running and waiting applications, as configured in HADOOP_CONF_DIR
//	listapps -all -user alice      everything that alice ever ran, as far as the ResourceManager remembers
//	listapps -rm rm1:8032,rm2:8032 without any configuration
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "listapps:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("listapps", flag.ContinueOnError)
	rm := flags.String("rm", "", "addresses of the ResourceManager, comma separated (default: from HADOOP_CONF_DIR)")
	all := flags.Bool("all", false, "list ended applications, too")
	user := flags.String("user", "", "list this user's applications only")
	if err := flags.Parse(args); err != nil {
		return err
	}

	addrs := strings.Split(*rm, ",")
	if *rm == "" {
		c, err := conf.Load(conf.Options{})
		if err != nil {
			return err
		}
		found, err := yarn.AddressesFromConf(c)
		if err != nil {
			return err
		}
		addrs = found.Client
	}
	client := yarn.NewClient(yarn.Options{Addresses: addrs, IPC: ipc.Options{RetryFor: 5 * time.Second}})
	defer client.Close()

	filter := &pb.GetApplicationsRequest{}
	if !*all {
		filter.ApplicationStates = []pb.ApplicationState{
			pb.ApplicationState_SUBMITTED, pb.ApplicationState_ACCEPTED, pb.ApplicationState_RUNNING,
		}
	}
	if *user != "" {
		filter.Users = []string{*user}
	}
	apps, err := client.Applications(ctx, filter)
	if err != nil {
		return err
	}
	return print(out, apps)
}

func print(out io.Writer, apps []*pb.ApplicationReport) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "APPLICATION\tNAME\tTYPE\tUSER\tQUEUE\tSTATE\tFINAL\tPROGRESS")
	for _, a := range apps {
		fmt.Fprintf(w, "%v\t%s\t%s\t%s\t%s\t%v\t%v\t%.0f%%\n",
			yarn.ApplicationIDFromPB(a.GetApplicationId()), clean(a.GetName()), a.GetApplicationType(), a.GetUser(), a.GetQueue(),
			a.GetYarnApplicationState(), strings.TrimPrefix(a.GetFinalApplicationStatus().String(), "APP_"), 100*a.GetProgress())
	}
	return w.Flush()
}

// clean keeps an application's name, which anybody may choose, from writing control characters to the terminal.
func clean(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, name)
}
