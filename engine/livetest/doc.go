// Package livetest plays the engine's real processes against each other: a scheduler
// (package server), workers and clients, all of their goroutines, timers and TLS, over a
// network that lies in memory, in virtual time (testing/synctest). An adversary with a
// seed cuts connections, slows down and separates hosts, the scheduler's as well, stops
// processes as SIGSTOP does, kills workers and clients as kill -9 does, and has workers
// retire, while clients submit, wait, cancel, let go and call actors, and find the named jobs of those
// that were killed.
//
// Package schedtest plays the pure cores alone: thousands of schedules a second, each
// step judged, the same for a seed on every machine. Here a schedule takes a hundred
// times as long, and goroutines take turns as they like, but everything is in it that
// lies around the cores: sessions that are resumed, requests that are sent again, leases
// and back-off, results that travel between workers, and the ends of it all.
//
//	adversary ── cut, stop, separate ─────► Network ◄── TLS ── client ◄── a user's script
//	    │                                      ▲ ▲                          │ judged by
//	    └── kill, join, retire ──► workers ────┘ └──── scheduler            ▼ the oracle
package livetest
