package yarn

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/appmaster/provider"
	hadoop "github.com/yarnd/yarnd/hadooprpc/yarn"
)

// frame is what Hadoop 3.4.2's NodeManager puts around a log.
const frame = "Container: container_1795494016783_0015_01_000001 on nm1:45454\nLogAggregationType: LOCAL\n" +
	"==============================================================\nLogType:stdout\nLogLastModifiedTime:Tue Nov 24 04:27:30 +0000 2026\n" +
	"LogLength:%d\nLogContents:\n%sEnd of LogType:stdout.This log file belongs to a running container (container_1795494016783_0015_01_000001) and so may not be complete.\n" +
	"***********************************************************************\n\n"

// node is a NodeManager's web server with one log.
func node(t *testing.T, log *string) (*Provider, string) {
	t.Helper()
	const id = "container_1795494016783_0015_01_000001"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ws/v1/node/containers/"+id+"/logs/stdout" || r.URL.Query().Get("user.name") != "alice" {
			http.Error(w, "java.lang.Exception: Cannot find this log on the local disk.", http.StatusNotFound)
			return
		}
		size, err := strconv.Atoi(r.URL.Query().Get("size"))
		if err != nil {
			t.Error(err)
		}
		part := *log
		if size >= 0 {
			part = part[:min(size, len(part))]
		} else {
			part = part[max(0, len(part)+size):]
		}
		fmt.Fprintf(w, frame, len(*log), part)
	}))
	t.Cleanup(func() { srv.Close(); webClient.CloseIdleConnections() })
	cid, err := hadoop.ParseContainerID(id)
	if err != nil {
		t.Fatal(err)
	}
	return &Provider{opt: Options{User: "alice"}, past: map[hadoop.ContainerID]string{cid: strings.TrimPrefix(srv.URL, "http://")}}, id
}

func TestReadLog(t *testing.T) {
	var b strings.Builder
	for i := range 400_000 {
		fmt.Fprintf(&b, "%06d\n", i)
	}
	log := b.String() // 2.8 MB: beyond farBehind there is another way
	p, id := node(t, &log)
	ctx := context.Background()
	buf := make([]byte, 70)
	for _, offset := range []int64{0, 7, 7 * 1000, farBehind - 3, farBehind + 1, 2_000_000, int64(len(log)) - 70, int64(len(log)) - 5, -70, -7, -1, -500_000, -5_000_000} {
		n, at, err := p.ReadLog(ctx, id, "stdout", offset, buf)
		from := offset
		if offset < 0 {
			from = max(0, int64(len(log))+offset)
		}
		want := log[from:min(len(log), int(from)+70)]
		if err != nil || at != from || string(buf[:n]) != want {
			t.Errorf("from %d: %q at %d, %v; want %q at %d", offset, buf[:n], at, err, want, from)
		}
	}
	for _, offset := range []int64{int64(len(log)), int64(len(log)) + 9} {
		if n, _, err := p.ReadLog(ctx, id, "stdout", offset, buf); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("from %d: %d, %v", offset, n, err)
		}
	}
	tail, err := provider.TailLog(ctx, p, id, "stdout", 14)
	if err != nil || string(tail) != "399998\n399999\n" {
		t.Errorf("%q, %v", tail, err)
	}
	log = ""
	if n, at, err := p.ReadLog(ctx, id, "stdout", -10, buf); n != 0 || at != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("empty: %d at %d, %v", n, at, err)
	}
	if _, _, err := p.ReadLog(ctx, id, "stderr", 0, buf); !errors.Is(err, provider.ErrNoLog) {
		t.Errorf("%v", err)
	}
}

func FuzzReadContents(f *testing.F) {
	f.Add(fmt.Appendf(nil, frame, 5, "hello"), int64(3), int64(1))
	f.Add([]byte("LogLength:-1\nLogContents:\n"), int64(-3), int64(-1))
	f.Add([]byte("LogLength:9223372036854775807\nLogContents:\nx"), int64(-9223372036854775807), int64(1))
	f.Fuzz(func(t *testing.T, data []byte, size, offset int64) {
		buf := make([]byte, 16)
		n, at, err := readContents(bufio.NewReaderSize(strings.NewReader(string(data)), maxLine), size, offset, buf)
		if n < 0 || n > len(buf) || at < 0 && err == nil || (err != nil && n != 0) {
			t.Errorf("%d at %d, %v", n, at, err)
		}
	})
}
