package krb5

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/jcmturner/gokrb5/v8/config"

	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
)

// Config is a machine's Kerberos configuration.
type Config struct {
	// Files are those that were read, in that order.
	Files []string
	// DefaultRealm is the realm of names without one; "" where none is set.
	DefaultRealm string
	// CacheName is default_ccache_name, with its variables expanded; "" where it is not set.
	CacheName string

	lib   *config.Config
	names []string // of the files to read, of which some may be missing
	text  string   // of all that was read, for the library
}

const systemConfig = "/etc/krb5.conf"

// LoadConfig reads the files that getenv's KRB5_CONFIG names, with colons between, or /etc/krb5.conf. getenv is
// usually os.Getenv.
func LoadConfig(getenv func(string) string) (*Config, error) {
	files := []string{systemConfig}
	if env := getenv("KRB5_CONFIG"); env != "" {
		files = strings.Split(env, ":")
	}
	return loadConfig(files)
}

// newer is the configuration as the files have it now; nil where that is the same, or no good.
func (c *Config) newer() *Config {
	now, err := loadConfig(c.names)
	if err != nil || now.text == c.text {
		return nil
	}
	return now
}

func loadConfig(files []string) (*Config, error) {
	p, err := readProfile(files)
	if os.IsNotExist(err) {
		return nil, &Error{BadConfig, "there is no " + strings.Join(files, ", nor "), "copy it from a machine where kinit works, or set KRB5_CONFIG to it", nil}
	}
	var text string
	if err == nil {
		text, err = p.text()
	}
	var lib *config.Config
	if err == nil {
		err = safely(func() (err error) { lib, err = config.NewFromString(text); return err })
	}
	if err != nil {
		return nil, &Error{BadConfig, "krb5.conf cannot be read", "correct it, or set KRB5_CONFIG to another", err}
	}
	onlyAES(lib)
	if p.relation("libdefaults", "dns_lookup_kdc") == "" {
		lib.LibDefaults.DNSLookupKDC = true // MIT's default, for realms without a kdc
	}
	c := &Config{Files: p.files, DefaultRealm: lib.LibDefaults.DefaultRealm, lib: lib, names: files, text: text}
	c.CacheName = expandName(p.relation("libdefaults", "default_ccache_name"))
	return c, nil
}

// onlyAES asks KDCs for keys that this program can use, in the order of the configuration. Where that has no such, or is
// the library's own, which names others too, the rest of those that can be used follow.
func onlyAES(lib *config.Config) {
	d := &lib.LibDefaults
	for _, list := range []*[]int32{&d.DefaultTGSEnctypeIDs, &d.DefaultTktEnctypeIDs, &d.PermittedEnctypeIDs} {
		var usable []int32
		for _, id := range *list {
			if slices.ContainsFunc(gssapi.SupportedTypes, func(t gssapi.Type) bool { return t.ID == id }) {
				usable = append(usable, id)
			}
		}
		if len(usable) == 0 || len(usable) < len(*list) {
			for _, t := range gssapi.SupportedTypes {
				if !slices.Contains(usable, t.ID) {
					usable = append(usable, t.ID)
				}
			}
		}
		*list = usable
	}
}

// expandName replaces the variables of krb5.conf(5) that name the user. Others stay, and are refused with the name.
func expandName(name string) string {
	uid := strconv.Itoa(os.Getuid())
	return strings.NewReplacer("%{uid}", uid, "%{euid}", strconv.Itoa(os.Geteuid()), "%{USERID}", uid,
		"%{username}", os.Getenv("USER"), "%{TEMP}", os.TempDir(), "%{null}", "").Replace(name)
}

// safely makes an error of a panic.
func safely(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("malformed: %v", p)
		}
	}()
	return f()
}
