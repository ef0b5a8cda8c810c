package hdfs

import (
	"context"
	"strings"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
)

// keyProvider is what the configuration says of where the keys of encryption zones are.
type keyProvider struct {
	uri    string // where the NameNode says nothing
	ignore bool   // what it says
}

func keyProviderOf(c *conf.Conf) (k keyProvider, err error) {
	k.uri = strings.TrimSpace(c.String("hadoop.security.key.provider.path", ""))
	k.ignore, err = c.Bool("dfs.client.ignore.namenode.default.kms.uri", false)
	return k, err
}

// KeyProvider implements Delegation. The NameNode's word counts for more than the configuration's, also where it is that there
// is none; an old one says nothing. Source:
// HdfsKMSUtil.getKeyProviderUri.
func (r *remote) KeyProvider(ctx context.Context) (string, error) {
	if r.keys.ignore {
		return r.keys.uri, nil
	}
	var resp nnpb.GetServerDefaultsResponse
	if err := r.rpc(ctx, "ask for the key provider of", "", "getServerDefaults", &nnpb.GetServerDefaultsRequest{}, &resp); err != nil {
		return "", err
	}
	if d := resp.GetServerDefaults(); d != nil && d.KeyProviderUri != nil {
		return d.GetKeyProviderUri(), nil
	}
	return r.keys.uri, nil
}
