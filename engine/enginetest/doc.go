// Package enginetest runs a whole cluster for a test: a scheduler and workers, with
// certificates of an authority that lives as long as the test.
//
//	func TestMain(m *testing.M) { enginetest.Main(m) }
//
//	func TestSquares(t *testing.T) {
//		client := enginetest.New(t, 2)
//		squares, err := square.Map(t.Context(), client, slices.Values(numbers)).Gather(t.Context())
//		…
//	}
//
// Workers are goroutines of the test, and run its functions there, so that a
// debugger and the race detector see all. With Options.Processes they are processes
// of their own, as in a real cluster, and run the functions in executor processes:
// both are this test binary, started again. That needs Main in TestMain. Such a worker
// can be killed. With Options.Apart the scheduler is a process too.
//
// Everything ends with the test. A worker process ends also when the test binary is
// killed, as it then reads the end of its standard input.
package enginetest
