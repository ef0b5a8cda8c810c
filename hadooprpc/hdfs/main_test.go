package hdfs

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/yarnd/yarnd/hadooprpc/conf"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(writerURL); url != "" {
		fmt.Fprintln(os.Stderr, writeTo(url, os.Getenv(writerPath)))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// writeTo is a process that writes until it is killed.
func writeTo(url, name string) error {
	if strings.HasPrefix(url, "file:") {
		return writeLog(context.Background(), NewLocal(LocalOptions{}), name)
	}
	c, err := conf.Load(conf.Options{})
	if err != nil {
		return err
	}
	fsys, err := Open(context.Background(), c, url, Options{})
	if err != nil {
		return err
	}
	return writeLog(context.Background(), fsys, name)
}
