package hdfs

import (
	"fmt"
	"net"
	"strconv"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
)

const (
	encryptKey    = "dfs.encrypt.data.transfer"
	protectionKey = "dfs.data.transfer.protection"
	dataNodeKey   = "dfs.datanode.address"
)

// Transfer is how the configuration has the bytes of files protected between clients and DataNodes.
// Source: SaslDataTransferClient.send.
type Transfer struct {
	Encrypt bool     // by a key of the NameNode's (dfs.encrypt.data.transfer)
	Least   sasl.QOP // else, by the block's token, at least (dfs.data.transfer.protection); 0: not at all
	// Privileged: DataNodes have ports below 1024 (dfs.datanode.address), which only root opens. That is proof enough for Hadoop,
	// whose clients then protect nothing, whatever Least is.
	Privileged bool
}

// TransferOf is what a configuration says. Its error names the key.
func TransferOf(c *conf.Conf) (t Transfer, err error) {
	if t.Encrypt, err = c.Bool(encryptKey, false); err != nil {
		return t, err
	}
	if !ipc.Secure(c) {
		return t, nil
	}
	t.Privileged = isPrivileged(c.String(dataNodeKey, ""))
	protection := c.String(protectionKey, "")
	if protection == "" { // DataNodes have privileged ports then
		return t, nil
	}
	if t.Least, err = sasl.ParseProtection(protection); err != nil {
		return t, fmt.Errorf("%s: %w", protectionKey, err)
	}
	return t, nil
}

// Protection is what the bytes of files have at least; 0: none.
func (t Transfer) Protection() sasl.QOP {
	switch {
	case t.Encrypt:
		return sasl.QOPConf
	case t.Privileged:
		return 0
	}
	return t.Least
}

// isPrivileged tells whether the port of an address belongs to root.
func isPrivileged(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && n < privileged
}

// admits refuses a DataNode to which everything would go in clear, though the configuration wants it protected, and does not say
// that DataNodes are such.
func (t Transfer) admits(addr string) error {
	if t.Least == 0 || t.Privileged || !isPrivileged(addr) {
		return nil
	}
	return &Error{Op: "connect to", Path: "DataNode " + addr, Kind: ErrUnprotected,
		Detail: "its port is privileged, where Hadoop protects nothing, and " + protectionKey + " here wants it protected",
		Hint:   "set " + dataNodeKey + " as the cluster has it, to go on in clear"}
}

// unencrypted is that the NameNode gives no key, though the configuration has data encrypted; nil where it is all the same.
func (r *remote) unencrypted() error {
	if r.transfer.Least == sasl.QOPConf && !r.transfer.Privileged {
		return nil
	}
	return &Error{Op: "protect files of", Path: r.root(), Kind: ErrUnprotected,
		Detail: encryptKey + " is true here, and off at the NameNode: they would travel in clear",
		Hint:   "copy hdfs-site.xml from the cluster, or set " + protectionKey + "=privacy where its DataNodes take that"}
}
