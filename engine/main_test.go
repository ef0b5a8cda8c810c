package engine_test

import (
	"testing"

	"github.com/yarnd/yarnd/engine/enginetest"
)

func TestMain(m *testing.M) { enginetest.Main(m) }
