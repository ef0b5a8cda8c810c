package hdfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os/user"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/hdfs/hdfstest"
	"github.com/yarnd/yarnd/hadooprpc/login"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
)

// testPatience is that of readers in these tests: DataNodes of this process answer at once.
const testPatience = 300 * time.Millisecond

// openReading opens a fake with a file of three blocks and a bit, which it returns.
func openReading(t *testing.T, o hdfstest.Options, site map[string]string) (*hdfstest.Cluster, *remote, []byte) {
	t.Helper()
	c := startFake(t, o)
	set := map[string]string{"fs.defaultFS": c.URL()}
	for k, v := range site {
		set[k] = v
	}
	fsys, err := Open(t.Context(), conf.FromMap(set), "", Options{Timeout: 10 * time.Second})
	must(t, err)
	t.Cleanup(func() { fsys.Close() })
	r := fsys.(*remote)
	r.patience = testPatience
	data := pattern(3<<20+12345, 7)
	_, err = Upload(t.Context(), fsys, "/f", bytes.NewReader(data), UploadOptions{CreateOptions: CreateOptions{BlockSize: 1 << 20}})
	must(t, err)
	return c, r, data
}

// reads reads the whole of /f and compares.
func reads(t *testing.T, fsys FS, want []byte) {
	t.Helper()
	got, err := ReadFile(t.Context(), fsys, "/f", 1<<30)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d of %d bytes, %v", len(got), len(want), err)
	}
}

