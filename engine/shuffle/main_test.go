package shuffle_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/yarnd/yarnd/engine/enginetest"
)

func TestMain(m *testing.M) {
	enginetest.Processes()
	goleak.VerifyTestMain(m)
}
