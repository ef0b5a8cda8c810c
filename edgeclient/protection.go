package edgeclient

import (
	"errors"
	"strings"

	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
)

// unprotected is what travels in clear on a cluster with Kerberos.
func unprotected(y *yarnCluster) (open []string) {
	if least, err := sasl.ParseProtection(y.conf.String("hadoop.rpc.protection", "authentication")); err == nil && least < sasl.QOPConf {
		open = append(open, "what is said to the ResourceManager and the NameNode, tokens included")
	}
	encrypted, err := y.conf.Bool("dfs.encrypt.data.transfer", false)
	least, wrong := sasl.ParseProtection(y.conf.String("dfs.data.transfer.protection", "authentication"))
	if err == nil && wrong == nil && !encrypted && least < sasl.QOPConf {
		open = append(open, "the bytes of files")
	}
	return open
}

const (
	exposed   = "others on the network can read "
	askToHide = "Ask an administrator: hadoop.rpc.protection and dfs.data.transfer.protection should be privacy"
)

// checkProtection warns of what others can read of an application on a cluster with Kerberos, or with strict refuses it.
func (y *yarnCluster) checkProtection(strict bool) error {
	if !ipc.Secure(y.conf) {
		if strict {
			return &Fault{Code: Refused, What: "this cluster believes names, without any proof (hadoop.security.authentication is simple)", Next: "Submit without --strict, or to a cluster with Kerberos"}
		}
		return nil
	}
	open := unprotected(y)
	if len(open) == 0 {
		return nil
	}
	if strict {
		return &Fault{Code: Refused, What: "the cluster does not keep what is sent secret", Why: errors.New(exposed + strings.Join(open, ", and ")), Next: askToHide + ", or submit without --strict"}
	}
	y.opts.Progress("warning: %s%s. %s", exposed, strings.Join(open, ", and "), askToHide)
	return nil
}
