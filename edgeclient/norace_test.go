//go:build !race

package edgeclient

const underRace = false
