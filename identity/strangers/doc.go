// Package strangers bounds the connections whose other side has not said who it is: how many there are at once, and how many
// from one address. Each listener of an application has a [Room] for them, in which a connection has a place until its handshake
// is made.
//
// When all places are taken, somebody from an address that has few of them gets one nevertheless: the oldest connection of the
// address that has most is closed. So whoever fills the room, from however many addresses, keeps out those with as many
// connections from each as he has, and nobody else: neither a client nor a worker.
package strangers
