//go:build !race

package cli_test

// underRace says whether the race detector is on, which sees nothing of programs that are built.
const underRace = false
