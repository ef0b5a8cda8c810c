package edgeclient

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/yarnd/yarnd/hadooprpc/conf"
)

// stores are file systems that Hadoop knows and yarnd does not, with what they are.
var stores = map[string]string{
	"s3": "Amazon S3", "s3a": "Amazon S3", "s3n": "Amazon S3", "abfs": "Azure Data Lake", "abfss": "Azure Data Lake", "adl": "Azure Data Lake",
	"wasb": "Azure Blob Storage", "wasbs": "Azure Blob Storage", "gs": "Google Cloud Storage", "oss": "Aliyun OSS", "cosn": "Tencent COS", "obs": "Huawei OBS",
	"ofs": "Apache Ozone", "o3fs": "Apache Ozone", "webhdfs": "HDFS over HTTP", "swebhdfs": "HDFS over HTTPS", "har": "a Hadoop archive",
	"viewfs": "a table of mounts", "viewfsoverloadscheme": "a table of mounts",
}

// checkScheme refuses a default file system that yarnd cannot write to, by name, and
// says which one to take instead as far as the configuration tells.
func checkScheme(c *conf.Conf) error {
	def := c.String("fs.defaultFS", "file:///")
	scheme, _, found := strings.Cut(def, ":")
	scheme = strings.ToLower(scheme)
	if !found || scheme == "hdfs" || scheme == "file" {
		return nil // openable, or refused with its own words
	}
	what := fmt.Sprintf("the default file system %s is of the scheme %q", def, scheme)
	if is := stores[scheme]; is != "" {
		what += ", " + is
	}
	next := "Name an HDFS with -D fs.defaultFS=hdfs://HOST:PORT"
	if found := candidates(c, def); len(found) > 0 {
		next = "Try -D fs.defaultFS=" + strings.Join(found, " or -D fs.defaultFS=")
	}
	return &Fault{Code: Refused, What: what + " (fs.defaultFS, from " + c.Origin("fs.defaultFS") + "); yarnd can put its files into HDFS only", Next: next}
}

// candidates are the HDFS that the configuration knows of: what viewfs mounts, the one
// with the home directories first, and the nameservices.
func candidates(c *conf.Conf, def string) []string {
	found := map[string]int{}
	add := func(target string, rank int) {
		u, err := url.Parse(target)
		if err != nil || !strings.EqualFold(u.Scheme, "hdfs") || u.Host == "" {
			return
		}
		name := "hdfs://" + u.Host
		if old, ok := found[name]; !ok || rank < old {
			found[name] = rank
		}
	}
	table := "default"
	if u, err := url.Parse(def); err == nil && u.Host != "" {
		table = u.Host
	}
	home := c.String("dfs.user.home.dir.prefix", "/user")
	for key, value := range c.All() {
		mount, ok := strings.CutPrefix(key, "fs.viewfs.mounttable."+table+".link.")
		switch {
		case !ok:
		case mount == home || strings.HasPrefix(home, strings.TrimSuffix(mount, "/")+"/"):
			add(value, 0)
		default:
			add(value, 1)
		}
	}
	for _, s := range c.Strings("dfs.nameservices") {
		add("hdfs://"+s, 2)
	}
	names := slices.Collect(maps.Keys(found))
	slices.SortFunc(names, func(a, b string) int {
		if d := found[a] - found[b]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return names[:min(len(names), 3)]
}
