package edgeclient

import (
	"net"
	"regexp"
	"strconv"
	"strings"
)

// addressScheme begins the id of a cluster that was started by hand.
const addressScheme = "tcp://"

var hostRule = regexp.MustCompile(`^[A-Za-z0-9._:%-]{1,255}$`)

// ParseAddress reads where a scheduler listens that was started by hand, HOST:PORT or
// tcp://HOST:PORT, and returns HOST:PORT. Its error is a Usage fault.
func ParseAddress(text string) (string, error) {
	host, port, err := net.SplitHostPort(strings.TrimPrefix(text, addressScheme))
	n, bad := strconv.ParseUint(port, 10, 16)
	if err != nil || bad != nil || n == 0 || !hostRule.MatchString(host) {
		return "", usagef("Give HOST:PORT, as yarnd scheduler prints it, such as tcp://node1:8786", "%q is no address of a scheduler", text)
	}
	return net.JoinHostPort(host, port), nil
}

// IsAddress reports whether an APP is where a scheduler listens that was started by
// hand, rather than an application.
func IsAddress(app string) bool {
	if strings.HasPrefix(app, "name:") {
		return false // tcp://name:80 is for those who have such a host
	}
	_, err := ParseAddress(app)
	return err == nil
}

// AddressID is the id of the cluster whose scheduler listens on an address.
func AddressID(address string) string { return addressScheme + address }
