// Package appmaster is the application master: the process that keeps an
// application alive. It negotiates containers, starts the scheduler and the
// workers in them, replaces what is lost, hands out certificates, and answers the
// people who own it. It knows nothing of tasks.
//
// # Its shape
//
//	                  ┌──────────────── loop ────────────────┐
//	provider ─events─►│                                       │─orders─► provider
//	clients  ─calls──►│  reconcile.Core (decides), and what   │
//	scheduler ───────►│  the answers are made of: who joined, │─tells──► scheduler
//	time, signals ───►│  the scheduler's place, its report    │
//	                  └──────────────────┬────────────────────┘
//	                                     ▼ published Info (never changed again)
//	                          Session.Info, Watch; the page
//
// One goroutine, the loop, owns all state. Everybody else sends it events or short
// functions to run; what they read is a value that the loop has published.
//
// # Its doors
//
//   - One port with TLS 1.3, for two protocols told apart by ALPN: gRPC (package
//     ampb) with certificates on both sides, and joining (package join), by which
//     a container's process gets its certificate. Nothing is decoded before a
//     connection is authenticated; a connection that is not after five seconds is
//     closed, and there can be only so many of these.
//   - One port with plain HTTP for people who come through the resource manager's
//     proxy: a page to read, nothing to do. Who may look, by the lists and the name
//     that the proxy gives, sees all of it, everybody else counts.
//
// # Its end
//
// The application ends when a client asks for it, when it is idle for too long,
// when a pool's containers do not stay up, or when the process is told to end.
// Scheduler and workers are stopped, the cluster is told the final status, and the
// staging directory is removed, in this order: until the cluster knows, it may start
// another attempt, which needs the files. Clients that see the end remove them too.
//
// # Its successor
//
// It may die at any moment. What the next attempt cannot learn from the cluster is
// saved in the staging directory (package memory, keeper.go), before a person's request
// is answered. The next attempt begins with that (recall.go). An attempt that the cluster
// may have given up serves nobody (fence.go).
package appmaster
