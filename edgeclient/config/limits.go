package config

// Limits that hold before any cluster is asked.
const (
	MiB = 1 << 20

	MaxWorkers  = 10_000
	MinMemory   = 16 * MiB
	MaxMemory   = 64 << 40
	MaxVCores   = 4096
	MaxPriority = 1_000_000
	MaxAttempts = 1000
	MaxRestarts = 1000 // rounds of containers in a row that may fail
	MaxTags     = 10   // YARN: YarnConfiguration.APPLICATION_MAX_TAGS
	// MinPort is the first port that a process without privileges can open.
	MinPort = 1024
	MaxPort = 65535
	// MinPorts is how many the application master needs for itself: one for its
	// sessions, one for its page.
	MinPorts = 2
)
