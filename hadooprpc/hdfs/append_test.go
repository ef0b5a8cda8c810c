package hdfs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// testAppend is what every FS has to fulfil about files that are appended to.
func testAppend(t *testing.T, fsys FS, root string, blockSize int64) {
	ctx := t.Context()
	dir := path.Join(root, "append")
	must(t, fsys.MkdirAll(ctx, dir, 0o755))
	small := CreateOptions{BlockSize: blockSize, Replication: 1}
	create := func(t *testing.T, name string) Appender {
		t.Helper()
		a, err := fsys.Append(ctx, name, small)
		must(t, err)
		t.Cleanup(func() { a.Close() })
		return a
	}
	write := func(t *testing.T, a Appender, b []byte) {
		t.Helper()
		n, err := a.Write(b)
		must(t, err)
		if n != len(b) {
			t.Fatalf("wrote %d of %d bytes", n, len(b))
		}
	}
	read := func(t *testing.T, name string) []byte {
		t.Helper()
		b, err := ReadFile(ctx, fsys, name, 1<<30)
		must(t, err)
		return b
	}

	t.Run("Whole", func(t *testing.T) {
		name := dir + "/whole"
		a := create(t, name)
		if info, err := fsys.Stat(ctx, name); err != nil || info.Perm != 0o600 {
			t.Errorf("before the first byte it is %+v, %v", info, err)
		}
		must(t, a.Flush(ctx)) // of nothing
		data := pattern(int(2*blockSize+blockSize/2), 1)
		rest := data
		for i := 1; len(rest) > 0; i++ { // of all lengths, so that blocks end within a Write and chunks within a packet
			n := min(len(rest), i*i*i%100_000+1)
			write(t, a, rest[:n])
			must(t, a.Flush(ctx))
			rest = rest[n:]
		}
		must(t, a.Close())
		must(t, a.Close())
		if !bytes.Equal(read(t, name), data) {
			t.Error("other bytes than were written")
		}
		_, err := a.Write([]byte("x"))
		wants(t, err, fs.ErrClosed)
		wants(t, a.Flush(ctx), fs.ErrClosed)
		must(t, fsys.Recover(ctx, name))
		if !bytes.Equal(read(t, name), data) {
			t.Error("Recover changed a closed file")
		}
	})
	t.Run("BlockEnds", func(t *testing.T) {
		name := dir + "/blocks"
		a := create(t, name)
		data := pattern(int(2*blockSize), 2)
		write(t, a, data)
		must(t, a.Flush(ctx))
		must(t, a.Flush(ctx))
		must(t, a.Close())
		if !bytes.Equal(read(t, name), data) {
			t.Error("other bytes than were written")
		}
	})
	t.Run("Refusals", func(t *testing.T) {
		a := create(t, dir+"/there")
		_, err := fsys.Append(ctx, dir+"/there", small)
		wants(t, err, fs.ErrExist)
		must(t, a.Close())
		_, err = fsys.Append(ctx, dir+"/there", small)
		wants(t, err, fs.ErrExist)
		_, err = fsys.Append(ctx, dir+"/no/such", small)
		wants(t, err, fs.ErrNotExist)
		wants(t, fsys.Recover(ctx, dir+"/absent"), fs.ErrNotExist)
		wants(t, fsys.Recover(ctx, dir+"/no/such"), fs.ErrNotExist)
	})
	t.Run("Fenced", func(t *testing.T) {
		name := dir + "/fenced"
		a := create(t, name)
		data := pattern(200_000, 3)
		write(t, a, data[:150_000])
		must(t, a.Flush(ctx))
		write(t, a, data[150_000:]) // not flushed
		must(t, fsys.Recover(ctx, name))
		info, err := fsys.Stat(ctx, name)
		must(t, err)
		got := read(t, name)
		if len(got) < 150_000 || int64(len(got)) != info.Length || !bytes.HasPrefix(data, got) {
			t.Errorf("%d bytes of 150,000 flushed and 50,000 written; Stat says %d", len(got), info.Length)
		}
		wants(t, a.Flush(ctx), ErrFenced)
		_, err = a.Write([]byte("more"))
		wants(t, err, ErrFenced)
		wants(t, a.Close(), ErrFenced)
		must(t, fsys.Recover(ctx, name))
		if again, err := fsys.Stat(ctx, name); err != nil || again != info {
			t.Errorf("the file was %+v and is %+v, %v", info, again, err)
		}
	})
	t.Run("FencedEmpty", func(t *testing.T) {
		name := dir + "/empty"
		a := create(t, name)
		must(t, fsys.Recover(ctx, name))
		if b := read(t, name); len(b) != 0 {
			t.Errorf("%d bytes", len(b))
		}
		_, err := a.Write([]byte("more"))
		if err == nil {
			err = a.Flush(ctx)
		}
		wants(t, err, ErrFenced)
		if b := read(t, name); len(b) != 0 {
			t.Errorf("%d bytes", len(b))
		}
	})
	t.Run("FencedByRename", func(t *testing.T) {
		must(t, fsys.Mkdir(ctx, dir+"/epoch", 0o700))
		a := create(t, dir+"/epoch/1")
		write(t, a, []byte("first"))
		must(t, a.Flush(ctx))
		must(t, fsys.Rename(ctx, dir+"/epoch", dir+"/old"))
		_, err := fsys.Append(ctx, dir+"/epoch/2", small)
		wants(t, err, fs.ErrNotExist)
		must(t, fsys.Recover(ctx, dir+"/old/1"))
		if b := read(t, dir+"/old/1"); string(b) != "first" {
			t.Errorf("%q", b)
		}
		write(t, a, []byte("second"))
		if err := a.Flush(ctx); err == nil {
			t.Error("an old writer went on in a directory that was renamed")
		}
	})
	t.Run("ManyRecover", func(t *testing.T) {
		name := dir + "/many"
		a := create(t, name)
		write(t, a, []byte("flushed"))
		must(t, a.Flush(ctx))
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := fsys.Recover(ctx, name); err != nil {
					t.Error(err)
				} else if b, err := ReadFile(ctx, fsys, name, 100); err != nil || string(b) != "flushed" {
					t.Errorf("%q, %v", b, err)
				}
			})
		}
		wg.Wait()
	})
	t.Run("Cancelled", func(t *testing.T) {
		name := dir + "/cancelled"
		a := create(t, name)
		write(t, a, []byte("abc"))
		why := errors.New("enough")
		c, cancel := context.WithCancelCause(ctx)
		cancel(why)
		wants(t, a.Flush(c), why)
		wants(t, a.Flush(ctx), why)
		wants(t, a.Close(), why)
		c, cancel = context.WithCancelCause(ctx)
		b, err := fsys.Append(c, dir+"/life", small)
		must(t, err)
		cancel(why)
		_, err = b.Write([]byte("abc"))
		wants(t, err, why)
		wants(t, b.Close(), why)
	})
	t.Run("WriterKilled", func(t *testing.T) {
		for i := range 3 {
			name := fmt.Sprintf("%s/killed%d", dir, i)
			flushed := killWriter(t, fsys, name, 5+20*i)
			must(t, fsys.Recover(ctx, name))
			got := read(t, name)
			if len(got) < flushed || !bytes.HasPrefix(logRecords(len(got)), got) {
				t.Errorf("%d bytes, %d were flushed, or other ones", len(got), flushed)
			}
			t.Logf("%d bytes flushed, %d there", flushed, len(got))
		}
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wants(t *testing.T, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("error %v, want kind %q", err, kind)
	}
	if e := (*Error)(nil); !errors.As(err, &e) {
		t.Errorf("error %v is no *Error", err)
	}
}

// Variables that make the test's program a writer.
const (
	writerURL  = "HDFS_TEST_WRITER_URL"
	writerPath = "HDFS_TEST_WRITER_PATH"
)

// logRecords is at least the first n bytes of what a writer writes.
func logRecords(n int) []byte {
	var b []byte
	for i := 0; len(b) < n; i++ {
		b = append(b, logRecord(i)...)
	}
	return b
}

func logRecord(i int) []byte {
	return append(pattern(i*37%3000, uint64(i)), fmt.Sprintf("%d\n", i)...)
}

// writeLog writes records for ever and says after each Flush how many bytes are
// safe. It is the whole life of a process that will be killed.
func writeLog(ctx context.Context, fsys FS, name string) error {
	a, err := fsys.Append(ctx, name, CreateOptions{})
	if err != nil {
		return err
	}
	for i, n := 0, 0; ; i++ {
		r := logRecord(i)
		if _, err := a.Write(r); err != nil {
			return err
		}
		n += len(r)
		if i%3 == 0 {
			if err := a.Flush(ctx); err != nil {
				return err
			}
			fmt.Println(n)
		}
	}
}

// killWriter starts a writer, kills it after so many flushes, and returns how
// many bytes it said were safe.
func killWriter(t *testing.T, fsys FS, name string, flushes int) int {
	t.Helper()
	url, err := fsys.URL("/")
	must(t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), writerURL+"="+url, writerPath+"="+name)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewScanner(out)
	safe := 0
	for i := 0; lines.Scan(); i++ { // to the end: what it said before it died counts
		if safe, err = strconv.Atoi(lines.Text()); err != nil {
			t.Fatal(err)
		}
		if i == flushes {
			must(t, cmd.Process.Kill())
		}
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the writer was not killed: %v", err)
	}
	if safe == 0 {
		t.Fatal("nothing was flushed")
	}
	return safe
}

