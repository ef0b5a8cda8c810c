// Package yarnd runs Go functions and commands on a compute cluster inside
// Hadoop's YARN, or on this machine with the same verbs.
//
// A program defines its tasks in package variables, calls [Main], and submits a
// cluster or connects to one that runs:
//
//	var square = yarnd.Define("square", func(ctx context.Context, n int) (int, error) {
//		return n * n, nil
//	})
//
//	func main() {
//		yarnd.Main(func(ctx context.Context) error {
//			cluster, err := yarnd.Connect(ctx, "last")
//			if err != nil {
//				return err
//			}
//			defer cluster.Close()
//			n, err := square.Call(ctx, cluster.Client, 12)
//			fmt.Println(n, err)
//			return err
//		})
//	}
//
// The same binary is what runs in the cluster's containers: Main sees in which
// role it was started. Connected to a cluster of another binary, such as one that
// the yarnd command submitted, the program is uploaded once, by content, and the
// workers run it in processes of its own.
//
// Build with CGO_ENABLED=0: the binary must run on nodes whose libraries nobody
// knows.
//
// This package is thin. The engine's types are aliases of those of package
// engine, which knows nothing of Hadoop; applications are those of package
// edgeclient.
package yarnd

// Version is the library's version, set when released binaries are linked.
var Version = "devel"
