package krb5

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/messages"
)

// Kind is what went wrong.
type Kind string

// Kinds of failure.
const (
	BadConfig     Kind = "bad-config"     // krb5.conf is missing, or says nothing of the realm
	NoCache       Kind = "no-cache"       // there is no ticket cache
	BadCache      Kind = "bad-cache"      // it cannot be read, or is of a type that we do not read
	Expired       Kind = "expired"        // its ticket has
	BadKeytab     Kind = "bad-keytab"     // it cannot be read, or is of another principal
	WrongPassword Kind = "wrong-key"      // the KDC has another key than the keytab
	UnknownUser   Kind = "unknown-user"   // the KDC does not know the principal
	UnknownServer Kind = "unknown-server" // the KDC does not know the service
	Skew          Kind = "clock-skew"     // clocks differ too much
	Unreachable   Kind = "unreachable"    // no KDC answers
	NoCommonType  Kind = "no-common-type" // of encryption
	Refused       Kind = "refused"        // any other answer of the KDC
)

// Error tells what failed, why, and what to do.
type Error struct {
	Kind   Kind
	Reason string // one sentence without a full stop
	Cure   string // what to do or to run; may be empty
	Err    error  // the library's own words; may be nil
}

func (e *Error) Error() string {
	s := "Kerberos: " + e.Reason
	if e.Err != nil {
		s += " (" + e.Err.Error() + ")"
	}
	if e.Cure != "" {
		s += ": " + e.Cure
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Temporary tells whether the same may go well a little later: no KDC has answered, and none has refused.
func (e *Error) Temporary() bool { return e.Kind == Unreachable }

// KindOf is the kind of the failure in err's chain, "" if there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

// asked is what a KDC was asked for.
type asked struct {
	who, realm string // who asks, and whose KDC
	what       string // the service
	key        bool   // by the keytab's key; otherwise by a ticket
	cache      bool   // which is in a ticket cache
}

// explain makes an Error of what the library says when a KDC was asked.
func explain(err error, q asked) error {
	if err == nil {
		return nil
	}
	if e := (*Error)(nil); errors.As(err, &e) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if e, refused := errors.AsType[messages.KRBError](err); refused {
		if e.ErrorCode == errorcode.KRB_ERR_GENERIC && e.EText == noServerKey {
			return byCode(errorcode.KDC_ERR_ETYPE_NOSUPP, err, q)
		}
		return byCode(e.ErrorCode, err, q)
	}
	switch text := err.Error(); { // the library has words alone for these
	case strings.Contains(text, "not found in keytab"), strings.Contains(text, "matching key not found"):
		return &Error{BadKeytab, fmt.Sprintf("the keytab has no key of %s of the type and version that the KDC wants", q.who),
			"the password was changed since, or its keys are of other types: list them with klist -kte FILE, and ask for a new keytab", err}
	case strings.Contains(text, "clock skew with KDC too large"): // it compares by itself where the KDC does not
		return skewed(err)
	case strings.Contains(text, "integrity verification failed"): // where a KDC wants no pre-authentication its answer is the first that shows it
		return otherKey(q, err)
	}
	return &Error{Refused, fmt.Sprintf("%s got no ticket for %s", q.who, q.what), "", err}
}

// noServerKey is what MIT's KDC says where all keys of a service are of types that it may not use itself, by its own
// permitted_enctypes. Seen with 1.20.
const noServerKey = "FINDING_SERVER_KEY"

func expired(who string) *Error {
	return &Error{Expired, fmt.Sprintf("the ticket of %s has expired", who), "get a new one with: kinit " + who, nil}
}

func skewed(err error) *Error {
	return &Error{Skew, "this machine's clock and the KDC's differ by more than is tolerated, usually five minutes", "set this clock; timedatectl shows whether it is synchronized", err}
}

// otherKey is that one side's secret is not the other's: the user's, or, where a ticket was shown, the KDC's own.
func otherKey(q asked, err error) *Error {
	switch {
	case q.key:
		return &Error{WrongPassword, fmt.Sprintf("the KDC has another key for %s than the keytab", q.who), "the password was changed since: ask for a new keytab", nil}
	case q.cache:
		return &Error{BadCache, fmt.Sprintf("the KDC of %s does not take the ticket of %s: its key is another than when the ticket was made", q.realm, q.who), "get a new one with: kdestroy; kinit", err}
	}
	return &Error{Refused, fmt.Sprintf("the KDC of %s does not take the ticket that it has just given %s", q.realm, q.who), "do the KDCs of the realm have the same keys?", err}
}

func byCode(code int32, err error, q asked) error {
	switch code {
	case errorcode.KDC_ERR_C_PRINCIPAL_UNKNOWN:
		return &Error{UnknownUser, fmt.Sprintf("the KDC of %s does not know %s", q.realm, q.who), "is the name right, and the realm?", nil}
	case errorcode.KDC_ERR_S_PRINCIPAL_UNKNOWN:
		return &Error{UnknownServer, fmt.Sprintf("the KDC of %s does not know the service %s", q.realm, q.what),
			"its principal in Hadoop's configuration, the server's host name or [domain_realm] of krb5.conf is another than the KDC's", nil}
	case errorcode.KDC_ERR_PREAUTH_FAILED, errorcode.KRB_AP_ERR_BAD_INTEGRITY:
		return otherKey(q, err)
	case errorcode.KRB_AP_ERR_SKEW, errorcode.KRB_AP_ERR_TKT_NYV, errorcode.KDC_ERR_NEVER_VALID:
		return skewed(err)
	case errorcode.KRB_AP_ERR_TKT_EXPIRED:
		return expired(q.who)
	case errorcode.KDC_ERR_ETYPE_NOSUPP:
		return &Error{NoCommonType, fmt.Sprintf("the KDC and this program have no type of encryption in common for %s", q.what),
			"AES is needed (aes256-cts-hmac-sha1-96, aes128-cts-hmac-sha1-96, or their SHA-2 forms): look at permitted_enctypes in krb5.conf, and at the keys of the service", err}
	case errorcode.KDC_ERR_CLIENT_REVOKED, errorcode.KDC_ERR_KEY_EXPIRED:
		return &Error{Refused, fmt.Sprintf("the KDC has locked %s, or its password has expired", q.who), "ask the administrator of the realm " + q.realm, err}
	case errorcode.KDC_ERR_WRONG_REALM:
		return &Error{BadConfig, fmt.Sprintf("the KDC serves another realm than %s", q.realm), "look at default_realm and [domain_realm] in krb5.conf", err}
	}
	return &Error{Refused, fmt.Sprintf("the KDC gives %s no ticket for %s", q.who, q.what), "", err}
}
