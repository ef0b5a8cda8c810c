package provider

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// ReadLogFile is ReadLog for a log that is a file on this machine.
func ReadLogFile(path string, offset int64, p []byte) (n int, at int64, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, 0, ErrNoLog
	}
	if err != nil {
		return 0, 0, fmt.Errorf("read a log: %w", err)
	}
	defer f.Close()
	if offset < 0 {
		st, err := f.Stat()
		if err != nil {
			return 0, 0, fmt.Errorf("read a log: %w", err)
		}
		offset = max(0, st.Size()+offset)
	}
	n, err = f.ReadAt(p, offset)
	switch {
	case n > 0 || len(p) == 0:
		return n, offset, nil
	case errors.Is(err, io.EOF):
		return 0, offset, io.EOF
	}
	return 0, offset, fmt.Errorf("read a log: %w", err)
}
