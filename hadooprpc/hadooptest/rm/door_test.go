package rm

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"syscall"
	"testing"
)

// haStateAt asks the pages at an address who they are; and where they send who asks for something else.
func haStateAt(t *testing.T, addr string) (state, sentTo string) {
	t.Helper()
	c := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := c.Get("http://" + addr + "/ws/v1/cluster/info")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct{ ClusterInfo struct{ HAState string } }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	other, err := c.Get("http://" + addr + "/ws/v1/cluster/apps?state=RUNNING")
	if err != nil {
		t.Fatal(err)
	}
	other.Body.Close()
	return answer.ClusterInfo.HAState, other.Header.Get("Location")
}

// Of a pair one takes calls and the other refuses them, before and after each failover, under the same addresses.
func TestPair(t *testing.T) {
	m, err := New(Options{Pair: true})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for round := range 4 {
		active := round % 2
		if m.ClientAddr() != m.ClientAddrs()[active] || m.SchedulerAddr() != m.SchedulerAddrs()[active] || m.WebAddr() != m.WebAddrs()[active] {
			t.Errorf("round %d: %s is active, of %v", round, m.ClientAddr(), m.ClientAddrs())
		}
		for i := range 2 {
			for _, addr := range []string{m.ClientAddrs()[i], m.SchedulerAddrs()[i]} {
				c, err := net.Dial("tcp", addr)
				if err == nil {
					c.Close()
				}
				if refused := errors.Is(err, syscall.ECONNREFUSED); refused == (i == active) {
					t.Errorf("round %d: dialling number %d: %v", round, i, err)
				}
			}
			state, sentTo := haStateAt(t, m.WebAddrs()[i])
			if i == active && (state != "ACTIVE" || sentTo != "") ||
				i != active && (state != "STANDBY" || sentTo != "http://"+m.WebAddr()+"/ws/v1/cluster/apps?state=RUNNING") {
				t.Errorf("round %d: number %d is %s and sends to %q", round, i, state, sentTo)
			}
		}
		if err := m.Failover(0); err != nil {
			t.Fatal(err)
		}
	}
	alone, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer alone.Close()
	if err := alone.Failover(0); err == nil {
		t.Error("one alone failed over")
	}
}
