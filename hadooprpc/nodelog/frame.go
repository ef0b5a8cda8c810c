package nodelog

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

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
