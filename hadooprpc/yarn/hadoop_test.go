//go:build hadoop

package yarn_test

import (
	"testing"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/yarn/yarntest"
)

// On an edge node of a real cluster.
func TestContract(t *testing.T) {
	c, err := conf.Load(conf.Options{})
	if err != nil {
		t.Fatal(err)
	}
	yarntest.Run(t, c)
}
