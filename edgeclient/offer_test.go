package edgeclient

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// The ResourceManager's setting is read as it reads it itself (org.apache.hadoop.conf.Configuration.getBoolean): neither
// case nor spaces matter, and what is no truth value is false. One that does not tell is taken at its containers.
func TestOffers(t *testing.T) {
	for value, taken := range map[string]bool{"true": true, "TRUE": true, " true\n": true, "false": false, "False ": false, "yes": false, "": true} {
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/conf" || r.FormValue("name") != yarn.OpportunisticSetting {
				t.Errorf("asked for %s", r.URL)
			}
			fmt.Fprintf(w, `{"property":{"key":%q,"value":%q}}`, yarn.OpportunisticSetting, value)
		}))
		c := &yarnCluster{conf: conf.FromMap(map[string]string{"yarn.resourcemanager.hostname": "localhost", "yarn.resourcemanager.webapp.address": strings.TrimPrefix(web.URL, "http://")}),
			opts: Options{Log: slog.New(slog.DiscardHandler)}}
		err := c.checkOffers(t.Context(), Request{Pools: []PoolRequest{{Name: "plain"}, {Name: "x", Opportunistic: true}}})
		if (err == nil) != taken || err != nil && CodeOf(err) != Refused {
			t.Errorf("%q: %v", value, err)
		}
		web.Close()
	}
}
