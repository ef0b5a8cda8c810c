package sasl

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"strings"
)

// DigestMD5 is the name of the mechanism behind TOKEN.
const DigestMD5 = "DIGEST-MD5"

// credentials are the secret side of one DIGEST-MD5 exchange (RFC 2831 section 2.1.2.1). Names and passwords are
// taken as bytes: Hadoop's are base64, for which the RFC's rules about character sets make no difference.
type credentials struct {
	user, realm, password string
}

// digest is what both sides feed into the response.
type digest struct {
	nonce, cnonce, uri string
	qop                QOP
}

const firstNonceCount = "00000001" // we never re-authenticate, so it is never another

// key computes H(A1), from which the response and all session keys derive.
func (d digest) key(c credentials) [md5.Size]byte {
	user := md5.Sum([]byte(c.user + ":" + c.realm + ":" + c.password))
	return md5.Sum(append(user[:], ":"+d.nonce+":"+d.cnonce...))
}

// response is what the client proves itself with; with server set, what the server does (rspauth).
func (d digest) response(key [md5.Size]byte, server bool) string {
	a2 := ":" + d.uri
	if !server {
		a2 = "AUTHENTICATE" + a2
	}
	if d.qop != QOPAuth {
		a2 += ":00000000000000000000000000000000"
	}
	h := hexMD5(a2)
	return hexMD5(hex.EncodeToString(key[:]) + ":" + d.nonce + ":" + firstNonceCount + ":" + d.cnonce + ":" + d.qop.String() + ":" + h)
}

func hexMD5(s string) string {
	h := md5.Sum([]byte(s))
	return hex.EncodeToString(h[:])
}

// maxDirectives bounds a challenge; real ones have six or seven.
const maxDirectives = 64

// parseDirectives reads key=value, key="quoted value", … as in RFC 2831 section 7.1. A directive that may occur
// several times (realm) keeps all its values.
func parseDirectives(s string) (map[string][]string, error) {
	out := make(map[string][]string)
	for n := 0; ; n++ {
		s = strings.TrimLeft(s, " \t\r\n,")
		if s == "" {
			return out, nil
		}
		if n == maxDirectives {
			return nil, failf("DIGEST-MD5: more than %d directives", maxDirectives)
		}
		key, rest, ok := strings.Cut(s, "=")
		if !ok {
			return nil, failf("DIGEST-MD5: %q has no value", clip(s))
		}
		key = strings.ToLower(strings.TrimRight(key, " \t\r\n"))
		value, rest, err := parseValue(strings.TrimLeft(rest, " \t\r\n"))
		if err != nil {
			return nil, err
		}
		if rest = strings.TrimLeft(rest, " \t\r\n"); rest != "" && rest[0] != ',' {
			return nil, failf("DIGEST-MD5: no comma after %s", clip(key))
		}
		out[key] = append(out[key], value)
		s = rest
	}
}

// parseValue splits a token or quoted string off s.
func parseValue(s string) (value, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		i := strings.IndexAny(s, ", \t\r\n")
		if i < 0 {
			i = len(s)
		}
		return s[:i], s[i:], nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], nil
		case '\\':
			if i++; i == len(s) {
				return "", "", failf("DIGEST-MD5: unfinished quotation")
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", failf("DIGEST-MD5: unfinished quotation")
}

var quoter = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

func quote(s string) string { return `"` + quoter.Replace(s) + `"` }

func clip(s string) string {
	if len(s) > 32 {
		return s[:32] + "…"
	}
	return s
}

// single returns the only value of a directive that may not be repeated, "" when it is absent.
func single(d map[string][]string, key string) (string, error) {
	switch v := d[key]; len(v) {
	case 0:
		return "", nil
	case 1:
		return v[0], nil
	}
	return "", failf("DIGEST-MD5: directive %s is repeated", key)
}

// parseQOPs reads a list such as "auth,auth-conf"; absent means auth (RFC 2831 section 2.1.1). Unknown words are
// skipped.
func parseQOPs(list string) []QOP {
	if list == "" {
		return []QOP{QOPAuth}
	}
	var out []QOP
	for w := range strings.SplitSeq(list, ",") {
		for q, name := range qopNames {
			if strings.EqualFold(strings.TrimSpace(w), name) {
				out = append(out, q)
			}
		}
	}
	return out
}

func checkAlgorithm(d map[string][]string) error {
	alg, err := single(d, "algorithm")
	if err == nil && alg != "md5-sess" {
		err = fmt.Errorf("algorithm %q is not md5-sess", clip(alg))
	}
	return err
}
