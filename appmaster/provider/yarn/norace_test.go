//go:build !race

package yarn

// raceDetector tells whether the race detector watches this run.
const raceDetector = false
