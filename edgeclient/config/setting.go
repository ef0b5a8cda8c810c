package config

import (
	"fmt"
	"strings"
)

// Setting is one thing that can be set.
type Setting struct {
	Key   string // in yarnd.yaml; a dot is a level: worker.memory is memory below worker
	Kind  Kind
	Help  string // as for a flag
	Short string // the flag's letter
	// Default is the value where nobody sets one, as a flag's text; "" is none.
	Default string
	// Every says that every command has the flag, and not submit alone.
	Every bool
	flag  string // where it is not the key's
}

// Flag returns the flag's name, without dashes.
func (s *Setting) Flag() string {
	if s.flag != "" {
		return s.flag
	}
	return strings.ReplaceAll(s.Key, ".", "-")
}

// Env returns the environment variable's name.
func (s *Setting) Env() string {
	return "YARND_" + strings.ToUpper(strings.ReplaceAll(s.Flag(), "-", "_"))
}

// Property returns the property's name in Hadoop's site files, "" where it cannot be
// set there.
func (s *Setting) Property() string {
	if s.Key == HadoopKey {
		return ""
	}
	return propertyPrefix + s.Key
}

const propertyPrefix = "yarnd."

// HadoopKey is the key of the map of Hadoop properties, -D.
const HadoopKey = "hadoop"

const pathForm = "PATH[#NAME]"

