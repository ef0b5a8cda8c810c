package yarn

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/yarnd/yarnd/appmaster/provider"
	hadoop "github.com/yarnd/yarnd/hadooprpc/yarn"
)

func firstOf(list string) string {
	first, _, _ := strings.Cut(list, ",")
	return first
}

// logTime bounds one request to a NodeManager's web server.
const logTime = 20 * time.Second

// webClient follows no redirect: a NodeManager sends elsewhere for containers that
// it does not have.
var webClient = &http.Client{
	Timeout:       logTime,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// ReadLog reads from a container's log through its NodeManager's web server
// (org.apache.hadoop.yarn.server.nodemanager.webapp.NMWebServices.getContainerLogFile).
// That server knows no offsets, only "the first so many bytes" and "the last so
// many". What lies far behind the beginning is read from the end.
func (p *Provider) ReadLog(ctx context.Context, id, file string, offset int64, buf []byte) (int, int64, error) {
	cid, err := hadoop.ParseContainerID(id)
	if err != nil || (file != "stdout" && file != "stderr") {
		return 0, 0, provider.ErrNoLog
	}
	node, ok := p.nodeOf(cid)
	if !ok {
		return 0, 0, provider.ErrNoLog
	}
	l := logFile{p.webUser(), node, id, file}
	if offset < 0 {
		return l.read(ctx, offset, offset, buf)
	}
	if offset > farBehind {
		_, length, err := l.read(ctx, -1, -1, nil)
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			return 0, 0, err
		case length+1 <= offset:
			return 0, offset, io.EOF
		}
		// Some more than there is after the offset, should the file have grown.
		n, begin, err := l.read(ctx, offset-length-1-growth, offset, buf)
		if err == nil && begin == offset {
			return n, begin, nil
		}
	}
	return l.read(ctx, offset+int64(len(buf)), offset, buf)
}

const (
	farBehind = 1 << 20
	growth    = 64 << 10
)

// webUser is what a NodeManager's web server of a cluster without security wants
// to be told.
func (p *Provider) webUser() string {
	if p.opt.Secure {
		return ""
	}
	return p.opt.User
}

// nodeOf returns the address of the web server of the node on which a container was
// started.
func (p *Provider) nodeOf(id hadoop.ContainerID) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b := p.boxes[id]; b != nil && b.state != allocated {
		return b.pb.GetNodeHttpAddress(), true
	}
	node, ok := p.past[id]
	return node, ok
}

// logFile is one log of one container.
type logFile struct {
	user     string
	node     string // its web address
	id, name string
}

// read has the node send so many bytes, from the end if size is negative, and
// returns those from the offset on.
func (l logFile) read(ctx context.Context, size, offset int64, buf []byte) (int, int64, error) {
	q := url.Values{"size": {strconv.FormatInt(size, 10)}}
	if l.user != "" {
		q.Set("user.name", l.user)
	}
	u := "http://" + l.node + "/ws/v1/node/containers/" + l.id + "/logs/" + l.name + "?" + q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return 0, 0, fmt.Errorf("read the log of %s: %w", l.id, err)
	}
	req.Header.Set("Accept", "text/plain")
	resp, err := webClient.Do(req)
	if err != nil {
		return 0, 0, fmt.Errorf("read the log of %s: %w", l.id, err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode/100 == 3:
		return 0, 0, provider.ErrNoLog
	case resp.StatusCode != http.StatusOK:
		return 0, 0, fmt.Errorf("read the log of %s: node %s answers %s", l.id, l.node, resp.Status)
	}
	return readContents(bufio.NewReaderSize(resp.Body, maxLine), size, offset, buf)
}

// maxLine bounds a line of the frame around a log.
const maxLine = 16 << 10

// readContents takes a log out of the frame that a NodeManager puts around it,
//
//	Container: container_… on nm1:45454
//	LogAggregationType: LOCAL
//	=====…
//	LogType:stdout
//	LogLastModifiedTime:…
//	LogLength:1774
//	LogContents:
//	…
//	End of LogType:stdout.…
//
// where LogLength is the whole file's and the contents are as many bytes of it as
// were asked for.
func readContents(r *bufio.Reader, size, offset int64, buf []byte) (int, int64, error) {
	length := int64(-1)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, 0, fmt.Errorf("read a log: the NodeManager's answer makes no sense: %w", err)
		}
		text := strings.TrimSpace(string(line))
		if text == "LogContents:" {
			break
		}
		if value, ok := strings.CutPrefix(text, "LogLength:"); ok {
			if length, err = strconv.ParseInt(strings.TrimSpace(value), 10, 64); err != nil || length < 0 {
				return 0, 0, fmt.Errorf("read a log: the NodeManager's answer makes no sense: length %q", value)
			}
		}
	}
	if length < 0 {
		return 0, 0, errors.New("read a log: the NodeManager's answer has no length")
	}
	begin, end := int64(0), min(size, length)
	if size < 0 {
		begin, end = max(0, length+size), length
	}
	if offset < 0 {
		offset = max(0, length+offset)
	}
	offset = max(offset, begin)
	if offset >= end {
		return 0, offset, io.EOF
	}
	if _, err := io.CopyN(io.Discard, r, offset-begin); err != nil {
		return 0, 0, fmt.Errorf("read a log: %w", err)
	}
	n, err := io.ReadFull(r, buf[:min(int64(len(buf)), end-offset)])
	if err != nil {
		return 0, 0, fmt.Errorf("read a log: %w", err)
	}
	return n, offset, nil
}