func TestReadFaults(t *testing.T) {
	first := func(fault hdfstest.ReadFault) func(hdfstest.Reading) hdfstest.ReadFault {
		return func(r hdfstest.Reading) hdfstest.ReadFault {
			if r.DataNode == 0 {
				return fault
			}
			return hdfstest.ReadFault{}
		}
	}
	for name, x := range map[string]struct {
		fault hdfstest.ReadFault
		asked int32 // how often the first DataNode is, at most
		bad   int   // replicas that are reported
	}{
		"it breaks off":         {hdfstest.ReadFault{Cut: true, After: 300_000}, 5, 0},
		"it breaks off at once": {hdfstest.ReadFault{Cut: true}, 2, 0},
		"it falls silent":       {hdfstest.ReadFault{Silent: true, After: 300_000}, 1, 0},
		"it is silent":          {hdfstest.ReadFault{Silent: true}, 1, 0},
		"it has other bytes":    {hdfstest.ReadFault{Damaged: true, After: 300_000}, 4, 3},
		"it has not the block":  {hdfstest.ReadFault{Refused: true}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c, r, data := openReading(t, hdfstest.Options{DataNodes: 3}, nil)
			var asked atomic.Int32
			c.OnRead(func(r hdfstest.Reading) hdfstest.ReadFault {
				if r.DataNode == 0 {
					asked.Add(1)
				}
				return first(x.fault)(r)
			})
			start := time.Now()
			reads(t, r, data)
			if took := time.Since(start); took > 8*testPatience {
				t.Errorf("it took %v", took)
			}
			if n := asked.Load(); n < 1 || n > x.asked {
				t.Errorf("the first DataNode was asked %d times", n)
			}
			bad := c.BadReplicas()
			if len(bad) != x.bad {
				t.Errorf("%d bad replicas are reported: %v", len(bad), bad)
			}
			for _, b := range bad {
				if b != (hdfstest.BadReplica{DataNode: 0, Path: "/f"}) {
					t.Errorf("reported: %+v", b)
				}
			}
		})
	}

	t.Run("it is down", func(t *testing.T) {
		c, r, data := openReading(t, hdfstest.Options{DataNodes: 2}, nil)
		f, err := r.Open(t.Context(), "/f")
		must(t, err)
		defer f.Close()
		got := make([]byte, len(data))
		_, err = io.ReadFull(f, got[:100])
		must(t, err)
		c.StopDataNode(0)
		_, err = io.ReadFull(f, got[100:])
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%v, or other bytes", err)
		}
	})
	t.Run("its host is silent", func(t *testing.T) { // no connection comes about
		c, r, data := openReading(t, hdfstest.Options{DataNodes: 2}, nil)
		var silent atomic.Pointer[string] // the first that is dialled
		dial := r.pool.dial.dial
		r.pool.dial.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if strings.HasSuffix(c.URL(), addr) {
				return dial(ctx, network, addr)
			}
			if silent.CompareAndSwap(nil, &addr) || addr == *silent.Load() {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return dial(ctx, network, addr)
		}
		start := time.Now()
		reads(t, r, data)
		if took := time.Since(start); took > 4*testPatience {
			t.Errorf("it took %v", took)
		}
	})
	t.Run("all are, for a while", func(t *testing.T) {
		c, r, data := openReading(t, hdfstest.Options{DataNodes: 2}, nil)
		var asked atomic.Int32
		c.OnRead(func(hdfstest.Reading) hdfstest.ReadFault { return hdfstest.ReadFault{Refused: asked.Add(1) <= 5} })
		reads(t, r, data)
	})
	t.Run("none has it", func(t *testing.T) {
		c, r, data := openReading(t, hdfstest.Options{DataNodes: 2}, nil)
		c.OnRead(func(hdfstest.Reading) hdfstest.ReadFault { return hdfstest.ReadFault{Refused: true} })
		f, err := r.Open(t.Context(), "/f")
		must(t, err)
		defer f.Close()
		_, err = f.Read(make([]byte, 10))
		if err == nil || !strings.Contains(err.Error(), "any of its 2 DataNodes") || !strings.Contains(err.Error(), "Replica not found") || !strings.Contains(err.Error(), "hdfs fsck /f") {
			t.Errorf("error %v", err)
		}
		c.OnRead(nil)
		got, err := io.ReadAll(f) // it is back
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d of %d bytes, %v", len(got), len(data), err)
		}
	})
	t.Run("all have other bytes", func(t *testing.T) {
		for nodes, reported := range map[int]int{1: 1, 2: 0} { // of two that are wrong it is more likely this machine
			c, r, _ := openReading(t, hdfstest.Options{DataNodes: nodes}, nil)
			c.OnRead(func(hdfstest.Reading) hdfstest.ReadFault { return hdfstest.ReadFault{Damaged: true} })
			_, err := ReadFile(t.Context(), r, "/f", 1<<30)
			if err == nil || !strings.Contains(err.Error(), "checksum") {
				t.Errorf("%d replicas: %v", nodes, err)
			}
			if bad := c.BadReplicas(); min(len(bad), 1) != reported {
				t.Errorf("%d replicas: reported are %v", nodes, bad)
			}
		}
	})
	t.Run("it has other bytes once", func(t *testing.T) { // what was read well the second time is not reported
		c, r, data := openReading(t, hdfstest.Options{}, nil)
		var once sync.Once
		c.OnRead(func(hdfstest.Reading) (f hdfstest.ReadFault) {
			once.Do(func() { f.Damaged = true })
			return f
		})
		reads(t, r, data)
		if bad := c.BadReplicas(); len(bad) > 0 {
			t.Errorf("reported are %v", bad)
		}
	})
}

// Whoever waits for a DataNode that is silent can be told to stop.
func TestReadEnds(t *testing.T) {
	c, r, _ := openReading(t, hdfstest.Options{}, nil)
	r.patience = time.Minute
	silent := make(chan struct{}, 10)
	c.OnRead(func(hdfstest.Reading) hdfstest.ReadFault {
		silent <- struct{}{}
		return hdfstest.ReadFault{Silent: true}
	})
	why := errors.New("enough")
	for name, want := range map[string]error{"closed": fs.ErrClosed, "cancelled": why} {
		ctx, cancel := context.WithCancelCause(t.Context())
		f, err := r.Open(ctx, "/f")
		must(t, err)
		go func() {
			<-silent
			if name == "closed" {
				f.Close()
			} else {
				cancel(why)
			}
		}()
		start := time.Now()
		_, err = f.Read(make([]byte, 10))
		wants(t, err, want)
		_, err = f.ReadAt(make([]byte, 10), 5)
		wants(t, err, want)
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s: it took %v", name, took)
		}
		must(t, f.Close())
		cancel(nil)
	}
}

