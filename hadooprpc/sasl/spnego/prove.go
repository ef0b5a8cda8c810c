package spnego

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/sasl"
)

// Service is whom a request's server must be: HTTP on the host as its URL has it. Source: KerberosAuthenticator,
// KerberosUtil.getServicePrincipal.
func Service(req *http.Request) string { return "HTTP/" + strings.ToLower(req.URL.Hostname()) }

// Prove has a request say who we are, by a ticket for its Service. The answer goes to Finish. forget is for an answer that may be
// because of the ticket: the next is a new one.
func Prove(ctx context.Context, req *http.Request, tickets sasl.TicketSource) (c *Client, forget func(), err error) {
	service := Service(req)
	cred, err := tickets.ServiceTicket(ctx, service)
	if err != nil {
		return nil, nil, err
	}
	c, err = NewClient(cred, time.Now())
	if err == nil {
		var header string
		if header, err = c.Authorization(); err == nil {
			req.Header.Set(RequestHeader, header)
			return c, func() {
				if f, ok := tickets.(sasl.Forgetter); ok {
					f.Forget(service, cred)
				}
			}, nil
		}
	}
	return nil, nil, fmt.Errorf("the ticket for %s is of no use: %w", service, err)
}
