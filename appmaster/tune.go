package appmaster

import (
	"os"
	"runtime/debug"
)

// collectAfter is how much more than what lives may be thrown away between two collections, in percent. Most of what lives are
// lines to workers, on which little comes: to collect more often costs an application master little.
const collectAfter = 20

// TuneMemory sets the garbage collector of a process that is an application master and nothing else, unless GOGC is set.
func TuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAfter)
	}
}