// What was sent once is not sent again for the next few bytes, and a jump does not bring all of a block.
func TestReadTraffic(t *testing.T) {
	c, r, data := openReading(t, hdfstest.Options{}, nil)
	during := func(f func(File)) hdfstest.Traffic {
		t.Helper()
		before := c.Traffic()
		file, err := r.Open(t.Context(), "/f")
		must(t, err)
		f(file)
		must(t, file.Close())
		after := c.Traffic()
		return hdfstest.Traffic{Conns: after.Conns - before.Conns, Reads: after.Reads - before.Reads, Sent: after.Sent - before.Sent, Verified: after.Verified - before.Verified}
	}
	same := func(f File, b []byte, off int64) {
		t.Helper()
		if n, err := f.ReadAt(b, off); n != len(b) || err != nil || !bytes.Equal(b, data[off:off+int64(n)]) {
			t.Fatalf("at %d: %d bytes, %v, or other ones", off, n, err)
		}
	}
	whole := int64(len(data))
	if got := during(func(f File) { io.Copy(io.Discard, f) }); got.Conns != 1 || got.Reads != 4 || got.Sent != whole {
		t.Errorf("from begin to end: %+v", got)
	}
	if got := during(func(f File) {
		for off := int64(0); off < whole-7; off += 7 {
			same(f, make([]byte, 7), off)
		}
	}); got.Conns != 1 || got.Reads > 13 || got.Sent > whole+int64(got.Reads*chunkSize) {
		t.Errorf("by ReadAt, 7 bytes each time: %+v", got)
	}
	const jumps = 50
	if got := during(func(f File) {
		for i := range int64(jumps) {
			same(f, make([]byte, 100), (i*7919*331)%(whole-100))
		}
	}); got.Sent > jumps*(firstWindow+100+2*chunkSize) {
		t.Errorf("%d jumps: %+v", jumps, got)
	}
	if got := during(func(f File) { // a little backward and forward, as readers of archives do
		for i := range int64(1000) {
			same(f, make([]byte, 30), 50_000+i*20)
			same(f, make([]byte, 10), 50_000+i*20)
		}
	}); got.Reads > 2 {
		t.Errorf("to and fro: %+v", got)
	}
	verified := c.Traffic().Verified
	during(func(f File) { io.CopyN(io.Discard, f, 1<<20) }) // a block, and no more
	for until := time.Now().Add(5 * time.Second); c.Traffic().Verified == verified; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the DataNode is not told that a whole block was right")
		}
	}
	if got := during(func(f File) { // Read and ReadAt do not disturb each other
		b := make([]byte, 10_000)
		for i := range int64(100) {
			if _, err := io.ReadFull(f, b); err != nil || !bytes.Equal(b, data[i*10_000:(i+1)*10_000]) {
				t.Fatal(err)
			}
			same(f, make([]byte, 10), 2<<20+i)
		}
	}); got.Reads > 2 {
		t.Errorf("Read and ReadAt in turn: %+v", got)
	}
}

// A DataNode that closes each connection after one request has done nothing wrong.
func TestReadOneRequestEach(t *testing.T) {
	c, r, data := openReading(t, hdfstest.Options{DataNodes: 2}, nil)
	c.OnRead(func(r hdfstest.Reading) hdfstest.ReadFault {
		if r.DataNode != 0 {
			t.Errorf("another one is asked: %+v", r)
		}
		return hdfstest.ReadFault{Last: true}
	})
	f, err := r.Open(t.Context(), "/f")
	must(t, err)
	defer f.Close()
	got, err := io.ReadAll(io.NewSectionReader(f, 0, int64(len(data))))
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d of %d bytes, %v", len(got), len(data), err)
	}
	if n := c.Traffic().Reads; n < 5 {
		t.Errorf("%d requests show nothing", n)
	}
}

