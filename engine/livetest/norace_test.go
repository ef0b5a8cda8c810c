//go:build !race

package livetest

// manySchedules is how many schedules are played unless told.
const manySchedules = 150
