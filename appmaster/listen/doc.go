// Package listen opens the ports of an application's processes as its specification
// says: on every address of the node, on one, or on that of a network interface; on
// any port, or on one of a range that a firewall lets through.
//
// The application master, the scheduler and the workers use it, so that one rule
// holds for all. A process that listens on one address alone tells others that
// address: on a node with several networks its name may stand for another.
package listen
