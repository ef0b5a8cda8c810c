package edgeclient

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/login"
	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
)

// What others can read is told at submit and by doctor, and refused by --strict, whichever settings make it so.
func TestProtection(t *testing.T) {
	const rpc, data, encrypt, node = "hadoop.rpc.protection", "dfs.data.transfer.protection", "dfs.encrypt.data.transfer", "dfs.datanode.address"
	const calls, files = "what is said to the ResourceManager and the NameNode, tokens included", "the bytes of files"
	const both = calls + ", and " + files
	type settings = map[string]string
	for _, c := range []struct {
		site   settings
		keytab string
		want   string // "" is nothing
		next   string // in the advice
	}{
		{nil, "", both, "should be privacy"},
		{settings{rpc: "privacy"}, "", files, "should be privacy"},
		{settings{rpc: "privacy", data: "privacy"}, "", "", ""},
		{settings{rpc: "privacy", data: "privacy"}, "alice.keytab", "", ""},
		{settings{rpc: "privacy", encrypt: "true"}, "", "", ""},
		{settings{rpc: "privacy", encrypt: "true", data: "authentication"}, "", "", ""},
		{settings{rpc: "integrity", data: "privacy"}, "", calls, "should be privacy"},
		{settings{rpc: "authentication", data: "integrity"}, "", both, "should be privacy"},
		{settings{rpc: "privacy", data: "integrity"}, "", files, "should be privacy"},
		{settings{rpc: "PRIVACY", data: " Privacy "}, "", "", ""},
		// Of several, somebody on the way chooses.
		{settings{rpc: "privacy,authentication", data: "privacy"}, "", calls, "should be privacy"},
		{settings{rpc: "privacy,integrity", data: "privacy,authentication"}, "", both, "should be privacy"},
		// DataNodes that root has started protect nothing, unless all is encrypted.
		{settings{rpc: "privacy", data: "privacy", node: "0.0.0.0:1004"}, "", files, "dfs.datanode.address at no privileged port"},
		{settings{rpc: "privacy", data: "privacy", node: "0.0.0.0:9866"}, "", "", ""},
		{settings{rpc: "privacy", data: "privacy", node: "0.0.0.0:1004", encrypt: "true"}, "", "", ""},
		{settings{rpc: "privacy", data: "authentication"}, "alice.keytab", files + ", the keytab of --keytab among them", "should be privacy"},
		{settings{rpc: "authentication", data: "privacy"}, "alice.keytab", calls, "should be privacy"},
		// What means nothing protects nothing.
		{settings{rpc: "secret", data: "privacy"}, "", calls, "should be privacy"},
		{settings{rpc: "privacy", data: "secret"}, "", files, "should be privacy"},
		{settings{rpc: "privacy", data: "privacy", encrypt: "perhaps"}, "", files, "should be privacy"},
	} {
		what := fmt.Sprint(c.site, c.keytab)
		site := settings{"hadoop.security.authentication": "kerberos"}
		maps.Copy(site, c.site)
		var said []string
		y := &yarnCluster{conf: conf.FromMap(site), user: "alice", who: login.With("alice", gssapi.Tickets{}, nil),
			opts: Options{Keytab: c.keytab, Progress: func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }}}
		strict := y.checkProtection(true)
		if err := y.checkProtection(false); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if c.want == "" {
			if strict != nil || said != nil {
				t.Errorf("%s: %v, %q", what, strict, said)
			}
			continue
		}
		if CodeOf(strict) != Refused || !strings.Contains(strict.Error(), "the cluster does not keep what is sent secret: others on the network can read "+c.want) ||
			!strings.Contains(strict.Error(), c.next) || !strings.HasSuffix(strict.Error(), ", or submit without --strict") {
			t.Errorf("%s, strict: %v", what, strict)
		}
		if len(said) != 1 || !strings.HasPrefix(said[0], "warning: others on the network can read "+c.want) || !strings.Contains(said[0], c.next) {
			t.Errorf("%s: %q", what, said)
		}
		for _, kind := range []string{calls, files, "the keytab"} {
			if strings.Contains(strict.Error(), kind) != strings.Contains(c.want, kind) {
				t.Errorf("%s, %s: %v", what, kind, strict)
			}
		}
	}
	believes := &yarnCluster{conf: conf.FromMap(nil), opts: Options{Progress: func(format string, args ...any) { t.Errorf(format, args...) }}}
	if err := believes.checkProtection(true); CodeOf(err) != Refused || !strings.Contains(err.Error(), "this cluster believes names, without any proof") {
		t.Errorf("names, strict: %v", err)
	}
	if err := believes.checkProtection(false); err != nil {
		t.Errorf("names: %v", err)
	}
}

func TestUnprotectedFiles(t *testing.T) {
	err := fsFault("cannot reach the file system", &hdfs.Error{Op: "protect files of", Path: "hdfs://nn", Kind: hdfs.ErrUnprotected, Detail: "why", Hint: "copy hdfs-site.xml"})
	if CodeOf(err) != Refused || err.Error() != "cannot reach the file system: protect files of hdfs://nn: others on the network could read it: why. Copy hdfs-site.xml" {
		t.Errorf("%d: %v", CodeOf(err), err)
	}
}
