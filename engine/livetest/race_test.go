//go:build race

package livetest

// manySchedules is how many schedules are played unless told: each takes ten times as long with the
// race detector as without. make sim-long plays more.
const manySchedules = 60