// TestLocalRecoverResumes looks at a Recover that was interrupted at each step.
func TestLocalRecoverResumes(t *testing.T) {
	ctx := t.Context()
	l := NewLocal(LocalOptions{Home: t.TempDir()})
	for _, step := range []string{"linked", "fenced", "copied"} {
		name := path.Join(l.Home(), step)
		a, err := l.Append(ctx, name, CreateOptions{Perm: 0o640})
		must(t, err)
		_, err = a.Write([]byte("flushed"))
		must(t, err)
		must(t, a.Flush(ctx))
		must(t, os.Link(name, recovering(name)))
		if step != "linked" {
			must(t, replace(name, 0o640, nil))
		}
		if step == "copied" {
			must(t, replace(name, 0o640, strings.NewReader("flushed")))
		}
		must(t, l.Recover(ctx, name))
		b, err := ReadFile(ctx, l, name, 100)
		if err != nil || string(b) != "flushed" {
			t.Errorf("%s: %q, %v", step, b, err)
		}
		if info, err := l.Stat(ctx, name); err != nil || info.Perm != 0o640 {
			t.Errorf("%s: %+v, %v", step, info, err)
		}
		wants(t, a.Flush(ctx), ErrFenced)
		wants(t, a.Close(), ErrFenced)
	}
	infos, err := l.ReadDir(ctx, l.Home())
	if err != nil || len(infos) != 3 {
		t.Errorf("left are %v, %v", infos, err)
	}
}