// A token of a block that has expired is fetched anew at once, and the DataNode that refused it is asked again.
func TestReadNewTokens(t *testing.T) {
	c, r, data := openReading(t, hdfstest.Options{Transfer: hdfstest.Transfer{Tokens: true}}, nil)
	r.patience = time.Hour // there would be a pause before a second round
	f, err := r.Open(t.Context(), "/f")
	must(t, err)
	defer f.Close()
	for _, off := range []int64{0, 1 << 20, 2 << 20, 3 << 20} {
		b := make([]byte, 1000)
		if n, err := f.ReadAt(b, off); n != len(b) || err != nil || !bytes.Equal(b, data[off:off+1000]) {
			t.Errorf("at %d: %d bytes, %v, or other ones", off, n, err)
		}
		c.ForgetSecrets()
	}
}

func TestReadChecksums(t *testing.T) {
	for _, kind := range []string{"CRC32C", "CRC32", "NULL"} {
		c, r, data := openReading(t, hdfstest.Options{Checksum: kind, DataNodes: 2}, nil)
		reads(t, r, data)
		if verified := c.Traffic().Verified > 0; verified != (kind != "NULL") {
			t.Errorf("%s: the DataNode is told that checksums were right: %v", kind, verified)
		}
		c.OnRead(func(r hdfstest.Reading) hdfstest.ReadFault { return hdfstest.ReadFault{Damaged: r.DataNode == 0} })
		got, err := ReadFile(t.Context(), r, "/f", 1<<30)
		if right := bytes.Equal(got, data); err != nil || right != (kind != "NULL") {
			t.Errorf("%s: a damaged replica: %v, the right bytes: %v", kind, err, right)
		}
	}
}

// A file that is not as its bytes are with DataNodes is refused.
func TestReadRefusals(t *testing.T) {
	c, r, _ := openReading(t, hdfstest.Options{}, nil)
	for want, s := range map[string]hdfstest.Special{"encryption zone (key k1)": {Key: "k1"}, "erasure-coded (RS-3-2-1024k)": {ErasureCoding: 2}} {
		c.SetSpecial("/f", s)
		_, err := r.Open(t.Context(), "/f")
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "hdfs dfs -cat /f") {
			t.Errorf("%+v: %v", s, err)
		}
	}
	c.SetSpecial("/f", hdfstest.Special{ErasureCoding: replicationPolicy})
	f, err := r.Open(t.Context(), "/f")
	must(t, err)
	must(t, f.Close())
}

// A reader does not go over from one file to another that has taken its name.
func TestReadReplacedFile(t *testing.T) {
	c, r, data := openReading(t, hdfstest.Options{DataNodes: 2}, nil)
	f, err := r.Open(t.Context(), "/f")
	must(t, err)
	defer f.Close()
	b := make([]byte, 1000)
	_, err = io.ReadFull(f, b)
	must(t, err)
	unread, err := r.Open(t.Context(), "/f")
	must(t, err)
	defer unread.Close()
	other := pattern(len(data), 8)
	_, err = WriteFile(t.Context(), r, "/f", other, 0o600)
	must(t, err)
	c.StopDataNode(1)
	c.OnRead(func(hdfstest.Reading) hdfstest.ReadFault { return hdfstest.ReadFault{Refused: true} })
	_, err = f.ReadAt(b, 2<<20)
	wants(t, err, fs.ErrNotExist)
	if err == nil || !strings.Contains(err.Error(), "another file has taken its place") {
		t.Errorf("error %v", err)
	}
	c.OnRead(nil)
	_, err = unread.Read(b)
	wants(t, err, fs.ErrNotExist)
	reads(t, r, other)
}

