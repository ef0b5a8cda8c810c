//go:build !race

package store

// underRace says whether the race detector is on, which makes what has no goroutines slow.
const underRace = false
