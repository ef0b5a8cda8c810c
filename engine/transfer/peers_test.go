package transfer_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/store"
	"github.com/yarnd/yarnd/engine/transfer"
	"github.com/yarnd/yarnd/identity"
)

// These benchmarks have two processes: this one, and one that serves results from a
// store, and plain bytes over the bare TLS of Go's library, with the same certificates.
// Both are asked in turn, and what is reported are medians and their ratio. CPU time is
// that of both processes.

const peerSeed = "YARND_TRANSFER_SEED"

func init() {
	if seed := os.Getenv(peerSeed); seed != "" {
		servePeer(seed)
		os.Exit(0)
	}
}

func peerIdentity(seed, name string) *identity.Identity {
	raw, err := hex.DecodeString(seed)
	must(err)
	ca, err := identity.NewCA(identity.Seed(raw), "local_1_0001")
	must(err)
	id, err := ca.NewIdentity(identity.Subject{App: ca.App(), Role: identity.Worker, Name: name}, 0)
	must(err)
	return id
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// held is a Source of what a store holds.
type held struct{ *store.Store }

func (h held) OpenResult(t graph.TaskID, a graph.Attempt) (transfer.Object, error) {
	b, err := h.Open(store.Key{Task: t, Attempt: a})
	if err != nil {
		return nil, transfer.ErrNotFound
	}
	return b, nil
}

func (h held) OpenBundle(graph.Digest) (io.ReadCloser, int64, error) {
	return nil, 0, transfer.ErrNotFound
}

// servePeer is the other process. Result i of attempt n has n bytes.
func servePeer(seed string) {
	id := peerIdentity(seed, "server")
	s := store.New(store.Options{Memory: 2 << 30})
	for _, size := range strings.Split(os.Getenv("YARND_TRANSFER_SIZES"), ",") {
		n, err := strconv.Atoi(size)
		must(err)
		must(s.Put(store.Key{Task: graph.TaskID{Job: 1, Index: 1}, Attempt: graph.Attempt(n)}, make([]byte, n)))
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	server := transfer.NewServer(held{s}, transfer.ServerOptions{})
	go server.Accept(ln, id.Server(identity.Worker))
	config := id.Server(identity.Worker)
	config.NextProtos = []string{"bare"}
	bare, err := tls.Listen("tcp", "127.0.0.1:0", config)
	must(err)
	go func() {
		for {
			nc, err := bare.Accept()
			if err != nil {
				return
			}
			go serveBare(nc)
		}
	}()
	fmt.Println(ln.Addr(), bare.Addr())
	io.Copy(io.Discard, os.Stdin)
}

// serveBare sends as many bytes as it is asked for.
func serveBare(nc net.Conn) {
	defer nc.Close()
	buf := make([]byte, 1<<20)
	var head [8]byte
	for {
		if _, err := io.ReadFull(nc, head[:]); err != nil {
			return
		}
		for left := int(binary.BigEndian.Uint64(head[:])); left > 0; {
			n, err := nc.Write(buf[:min(left, len(buf))])
			if err != nil {
				return
			}
			left -= n
		}
	}
}

type peers struct {
	cmd  *exec.Cmd
	id   *identity.Identity
	at   transfer.Peer
	bare net.Conn
	buf  []byte
}

func startPeers(b *testing.B, sizes ...int) *peers {
	b.Helper()
	raw := identity.NewSeed()
	seed := hex.EncodeToString(raw[:])
	p := &peers{id: peerIdentity(seed, "reader"), buf: make([]byte, 1<<20)}
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), peerSeed+"="+seed, "YARND_TRANSFER_SIZES="+strings.Trim(strings.ReplaceAll(fmt.Sprint(sizes), " ", ","), "[]"))
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	must(err)
	out, err := p.cmd.StdoutPipe()
	must(err)
	must(p.cmd.Start())
	b.Cleanup(func() { in.Close(); p.cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	must(err)
	data, bare, _ := strings.Cut(strings.TrimSpace(line), " ")
	p.at = transfer.Peer{Role: identity.Worker, Name: "server", Address: data}
	config := p.id.Client(identity.Worker, "server")
	config.NextProtos = []string{"bare"}
	p.bare, err = tls.Dial("tcp", bare, config)
	must(err)
	b.Cleanup(func() { p.bare.Close() })
	return p
}

// readBare reads n bytes and throws them away.
func (p *peers) readBare(n int) {
	var head [8]byte
	binary.BigEndian.PutUint64(head[:], uint64(n))
	_, err := p.bare.Write(head[:])
	must(err)
	for left := n; left > 0; {
		m, err := p.bare.Read(p.buf[:min(left, len(p.buf))])
		must(err)
		left -= m
	}
}

// cpu is the processor time of both processes.
func (p *peers) cpu() time.Duration {
	var r syscall.Rusage
	must(syscall.Getrusage(0, &r))
	own := time.Duration(r.Utime.Nano() + r.Stime.Nano())
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	must(err)
	f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.Atoi(f[11])
	sys, _ := strconv.Atoi(f[12])
	return own + time.Duration(user+sys)*10*time.Millisecond
}

// side is one of those that are compared.
type side struct {
	run       func()
	wall, cpu []time.Duration
}

func (s *side) once(p *peers) {
	began, cpu := time.Now(), p.cpu()
	s.run()
	s.wall = append(s.wall, time.Since(began))
	s.cpu = append(s.cpu, p.cpu()-cpu)
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// compare runs both sides in turn, b.N times each, and reports ours against bare TLS.
func compare(b *testing.B, p *peers, size int, ours func()) {
	bare, our := &side{run: func() { p.readBare(size) }}, &side{run: ours}
	bare.run()
	our.run()
	b.ResetTimer()
	for range b.N {
		bare.once(p)
		our.once(p)
	}
	mb := func(d time.Duration) float64 { return float64(size) / d.Seconds() / 1e6 }
	b.ReportMetric(mb(median(bare.wall)), "bare-MB/s")
	b.ReportMetric(mb(median(our.wall)), "ours-MB/s")
	b.ReportMetric(100*float64(median(bare.wall))/float64(median(our.wall)), "%-of-bare")
	b.ReportMetric(100*float64(median(bare.cpu))/float64(median(our.cpu)), "%-of-bare-cpu")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkWorkerToWorker: 400 MiB from the store of one process into that of another.
func BenchmarkWorkerToWorker(b *testing.B) {
	const size = 400 << 20
	p := startPeers(b, size)
	pool := transfer.NewPool(p.id, transfer.PoolOptions{})
	defer pool.Close()
	s := store.New(store.Options{Memory: 1 << 30})
	defer s.Close()
	k := store.Key{Task: graph.TaskID{Job: 1, Index: 1}, Attempt: size}
	compare(b, p, size, func() {
		w, err := s.Create(k, size)
		must(err)
		must(pool.Fetch(context.Background(), p.at, transfer.NewDownload(k.Task, k.Attempt, size, w)))
		must(w.Commit())
		s.Delete(k)
	})
}

// BenchmarkGather: a result of 1 GiB from a worker into a client's memory.
func BenchmarkGather(b *testing.B) {
	const size = 1 << 30
	p := startPeers(b, size)
	pool := transfer.NewPool(p.id, transfer.PoolOptions{})
	defer pool.Close()
	compare(b, p, size, func() {
		_, err := pool.Result(context.Background(), p.at, graph.TaskID{Job: 1, Index: 1}, size, size)
		must(err)
	})
}

// BenchmarkSmall: results of one size, 16 under way at once, as a worker fetches them.
func BenchmarkSmall(b *testing.B) {
	sizes := []int{1 << 10, 4 << 10, 16 << 10, 64 << 10}
	p := startPeers(b, sizes...)
	pool := transfer.NewPool(p.id, transfer.PoolOptions{})
	defer pool.Close()
	for _, size := range sizes {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			cpu := p.cpu()
			b.SetBytes(int64(size))
			b.ReportAllocs()
			var wg sync.WaitGroup
			each := make(chan struct{}, 1024)
			for range 16 {
				wg.Go(func() {
					for range each {
						_, err := pool.Result(context.Background(), p.at, graph.TaskID{Job: 1, Index: 1}, graph.Attempt(size), uint64(size))
						must(err)
					}
				})
			}
			for range b.N {
				each <- struct{}{}
			}
			close(each)
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "results/s")
			b.ReportMetric(float64((p.cpu()-cpu).Microseconds())/float64(b.N), "cpu-us/op")
		})
	}
}