// TestLocalFenceRace lets writers and Recovers race: what a Flush acknowledged
// is in the file that the Recover left.
func TestLocalFenceRace(t *testing.T) {
	ctx := t.Context()
	l := NewLocal(LocalOptions{Home: t.TempDir()})
	for i := range 50 {
		name := path.Join(l.Home(), strconv.Itoa(i))
		a, err := l.Append(ctx, name, CreateOptions{})
		must(t, err)
		acked := make(chan struct{}, 1000)
		go func() {
			defer close(acked)
			for n := 0; ; n++ {
				if _, err := a.Write(logRecord(n)); err != nil {
					return
				}
				if err := a.Flush(ctx); err != nil {
					return
				}
				acked <- struct{}{}
			}
		}()
		n := 0
		for ; n < i; n++ {
			<-acked
		}
		must(t, l.Recover(ctx, name))
		for range acked {
			n++
		}
		wants(t, a.Close(), ErrFenced)
		var want []byte
		for j := range n {
			want = append(want, logRecord(j)...)
		}
		got, err := ReadFile(ctx, l, name, 1<<30)
		if err != nil || !bytes.HasPrefix(got, want) {
			t.Errorf("round %d: %d bytes were acknowledged, the file has %d (%v)", i, len(want), len(got), err)
		}
	}
}
