package nm

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
)

// Options describe a node. RM and Dir are required; zero values of the others stand for Hadoop's defaults.
type Options struct {
	// RM is the ResourceManager to register with.
	RM tracker.ResourceManager
	// Dir is where local and log directories are, unless they are named: Dir/local and Dir/logs.
	Dir string
	// LocalDirs and LogDirs are yarn.nodemanager.local-dirs and log-dirs; all are made, the first is used.
	LocalDirs, LogDirs []string

	// Host is how others reach the node, an address of this machine; "" is 127.0.0.1. Port and HTTPPort are its
	// ContainerManagementProtocol's and its web server's, 0 for free ones. A restart keeps them.
	Host           string
	Port, HTTPPort int
	Rack, Label    string
	// Capability is what the node offers; the zero value is 8192 MiB and 8 cores.
	Capability tracker.Resource

	// Queue is how many opportunistic containers may wait here for room
	// (yarn.nodemanager.opportunistic-containers-max-queue-length). With 0, as by default, nothing waits: what comes is
	// started.
	Queue int

	// Heartbeat is the time between two heartbeats; 0 is a second.
	Heartbeat time.Duration
	// KillDelay passes between SIGTERM and SIGKILL (yarn.nodemanager.sleep-delay-before-sigkill.ms); 0 is 250 ms.
	KillDelay time.Duration

	// CheckPmem and CheckVmem kill containers whose processes hold more memory than was allocated, or VmemRatio (0 is
	// 2.1) times as much virtual memory. They are looked at every MemoryInterval; 0 is 3 s. Hadoop's checks are on,
	// but on 3.4.2 do nothing unless yarn.nodemanager.resource.memory.enforced is false, so here they are off.
	CheckPmem, CheckVmem bool
	VmemRatio            float64
	MemoryInterval       time.Duration

	// Whitelist names the variables of the node that containers get unless they set them
	// (yarn.nodemanager.env-whitelist); nil is Hadoop's list.
	Whitelist []string
	// Getenv is what a whitelisted variable is on this node; nil is os.LookupEnv.
	Getenv func(name string) (value string, set bool)
	// AdminEnv are variables as NAME=value that containers cannot change (yarn.nodemanager.admin-env); nil is
	// MALLOC_ARENA_MAX=4.
	AdminEnv []string
	// Home is HOME (yarn.nodemanager.user-home-dir); "" is /home/.
	Home string
	// NoDebugInfo keeps copies of launch scripts out of the logs (yarn.nodemanager.log-container-debug-info.enabled).
	NoDebugInfo bool

	// HDFS tells where a file of HDFS lies on this machine, and waits or fails as a reader would; nil: there is none. It is
	// called by many goroutines.
	HDFS func(ctx context.Context, name string) (string, error)

	// Enter has the calling thread enter where the node is, such as a network namespace: its ports are opened there and
	// its processes are born there. leave takes the thread back. nil: the node is where this process is.
	Enter func() (leave func() error, err error)

	// RemoteLogDir is where logs go when an application ends (yarn.nodemanager.remote-app-log-dir), a path or a
	// file:// URL; "" leaves them where they are, for LogRetain (yarn.nodemanager.log.retain-seconds) or, when that
	// is 0, for good. LogSuffix is yarn.nodemanager.remote-app-log-dir-suffix; "" is "logs".
	RemoteLogDir string
	LogSuffix    string
	LogRetain    time.Duration
	// KeepDirs leaves the directories of ended containers and applications (a high
	// yarn.nodemanager.delete.debug-delay-sec).
	KeepDirs bool

	// Launcher runs the containers. nil starts processes of the node's own; one that is given is not closed.
	Launcher Launcher
	// Log hears what goes on; nil discards.
	Log *slog.Logger
}

// whitelist is yarn.nodemanager.env-whitelist's default.
var whitelist = []string{"JAVA_HOME", "HADOOP_COMMON_HOME", "HADOOP_HDFS_HOME", "HADOOP_CONF_DIR", "CLASSPATH_PREPEND_DISTCACHE",
	"HADOOP_YARN_HOME", "HADOOP_HOME", "PATH", "LANG", "TZ"}

// complete fills in the defaults.
func (o *Options) complete() error {
	if o.RM == nil || o.Dir == "" && (len(o.LocalDirs) == 0 || len(o.LogDirs) == 0) {
		return errors.New("nm: Options need RM and Dir")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return err
	}
	if len(o.LocalDirs) == 0 {
		o.LocalDirs = []string{filepath.Join(dir, "local")}
	}
	if len(o.LogDirs) == 0 {
		o.LogDirs = []string{filepath.Join(dir, "logs")}
	}
	o.Host, o.Home, o.LogSuffix = cmp.Or(o.Host, "127.0.0.1"), cmp.Or(o.Home, "/home/"), cmp.Or(o.LogSuffix, "logs")
	o.Rack = cmp.Or(o.Rack, "/default-rack")
	o.Heartbeat, o.KillDelay = cmp.Or(o.Heartbeat, time.Second), cmp.Or(o.KillDelay, 250*time.Millisecond)
	o.VmemRatio, o.MemoryInterval = cmp.Or(o.VmemRatio, 2.1), cmp.Or(o.MemoryInterval, 3*time.Second)
	if o.Capability.MemoryMiB == 0 && o.Capability.VCores == 0 {
		o.Capability.MemoryMiB, o.Capability.VCores = 8192, 8
	}
	if o.Getenv == nil {
		o.Getenv = os.LookupEnv
	}
	if o.Whitelist == nil {
		o.Whitelist = whitelist
	}
	if o.AdminEnv == nil {
		o.AdminEnv = []string{"MALLOC_ARENA_MAX=4"}
	}
	o.RemoteLogDir = strings.TrimPrefix(o.RemoteLogDir, "file://")
	if o.RemoteLogDir != "" && !filepath.IsAbs(o.RemoteLogDir) {
		return errors.New("nm: RemoteLogDir is neither a path nor a file:// URL: " + o.RemoteLogDir)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}
