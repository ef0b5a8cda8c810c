package hdfs

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/conf"
)

func TestNameNodes(t *testing.T) {
	c := conf.FromMap(map[string]string{
		"dfs.nameservices":                     "ha, fed, broken",
		"dfs.ha.namenodes.ha":                  "nn1,nn2",
		"dfs.namenode.rpc-address.ha.nn1":      "host1:9000",
		"dfs.namenode.rpc-address.ha.nn2":      "host2",
		"dfs.namenode.rpc-address.fed":         "host3:8021",
		"dfs.ha.namenodes.broken":              "a",
		"dfs.namenode.rpc-address.other.thing": "never",
	})
	for authority, want := range map[string][]string{
		"ha": {"host1:9000", "host2:8020"}, "fed": {"host3:8021"},
		"nn.example": {"nn.example:8020"}, "nn:9000": {"nn:9000"}, "[::1]:8020": {"[::1]:8020"},
	} {
		got, err := NameNodes(c, authority)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", authority, got, err)
		}
	}
	for authority, want := range map[string]string{"broken": "dfs.namenode.rpc-address.broken.a is not set", "": "fs.defaultFS"} {
		if _, err := NameNodes(c, authority); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v", authority, err)
		}
	}
}

func TestOpenChooses(t *testing.T) {
	for _, tc := range []struct{ def, url, want string }{
		{"hdfs://nn", "s3a://bucket/x", `scheme "s3a"`},
		{"hdfs://nn", "gs://bucket/x", `scheme "gs"`},
		{"hdfs://nn", "abfs://c@a/x", `scheme "abfs"`},
		{"viewfs://cluster", "", `scheme "viewfs"`},
		{"viewfs://cluster", "/tmp/x", `scheme "viewfs"`},
		{"file:///", "hdfs:///x", "is not HDFS"},
		{"nn:8020", "", "is no URL"},
	} {
		c := conf.FromMap(map[string]string{"fs.defaultFS": tc.def})
		_, err := Open(t.Context(), c, tc.url, Options{})
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s with default %s: error %v", tc.url, tc.def, err)
		}
	}
	c := conf.FromMap(nil)
	for _, url := range []string{"", "/tmp/x", "file:///tmp"} {
		fsys, err := Open(t.Context(), c, url, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if u, err := fsys.URL("/tmp/x"); err != nil || u != "file:///tmp/x" {
			t.Errorf("%q opens %s, %v", url, u, err)
		}
	}
	kerberos := conf.FromMap(map[string]string{"fs.defaultFS": "hdfs://nn", "hadoop.security.authentication": "Kerberos"})
	t.Setenv("KRB5_CONFIG", "/nowhere/krb5.conf")
	if _, err := Open(t.Context(), kerberos, "", Options{}); !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), "there is no /nowhere/krb5.conf") {
		t.Errorf("a cluster with Kerberos: %v", err)
	}
}

func TestHDFSNames(t *testing.T) {
	n := names{scheme: "hdfs", authority: "nn", home: "/user/alice"}
	for in, want := range map[string]string{
		"x": "/user/alice/x", "/a//b/../c/": "/a/c", "hdfs://nn/x": "/x", "hdfs://NN:8020/x": "/x", "hdfs:///x": "/x",
		"hdfs:/x": "/x", "HDFS://nn": "/", "a:b": "/user/alice/a:b", "hdfs://nn/a%20b": "/a%20b", "../bob/x": "/user/bob/x",
	} {
		if got, err := n.Resolve(in); err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"hdfs://other/x", "hdfs://nn:9000/x", "file:///x", "", "a\x00"} {
		if got, err := n.Resolve(in); err == nil {
			t.Errorf("%q resolves to %q", in, got)
		}
	}
	if u, err := n.URL("x y"); err != nil || u != "hdfs://nn/user/alice/x y" {
		t.Errorf("URL %q, %v", u, err)
	}
}