// What is read of a file that is being written is what was flushed when it was opened.
func TestReadWhileWritten(t *testing.T) {
	_, r, _ := openReading(t, hdfstest.Options{}, nil)
	a, err := r.Append(t.Context(), "/log", CreateOptions{})
	must(t, err)
	defer a.Close()
	for i := range 3 {
		_, err = a.Write([]byte(fmt.Sprint("line ", i, "\n")))
		must(t, err)
		must(t, a.Flush(t.Context()))
	}
	got, err := ReadFile(t.Context(), r, "/log", 100)
	if err != nil || string(got) != "line 0\n" { // of the first Flush alone the NameNode hears
		t.Errorf("%q, %v", got, err)
	}
	must(t, a.Close())
	got, err = ReadFile(t.Context(), r, "/log", 100)
	if err != nil || string(got) != "line 0\nline 1\nline 2\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// The suite with each protection of data, and what happens when secrets end while a file is open.
func TestFakeTransfer(t *testing.T) {
	realm := &gssapi.Issuer{Realm: "EXAMPLE.COM", KeyType: 18, Life: time.Hour}
	const service = "nn/127.0.0.1"
	u, err := user.Current() // who owns what the fake has
	must(t, err)
	me := u.Username
	for name, x := range map[string]struct {
		transfer hdfstest.Transfer
		site     map[string]string
	}{
		"authentication":   {hdfstest.Transfer{Protection: sasl.QOPAuth}, map[string]string{"dfs.data.transfer.protection": "authentication"}},
		"integrity":        {hdfstest.Transfer{Protection: sasl.QOPInt}, map[string]string{"dfs.data.transfer.protection": "integrity"}},
		"privacy":          {hdfstest.Transfer{Protection: sasl.QOPConf}, map[string]string{"dfs.data.transfer.protection": "privacy"}},
		"privacy by AES":   {hdfstest.Transfer{Protection: sasl.QOPConf, AES: true}, map[string]string{"dfs.data.transfer.protection": "privacy"}},
		"encrypted":        {hdfstest.Transfer{Encrypt: true}, map[string]string{"dfs.data.transfer.protection": "privacy", "dfs.encrypt.data.transfer": "true"}},
		"encrypted by AES": {hdfstest.Transfer{Encrypt: true, AES: true}, map[string]string{"dfs.data.transfer.protection": "privacy", "dfs.encrypt.data.transfer": "true"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := startFake(t, hdfstest.Options{Transfer: x.transfer, DataNodes: 2, Security: hadooptest.Options{
				Kerberos: func() *gssapi.Acceptor { return realm.Acceptor(service) }, Service: service, QOPs: []sasl.QOP{sasl.QOPAuth}}})
			site := conf.FromMap(map[string]string{"fs.defaultFS": c.URL(), "hadoop.security.authentication": "kerberos",
				"dfs.namenode.kerberos.principal": "nn/_HOST@EXAMPLE.COM"}).With(x.site)
			fsys, err := Open(t.Context(), site, "", Options{Login: login.With(me, gssapi.Tickets{Issuer: realm, Client: me}, nil)})
			must(t, err)
			defer fsys.Close()
			fsys.(*remote).patience = testPatience
			testFS(t, fsys, "/suite", 1<<20)

			data := pattern(2<<20+777, 9)
			a, err := fsys.Append(t.Context(), "/f", CreateOptions{BlockSize: 1 << 20})
			must(t, err)
			defer a.Close()
			_, err = a.Write(data)
			must(t, err)
			must(t, a.Flush(t.Context()))
			must(t, a.Close())
			reads(t, fsys, data)

			fsys.(*remote).patience = time.Hour // there would be a pause before a second round
			f, err := fsys.Open(t.Context(), "/f")
			must(t, err)
			defer f.Close()
			conns := c.Traffic().Conns
			for i := range int64(20) { // proofs are dear: one connection serves many, unless the machine is too slow for it
				b, off := make([]byte, 100), i*7919*331%int64(len(data)-100)
				if n, err := f.ReadAt(b, off); n != len(b) || err != nil || !bytes.Equal(b, data[off:off+100]) {
					t.Errorf("at %d: %d bytes, %v, or other ones", off, n, err)
				}
			}
			if conns = c.Traffic().Conns - conns; conns > 10 {
				t.Errorf("%d connections for 20 jumps", conns)
			}
			got := make([]byte, len(data))
			_, err = io.ReadFull(f, got[:1<<20])
			must(t, err)
			c.ForgetSecrets()
			_, err = io.ReadFull(f, got[1<<20:])
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("with new secrets: %v, or other bytes", err)
			}
			c.ForgetSecrets()
			_, err = WriteFile(t.Context(), fsys, "/g", data[:1000], 0o600)
			must(t, err)
		})
	}
}