// Settings is the table of all settings, in the order of the manual.
var Settings = []Setting{
	{Key: "workers", Kind: number(0, MaxWorkers), Default: "0", Help: "how many workers"},
	{Key: "adapt", Kind: limits, Help: "have the cluster scale by itself, with the work, from MIN to MAX workers, such as 0:20; default as many as --workers says"},
	{Key: "adapt-idle", Kind: duration, Default: "1m0s", Help: "with --adapt: how long fewer workers must have been enough before any go"},
	{Key: "worker.vcores", Kind: number(1, MaxVCores), Default: "1", Help: "virtual cores of a container of the worker"},
	{Key: "worker.memory", Kind: size(MinMemory, MaxMemory), Default: "1GiB", Help: "memory of a container of the worker"},
	{Key: "worker.max-per-node", Kind: number(0, MaxWorkers), Default: "0", Help: "how many workers there may be on a node, those of further pools aside, which have their own max-per-node; 0 is any number"},
	{Key: "worker.env", Kind: table("a map of NAME: value", envName), Help: "environment variable of the workers; not for secrets; may be repeated"},
	{Key: "worker.restarts", Kind: number(-1, MaxRestarts), Default: "3", Help: "how many rounds of workers, or of schedulers, may end soon after they began, one after the other, before the application is given up; -1 is any number, 0 the default"},
	{Key: "pools", flag: "pool", Kind: pools, Help: "a further pool of workers, NAME=N or NAME=MIN:MAX with ,memory=SIZE ,vcores=N ,gpus=N ,RESOURCE=N ,label=LABEL ,max-per-node=N ,opportunistic, for tasks that ask for what the others lack; may be repeated"},
	{Key: "scheduler.vcores", Kind: number(1, MaxVCores), Default: "1", Help: "virtual cores of a container of the scheduler"},
	{Key: "scheduler.memory", Kind: size(MinMemory, MaxMemory), Default: "512MiB", Help: "memory of a container of the scheduler"},
	{Key: "scheduler.label", Kind: text("a node label", LabelPattern), Help: "run the scheduler on nodes with this label only; default as --node-label"},
	{Key: "am.vcores", Kind: number(1, MaxVCores), Default: "1", Help: "virtual cores of a container of the am"},
	{Key: "am.memory", Kind: size(MinMemory, MaxMemory), Default: "512MiB", Help: "memory of a container of the am"},
	{Key: "am.env", Kind: table("a map of NAME: value", envName), Help: "environment variable of the application master, such as KRB5_CONFIG=PATH where the nodes have krb5.conf elsewhere; not for secrets; may be repeated"},
	{Key: "am.label", Kind: text("a node label", LabelPattern), Help: "run the application master on nodes with this label only; default as --node-label"},
	{Key: "driver.vcores", Kind: number(1, MaxVCores), Default: "1", Help: "virtual cores of the container of a driver"},
	{Key: "driver.memory", Kind: size(MinMemory, MaxMemory), Default: "1GiB", Help: "memory of the container of a driver"},
	{Key: "env", Kind: text(pathForm, `^[^\n]+$`), Help: "environment archive for the workers, PATH[#NAME]: .tar.gz, .tgz or .zip, here or hdfs://"},
	{Key: "archives", Kind: list("a list of "+pathForm, `^[^\n]+$`), Help: "further archives, PATH[#NAME], unpacked in the workers' directories"},
	{Key: "files", Kind: list("a list of "+pathForm, `^[^\n]+$`), Help: "files for the workers, PATH[#NAME]"},
	{Key: "bundle", Kind: text("a path", `^[^\n]+$`), Help: "binary to run instead of this one: a static program that imports yarnd"},
	{Key: "name", Kind: text("1 to 200 printable characters", `^[^\x00-\x1f\x7f]{1,200}$`), Default: "yarnd", Help: "the application's name"},
	{Key: "queue", Kind: text("the name of a queue", QueuePattern), Default: "default", Help: "YARN queue"},
	{Key: "tags", Kind: list("a list of tags of at most 100 ASCII characters without spaces", `^[\x21-\x7e]{1,100}$`), Help: "tags, shown in YARN's lists"},
	{Key: "priority", Kind: number(0, MaxPriority), Default: "0", Help: "priority within the queue, higher first"},
	{Key: "node-label", Kind: text("a node label", LabelPattern), Help: "run on nodes with this label only"},
	{Key: "max-attempts", Kind: number(0, MaxAttempts), Default: "0", Help: "attempts of the application master; 0 is the cluster's default"},
	{Key: "attempt-window", Kind: duration, Default: "10m0s", Help: "a failed attempt counts for so long: fewer than max-attempts may fail in any such time"},
	{Key: "idle-timeout", Kind: duration, Default: "0s", Help: "end by itself after so long without work or clients; 0 is never"},
	{Key: "keep-results", Kind: duration, Default: "24h0m0s", Help: "close a named job, and take back published results, when nobody has used them for so long after their end; 0 is never"},
	{Key: "journal", Kind: choice("on", "off"), Default: "on", Help: "off: the scheduler writes nothing down, and all jobs are lost when it dies"},
	{Key: "view-acl", Kind: acl, Help: "who else may look at the application, its events and logs: user1,user2, or 'user1,user2 group1,group2', or '*'"},
	{Key: "modify-acl", Kind: acl, Help: "who else may also scale and end it"},
	{Key: "submit-acl", Kind: acl, Help: "which users may also submit work and read results, which is to run programs as you; default nobody"},
	{Key: "port-range", Kind: portRange, Help: "listen on ports LOW-HIGH only, such as 40000-40100; default any"},
	{Key: "interface", Kind: network, Help: "listen on this network interface of each node only, a NAME or a network such as 10.1.0.0/16"},
	{Key: "allow-ratio", Kind: boolean, Default: "false", Help: "accept archives that unpack to more than 200 times their size"},
	{Key: "file-systems", Kind: list("a list of URLs such as hdfs://other:8020", `^[a-z][a-z0-9+.-]*://[^\s\x00-\x1f\x7f]+$`), Help: "further file systems that tasks use: with Kerberos the application gets tokens for them"},
	{Key: "strict", Kind: boolean, Default: "false", Help: "refuse clusters that do not prove who is who, or on which others can read what is sent"},
	{Key: "wait", Kind: wait, Default: "accepted", Help: "return when: none, accepted, workers:N, finished"},

	{Key: "app", Every: true, Kind: text("an id, the end of one, last, name:NAME, or a scheduler's HOST:PORT", `^[^\s\x00-\x1f\x7f]+$`), Help: "the application that is meant where a command is given no APP; default the current one"},
	{Key: "provider", Every: true, Kind: choice("yarn", "local"), Default: "yarn", Help: "where applications run: yarn, or local (this machine)"},
	{Key: "credentials", Every: true, Kind: text("a path", `^[^\n]+$`), Help: "credentials file of a cluster that was started by hand; default ~/.yarnd/credentials"},
	{Key: "principal", Every: true, Kind: text("a principal such as alice@EXAMPLE.COM", `^[^\s\x00-\x1f\x7f]{1,1000}$`), Help: "on a cluster with Kerberos: who we are, by --keytab"},
	{Key: "keytab", Every: true, Kind: text("a path", `^[^\n]+$`), Help: "file with the principal's keys; default the ticket cache that kinit fills"},
	{Key: "proxy-user", Every: true, Kind: text("a user's name", `^[^\s\x00-\x1f\x7f/@]{1,255}$`), Help: "act for this user, as a service that the cluster lets do so; default $HADOOP_PROXY_USER, else nobody"},
	{Key: "output", Every: true, Short: "o", Kind: choice(Outputs...), Default: "table", Help: "form of data: " + strings.Join(Outputs, ", ")},
	{Key: "timeout", Every: true, Kind: duration, Default: "0s", Help: "end with an error after so long; default 20s for each answer of the cluster"},
	{Key: "quiet", Every: true, Short: "q", Kind: boolean, Default: "false", Help: "no progress and no hints"},
	{Key: "verbose", Every: true, Short: "v", Kind: boolean, Default: "false", Help: "log what happens to standard error"},
	{Key: HadoopKey, Every: true, Short: "D", flag: "define", Kind: table("a map of Hadoop's properties", `^[^\s=]+$`), Help: "set a Hadoop property: -D key=value"},
}

// Outputs are the forms of data.
var Outputs = []string{"table", "wide", "json", "jsonl", "yaml", "name"}

// Patterns that the command line's own checks share.
const (
	envName      = `^[A-Za-z_][A-Za-z0-9_]*$`
	QueuePattern = `^[^\s\x00-\x1f\x7f]{1,1000}$`
	LabelPattern = `^[A-Za-z0-9_.-]{0,255}$`
)

// acl is a list of users and groups, judged by the request.
var acl = text("user1,user2, or 'user1,user2 group1,group2', or '*'", `^[^\x00-\x1f\x7f]*$`)

// Lookup returns the setting of a key, or nil.
func Lookup(key string) *Setting {
	for i := range Settings {
		if Settings[i].Key == key {
			return &Settings[i]
		}
	}
	return nil
}

// Must is Lookup for keys that a program writes down.
func Must(key string) *Setting {
	s := Lookup(key)
	if s == nil {
		panic(fmt.Sprintf("config: no setting %q", key))
	}
	return s
}

// sections returns the levels above keys: worker, scheduler, am.
func sections() []string {
	var out []string
	seen := map[string]bool{}
	for i := range Settings {
		if s, _, ok := strings.Cut(Settings[i].Key, "."); ok && !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}
