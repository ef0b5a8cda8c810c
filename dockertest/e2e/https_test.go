//go:build hadoop

package e2e

import (
	"strings"
	"testing"

	"github.com/yarnd/yarnd/dockertest"
	"github.com/yarnd/yarnd/dockertest/layout"
)

// Where YARN's web servers speak TLS alone, and NodeManagers want a ticket besides, everything that we ask them for comes: the
// ResourceManager's version, settings and time, the page behind its proxy, logs of containers that run. A server whose certificate
// nobody here knows is not believed: no log is read there, and who asks hears why and what to do. It is alone on the cluster, before
// the tests that wait there together: tokens are good for 90 s, and an application master must have begun by then.
func TestSecureHTTPS(t *testing.T) {
	c := dockertest.Running(t, "secure-short")
	bob := c.Edge("bob").Ticketed(t)
	stranger := []string{"env", "SSL_CERT_FILE=/dev/null", "SSL_CERT_DIR=/nonexistent"}
	asStranger := func(argv ...string) dockertest.Result { return bob.Run(t, append(stranger[:3:3], argv...)...) }

	const version = "Hadoop 3."
	if r := bob.Run(t, "yarnd", "doctor"); r.Code != 0 || !strings.Contains(r.Stdout, version) || strings.Contains(r.Stdout, "unknown") {
		t.Errorf("doctor: %v", r)
	}
	if r := asStranger("yarnd", "doctor"); r.Code != 0 || strings.Contains(r.Stdout, version) || !strings.Contains(r.Stdout, "certificate signed by unknown authority") {
		t.Errorf("doctor does not say that it does not know the ResourceManager's certificate: %v", r)
	}

	a := submit(t, bob, "--workers", "1", "--worker-memory", "256MiB", "--wait", "workers:1")
	rm := a.rm(t)
	if !strings.HasPrefix(rm.TrackingURL, "https://rm.example.test:8090/proxy/") {
		t.Errorf("the page is at %s", rm.TrackingURL)
	}
	if code, page := get(t, c, rm.TrackingURL); code != 200 || !strings.Contains(string(page), "workers") {
		t.Errorf("%s through the proxy: %d\n%s", rm.TrackingURL, code, page)
	}

	worker := a.ofPool(t, "worker", "running")[0]
	at := "https://" + worker.Node + ":8044/ws/v1/node/containers/" + worker.ID + "/logs/stderr"
	if r := bob.Run(t, "curl", "-s", "--cacert", layout.WebRoot, "-o", "/dev/null", "-w", "%{http_code}", at); r.Stdout != "401" {
		t.Fatalf("this cluster's NodeManagers show logs to everybody, or not over TLS: %v", r)
	}
	if r := bob.Run(t, "yarnd", "logs", a.id); r.Code != 0 || !strings.Contains(r.Stdout, "==> "+worker.ID+" stderr on ") || !strings.Contains(r.Stdout, "connected to the scheduler") {
		t.Errorf("logs: %v", r)
	}
	if r := asStranger("yarnd", "logs", a.id); r.Code != 4 || strings.Contains(r.Stdout, "connected to the scheduler") ||
		!strings.Contains(r.Stderr, "its certificate is not to be trusted") || !strings.Contains(r.Stderr, "SSL_CERT_FILE") {
		t.Errorf("logs of a server that is not known: %v", r)
	}
	a.must(t, "kill", "--graceful")
	a.leftNothing(t)
}

// Where the application master cannot read the log of a program that failed, for NodeManagers show it to persons alone, it has the
// program's last words from the NodeManager, which quotes them.
func TestSecureLastWords(t *testing.T) {
	bob := dockertest.Running(t, "secure-short").Edge("bob").Ticketed(t)
	bob.Must(t, "sh", "-c", `printf '#!/bin/sh\necho no such day >&2\nexit 3\n' >fails && chmod +x fails`)
	r := bob.Run(t, "yarnd", "submit", "--driver-memory", "256MiB", "--wait", "finished", "fails")
	if r.Code != 7 || !strings.Contains(r.Stderr, "exited with code 3: ") || !strings.Contains(r.Stderr, "no such day") || strings.Contains(r.Stderr, "the end of its stderr") {
		t.Errorf("want exit code 7 and the program's last words, by the NodeManager: %v", r)
	}
}
