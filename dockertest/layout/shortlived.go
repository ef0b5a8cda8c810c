package layout

import (
	"strconv"
	"time"
)

// TokenLife is how long delegation tokens of ShortLived last at the most, and TokenRenewal how long unless they are renewed.
const (
	TokenLife    = 90 * time.Second
	TokenRenewal = 30 * time.Second
)

// ShortLived is SecureAuth with delegation tokens that end after a minute and a half instead of a week. The
// ResourceManager may act for users: it gives node managers new tokens for the files and logs of applications whose own
// have ended (yarn.resourcemanager.proxy-user-privileges.enabled). Keys and tickets are of AES with SHA-2. YARN's web servers
// speak TLS alone.
func ShortLived() Composition {
	k := Realm("authentication")
	k.Enctypes = []string{"aes256-cts-hmac-sha384-192", "aes128-cts-hmac-sha256-128"}
	k.ClosedWeb, k.HTTPS = true, true
	c := Secured(Simple(), "secure-short", k)
	const rm = "yarn.resourcemanager."
	c.Conf = Conf{
		CoreSite: {
			"hadoop.proxyuser." + ResourceManager.User + ".hosts":  "*",
			"hadoop.proxyuser." + ResourceManager.User + ".groups": "*",
		},
		HDFSSite: shortLives("dfs.namenode.delegation."),
		YarnSite: shortLives(rm + "delegation."),
	}
	c.Conf[YarnSite][rm+"delegation.token.remove-scan-interval"] = millis(TokenRenewal)
	c.Conf[YarnSite][rm+"proxy-user-privileges.enabled"] = "true"
	// With it a ResourceManager renews no token that is within three hours of its last day: it gets others, which are not ours.
	c.Conf[YarnSite][rm+"system-credentials.valid-time-remaining"] = millis(time.Second)
	return c
}

func shortLives(prefix string) Properties {
	return Properties{
		prefix + "token.max-lifetime":   millis(TokenLife),
		prefix + "token.renew-interval": millis(TokenRenewal),
		prefix + "key.update-interval":  millis(TokenLife),
	}
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
