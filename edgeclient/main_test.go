package edgeclient

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if text := os.Getenv(errandVar); text != "" {
		os.Exit(runErrand(text))
	}
	goleak.VerifyTestMain(m)
}
