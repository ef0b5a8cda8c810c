package edgeclient

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// checkOffers refuses pools of a kind that the ResourceManager says it does not offer. It
// says so on its web port alone, which may well be closed to us: then the application
// master finds out.
func (y *yarnCluster) checkOffers(ctx context.Context, r Request) error {
	for _, p := range r.Pools {
		if !p.Opportunistic {
			continue
		}
		value, err := y.rmSetting(ctx, yarn.OpportunisticSetting)
		if err != nil {
			y.opts.Log.Debug("the ResourceManager does not tell a setting", "setting", yarn.OpportunisticSetting, "err", err)
			return nil
		}
		if !strings.EqualFold(strings.TrimSpace(value), "true") { // as org.apache.hadoop.conf.Configuration.getBoolean has it
			return &Fault{Code: Refused, What: fmt.Sprintf("pool %s is opportunistic, and this cluster has no such containers: %s is %s", p.Name, yarn.OpportunisticSetting, value),
				Next: "Leave opportunistic away, or ask an administrator"}
		}
	}
	return nil
}

// rmSetting asks the ResourceManager's web server for one of its own settings; the client's
// files need not agree with them (org.apache.hadoop.conf.ConfServlet).
func (y *yarnCluster) rmSetting(ctx context.Context, name string) (string, error) {
	addrs, err := yarn.AddressesFromConf(y.conf)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, clockTimeout)
	defer cancel()
	err = fmt.Errorf("no web address is configured")
	for _, a := range addrs.Web {
		var value string
		if value, err = settingAt(ctx, addrs.WebScheme()+a, name); err == nil {
			return value, nil
		}
	}
	return "", err
}

func settingAt(ctx context.Context, base, name string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/conf?name="+url.QueryEscape(name), nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Accept", "application/json") // else it is XML
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var v struct {
		Property struct {
			Value string `json:"value"`
		} `json:"property"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&v); err != nil || resp.StatusCode != http.StatusOK || v.Property.Value == "" {
		return "", fmt.Errorf("%s answers %s without the setting", base, resp.Status)
	}
	return v.Property.Value, nil
}