// TestUnreachable looks how long one waits for a NameNode that is not there,
// and for one that accepts connections but never answers.
func TestUnreachable(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	go func() {
		for {
			c, err := silent.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(io.Discard, c); c.Close() }()
		}
	}()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()

	const timeout = 700 * time.Millisecond
	for name, authority := range map[string]string{"refused": closed.Addr().String(), "silent": silent.Addr().String(), "no such host": "nn.invalid:8020"} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			c := conf.FromMap(map[string]string{"fs.defaultFS": "hdfs://" + authority})
			fsys, err := Open(t.Context(), c, "", Options{Timeout: timeout, User: "alice"})
			if err == nil {
				defer fsys.Close()
				_, err = fsys.Stat(t.Context(), "/")
			}
			if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), authority) || !strings.Contains(err.Error(), "fs.defaultFS") {
				t.Errorf("error %v", err)
			}
			if took := time.Since(start); took > 3*timeout {
				t.Errorf("it took %v", took)
			}
		})
	}

	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		c := conf.FromMap(map[string]string{"fs.defaultFS": "hdfs://" + silent.Addr().String()})
		fsys, err := Open(ctx, c, "", Options{User: "alice"})
		if err != nil {
			t.Fatal(err)
		}
		defer fsys.Close()
		why := errors.New("enough")
		time.AfterFunc(50*time.Millisecond, func() { cancel(why) })
		start := time.Now()
		if _, err := fsys.Stat(ctx, "/"); !errors.Is(err, why) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// TestCallsOverRPCAreBounded has a NameNode refuse nearly as long as a call may
// take, and then accept without a word: the last attempt must not have a time
// of its own.
func TestCallsOverRPCAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 20 * time.Second
		began := time.Now()
		r, err := newRemote(conf.FromMap(nil), "nn", Options{Timeout: timeout, User: "alice",
			Dial: func(context.Context, string, string) (net.Conn, error) {
				if time.Since(began) < timeout-5*time.Second {
					return nil, syscall.ECONNREFUSED
				}
				ours, theirs := net.Pipe()
				go io.Copy(io.Discard, theirs)
				return ours, nil
			}})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if err := r.RenameNew(t.Context(), "a", "b"); !errors.Is(err, ErrUnreachable) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(began); took > timeout {
			t.Errorf("it took %v", took)
		}
	})
}

func TestExceptions(t *testing.T) {
	for _, tc := range []struct {
		class, message string
		kind           error
		want           string
	}{
		{"org.apache.hadoop.security.AccessControlException", "Permission denied: user=bob\n\tat x", nil, "stat /x: permission denied: Permission denied: user=bob"},
		{"org.apache.hadoop.hdfs.protocol.DSQuotaExceededException", "The DiskSpace quota of /x is exceeded", ErrQuota, "hdfs dfs -count"},
		{"org.apache.hadoop.hdfs.server.namenode.SafeModeException", "Cannot create file/x. Name node is in safe mode.", ErrSafeMode, "dfsadmin -safemode"},
		{"org.apache.hadoop.ipc.RetriableException", "org.apache.hadoop.hdfs.server.namenode.SafeModeException: Cannot", ErrSafeMode, "safe mode"},
		{"java.io.IOException", "File /x could only be written to 0 of the 1 minReplication nodes.", ErrNoDataNode, "dfsadmin -report"},
		{"java.io.IOException", "rename destination directory is not empty: /x", ErrNotEmpty, "not empty"},
		{"java.io.IOException", "something else", nil, "stat /x: something else"},
	} {
		err := fromException("stat", "/x", tc.class, tc.message, nil)
		if !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q, want %q", tc.class, err, tc.want)
		}
		if tc.kind != nil && !errors.Is(err, tc.kind) {
			t.Errorf("%s is no %v", tc.class, tc.kind)
		}
	}
}

func FuzzParseName(f *testing.F) {
	for _, s := range []string{"hdfs://nn/x", "a:b", "hdfs:/x", "../../..", "file:///"} {
		f.Add(s)
	}
	n := names{scheme: "hdfs", authority: "nn", home: "/user/alice"}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := n.Resolve(s)
		if err != nil {
			return
		}
		if !strings.HasPrefix(p, "/") || strings.Contains(p, "/../") {
			t.Errorf("%q resolves to %q", s, p)
		}
		if q, err := n.Resolve(p); err != nil || q != p {
			t.Errorf("%q, resolved again, is %q, %v", p, q, err)
		}
		url, _ := n.URL(s)
		if q, err := n.Resolve(url); err != nil || q != p {
			t.Errorf("%q is %q, %v, want %q", url, q, err, p)
		}
	})
}

// On the local disk the home directory is the account's, unless the configuration names a place for homes.
func TestLocalHome(t *testing.T) {
	t.Setenv("HADOOP_USER_NAME", "")
	home := func(site map[string]string, o Options) string {
		t.Helper()
		f, err := Open(t.Context(), conf.FromMap(site), "file:///", o)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		return f.Home()
	}
	t.Setenv("HOME", "/home/of-the-account")
	if got := home(nil, Options{User: "alice"}); got != "/home/of-the-account" {
		t.Errorf("without a prefix: %q", got)
	}
	if got := home(map[string]string{"dfs.user.home.dir.prefix": "/data/user/"}, Options{User: "alice"}); got != "/data/user/alice" {
		t.Errorf("with a prefix: %q", got)
	}
}
