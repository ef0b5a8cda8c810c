//go:build race

package shuffle_test

const underRace = true
