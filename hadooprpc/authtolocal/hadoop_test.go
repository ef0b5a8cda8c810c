//go:build hadoop

package authtolocal

import (
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// The table is what Hadoop's own class says: one process for each set of rules, and one for each principal that is an
// error, since that ends the process.
func TestAsHadoop(t *testing.T) {
	type site struct{ rules, mechanism string }
	good := map[site][]example{}
	var wg sync.WaitGroup
	slots := make(chan struct{}, 2)
	run := func(s site, examples []example) {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			out, err := ask(t.TempDir(), s.rules, s.mechanism, examples)
			for _, x := range examples {
				line := fmt.Sprintf("Name: %s to %s\n", x.principal, x.want)
				if is := err == nil && strings.Contains(out, line); is != (x.want != "") {
					t.Errorf("%q, %s: Hadoop says of %s (here %q):\n%s%v", x.rules, x.mechanism, x.principal, x.want, out, err)
				}
			}
		})
	}
	for _, x := range examples {
		if s := (site{x.rules, x.mechanism}); x.want == "" {
			run(s, []example{x})
		} else {
			good[s] = append(good[s], x)
		}
	}
	for s, examples := range good {
		run(s, examples)
	}
	wg.Wait()
}

// ask has Hadoop translate the principals of examples.
func ask(dir, rules, mechanism string, examples []example) (string, error) {
	var b strings.Builder
	b.WriteString("<configuration>")
	for _, p := range [][2]string{{"hadoop.security.authentication", "kerberos"}, {keyRules, rules}, {keyMechanism, mechanism}} {
		b.WriteString("<property><name>" + p[0] + "</name><value>")
		xml.EscapeText(&b, []byte(p[1]))
		b.WriteString("</value></property>")
	}
	b.WriteString("</configuration>")
	if err := os.WriteFile(filepath.Join(dir, "core-site.xml"), []byte(b.String()), 0o644); err != nil {
		return "", err
	}
	args := []string{"-Djava.security.krb5.realm=EXAMPLE.COM", "-Djava.security.krb5.kdc=localhost", "org.apache.hadoop.security.HadoopKerberosName"}
	for _, x := range examples {
		args = append(args, x.principal)
	}
	cmd := exec.Command("hadoop-java", args...)
	cmd.Env = append(os.Environ(), "HADOOP_CONF_DIR="+dir)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
