package cli

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/edgeclient/config"
	"github.com/yarnd/yarnd/engine/machine"
)

// runWorker makes the command that is a group of commands too into one that runs a
// worker, when it is given an address.
func (c *command) runWorker(cmd *cobra.Command) {
	var o yarnd.WorkerOptions
	cmd.Use = "worker HOST:PORT | worker COMMAND"
	cmd.Annotations = map[string]string{ownTimeout: "it bounds the search for a scheduler"}
	cmd.Long = `worker HOST:PORT runs a worker by hand, without YARN: it joins the scheduler that
yarnd scheduler runs there, takes as many tasks at once as it has cores, and comes
back when the scheduler starts again. It runs until it is interrupted or terminated;
with --timeout it ends when it has had no scheduler for so long.

Cores and memory are what this host, or the control group in which it runs, allows.
Commands run in a scratch directory, which is removed at the end.

The other commands look at the workers of an application, and let some go.`
	cmd.Example = `  yarnd worker node1:8786
  yarnd worker node1:8786 --worker-vcores 4 --worker-memory 8GiB --credentials /etc/yarnd/credentials
  yarnd worker list last`
	cmd.Args = workerArgs
	cmd.SuggestionsMinimumDistance = 2
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		address, err := edgeclient.ParseAddress(args[0])
		if err != nil {
			return err
		}
		o.Scheduler, o.Credentials, o.Patience = address, c.credentials, c.timeout
		o.Tell, o.Log = c.progress, c.service()
		here := machine.Here()
		if o.Cores == 0 {
			o.Cores = here.Cores
		}
		if o.Memory == 0 {
			o.Memory = max(here.Share(o.Cores), config.MinMemory)
		}
		if err := checkSizes(o); err != nil {
			return err
		}
		return yarnd.RunWorker(cmd.Context(), o)
	}
	f := cmd.Flags()
	detected(f, "worker.vcores", (*cores)(&o.Cores), "cores")
	detected(f, "worker.memory", (*size)(&o.Memory), "memory")
	o.Cores, o.Memory = 0, 0
	setting(f, "port-range", (*ports)(&o.Ports))
	setting(f, "interface", &o.Interface)
	f.Var((*amounts)(&o.Named), "resource", "what it has besides, NAME=COUNT, for instance gpu=2, for tasks that ask for it; may be repeated")
	f.StringVar(&o.Dir, "dir", "", "make the scratch directory below this one; default the temporary one")
}

// workerArgs demands an address, or nothing.
func workerArgs(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case len(args) > 1:
		return knownCommand(cmd, args)
	}
	_, err := edgeclient.ParseAddress(args[0])
	if err != nil && len(cmd.SuggestionsFor(args[0])) > 0 {
		return knownCommand(cmd, args)
	}
	return err
}

// detected defines the flag of a setting whose default is not the table's but what the
// machine has.
func detected(f *pflag.FlagSet, key string, target pflag.Value, what string) {
	setting(f, key, target)
	undefault(f, key, what+" of the worker; default what this host, or its control group, allows")
}

// undefault has the help of a setting's flag not tell the table's default, but its own.
func undefault(f *pflag.FlagSet, key, help string) {
	flag := f.Lookup(config.Must(key).Flag())
	flag.DefValue, flag.Usage = "", help
}

// checkSizes refuses what the settings of the same names do not take.
func checkSizes(o yarnd.WorkerOptions) error {
	return (&edgeclient.Request{Worker: edgeclient.Resources{VCores: o.Cores, Memory: o.Memory}}).Check()
}
