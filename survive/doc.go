// Package survive kills parts of whole applications and looks at what is left of them.
// It has tests alone: yarnd itself, all its processes, on the embedded cluster
// (hadooprpc/hadooptest/minicluster), with clients in the test's process.
//
// A test chooses the moment of a kill by the calls that the victim makes: the
// ResourceManager and the nodes are in the test's process and tell of each call before
// they answer. So a phase is not met by chance, and each kill is known to have hit a
// process that lived.
//
// Folder chaos has a program that does it by chance, for as long as one wants (make chaos);
// TestChaos is a slice of that. Folder wires is the network that it cuts.
package survive
