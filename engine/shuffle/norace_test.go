//go:build !race

package shuffle_test

// underRace says whether the race detector is on, which takes memory of its own.
const underRace = false
