package edgeclient

import (
	"errors"
	"strings"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
)

// exposure is what others on the network can read on a cluster with Kerberos, by its configuration.
type exposure struct {
	rpc, files bool
	privileged bool // files, because DataNodes have privileged ports, whatever else is configured
}

// exposureOf is that of a cluster. A value that says nothing is an error for whoever connects by it, and taken for the worst here.
func exposureOf(y *yarnCluster) exposure {
	least, err := sasl.ParseProtection(y.conf.String("hadoop.rpc.protection", "authentication"))
	transfer, wrong := hdfs.TransferOf(y.conf)
	return exposure{
		rpc:        err != nil || least < sasl.QOPConf,
		files:      wrong != nil || transfer.Protection() < sasl.QOPConf,
		privileged: transfer.Privileged && transfer.Least == sasl.QOPConf && !transfer.Encrypt,
	}
}

// String is empty where nothing can be read. With keytab, one is among the files.
func (e exposure) String(keytab bool) string {
	var open []string
	if e.rpc {
		open = append(open, "what is said to the ResourceManager and the NameNode, tokens included")
	}
	files := "the bytes of files"
	if keytab {
		files += ", the keytab of --keytab among them, by which they are its principal until its password is changed"
	}
	if e.files {
		open = append(open, files)
	}
	return strings.Join(open, ", and ")
}

const (
	exposed   = "others on the network can read "
	askToHide = "Ask an administrator: hadoop.rpc.protection and dfs.data.transfer.protection should be privacy"
	// askToMove is for DataNodes at privileged ports, with which Hadoop's clients agree on no protection.
	askToMove = ", and dfs.datanode.address at no privileged port, or dfs.encrypt.data.transfer true"
)

// cure is whom to ask for what.
func (e exposure) cure() string {
	if e.privileged {
		return askToHide + askToMove
	}
	return askToHide
}

// checkProtection warns of what others can read of an application on a cluster with Kerberos, or with strict refuses it.
func (y *yarnCluster) checkProtection(strict bool) error {
	if !ipc.Secure(y.conf) {
		if strict {
			return &Fault{Code: Refused, What: "this cluster believes names, without any proof (hadoop.security.authentication is simple)", Next: "Submit without --strict, or to a cluster with Kerberos"}
		}
		return nil
	}
	e := exposureOf(y)
	open := e.String(y.shipsKeytab())
	switch {
	case open == "":
		return nil
	case strict:
		return &Fault{Code: Refused, What: "the cluster does not keep what is sent secret", Why: errors.New(exposed + open), Next: e.cure() + ", or submit without --strict"}
	}
	y.opts.Progress("warning: %s%s. %s", exposed, open, e.cure())
	return nil
}

// shipsKeytab tells whether an application gets the keytab.
func (y *yarnCluster) shipsKeytab() bool {
	return y.opts.Keytab != "" && ipc.Secure(y.conf) && y.who != nil && !y.who.Proxied()
}
