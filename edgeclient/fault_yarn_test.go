package edgeclient

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
)

// What a server of the cluster refuses for reasons of authentication is said to be that, with what to do about it.
func TestServersRefuseAuthentication(t *testing.T) {
	gss := &ipc.RemoteError{Class: "javax.security.sasl.SaslException", Message: "GSS initiate failed"}
	for _, c := range []struct {
		err  error
		says string
	}{
		{gss, "does not take the ticket"},
		{&ipc.ConnError{Addr: "rm:8032", Err: gss}, "does not take the ticket"},
		{&hdfs.Error{Op: "stat", Path: "hdfs://nn/x", Kind: hdfs.ErrAuth, Err: &ipc.ConnError{Addr: "nn:8020", Err: gss}}, "does not take the ticket"},
		{&ipc.RemoteError{Class: "org.apache.hadoop.security.token.SecretManager$InvalidToken", Message: "token (RM_DELEGATION_TOKEN owner=alice) is expired"}, "has ended or was cancelled"},
		{fmt.Errorf("the answer: %w", gssapi.ErrKeyType), "Ask for AES keys"},
	} {
		err := (&yarnCluster{}).fault("cannot submit", c.err)
		f := (*Fault)(nil)
		if !errors.As(err, &f) || f.Code != Auth || !strings.Contains(f.Next, c.says) {
			t.Errorf("%v: %+v", c.err, f)
		}
	}
}
