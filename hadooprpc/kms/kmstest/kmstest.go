// Package kmstest is a key management server in this process, on a real socket, that gives delegation tokens to who has a
// ticket, as Hadoop's does. It has no keys.
//
//	k := kmstest.Start(kmstest.Options{Realm: realm})
//	defer k.Close()
//	conf: hadoop.security.key.provider.path = k.URI()
//
// Source: DelegationTokenAuthenticationHandler, KerberosAuthenticationHandler, AbstractDelegationTokenSecretManager.
package kmstest

import (
	"cmp"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
	"github.com/yarnd/yarnd/hadooprpc/sasl/spnego"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

// Service is who the server is to a realm.
const Service = "HTTP/127.0.0.1"

// Options describe a server.
type Options struct {
	// Realm gives its clients their tickets.
	Realm *gssapi.Issuer
	// TLS has it speak HTTPS, with a certificate that Roots vouch for.
	TLS bool
	// Proxies may act for others: short names.
	Proxies []string
	// RenewLife is how long a token lasts after each renewal. 0: a day.
	RenewLife time.Duration
}

// Server is a running KMS. Its methods may be called by many goroutines.
type Server struct {
	o    Options
	http *httptest.Server

	mu      sync.Mutex
	trouble http.HandlerFunc
	last    int64
	tokens  map[string]*given // by identifier
	log     []string
}

type given struct {
	owner, renewer string
	password       string
	max            time.Time
}

// Start starts a server on 127.0.0.1.
func Start(o Options) *Server {
	s := &Server{o: o, tokens: map[string]*given{}}
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.http.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that do not trust the certificate
	if o.TLS {
		s.http.StartTLS()
	} else {
		s.http.Start()
	}
	return s
}

// Close ends it.
func (s *Server) Close() { s.http.Close() }

// Addr is its host and port.
func (s *Server) Addr() string { return s.http.Listener.Addr().String() }

// URI is that of the key provider.
func (s *Server) URI() string {
	scheme, _, _ := strings.Cut(s.http.URL, ":")
	return "kms://" + scheme + "@" + s.Addr() + "/kms"
}

// Roots vouch for its certificate.
func (s *Server) Roots() *x509.CertPool {
	p := x509.NewCertPool()
	if c := s.http.Certificate(); c != nil {
		p.AddCert(c)
	}
	return p
}

// SetTrouble has h answer all requests from now on; nil ends that.
func (s *Server) SetTrouble(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = h
}

// Tokens are those that live, as "owner for renewer", in no order.
func (s *Server) Tokens() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, t := range s.tokens {
		all = append(all, t.owner+" for "+t.renewer)
	}
	return all
}

// Log is what it was asked: operations and names, in order.
func (s *Server) Log() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.log...)
}

// problem is an answer that is none.
type problem struct {
	code               int
	exception, message string
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	trouble := s.trouble
	s.mu.Unlock()
	if trouble != nil {
		trouble(w, r)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	answer, p := s.answer(w, r)
	if p != nil {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(p.code)
		answer = map[string]any{"RemoteException": map[string]string{"message": p.message, "exception": p.exception, "javaClassName": "org.apache.hadoop." + p.exception}}
	} else if answer != nil {
		w.Header().Set("Content-Type", "application/json;charset=utf-8")
	}
	if answer != nil {
		json.NewEncoder(w).Encode(answer) //nolint:errcheck // who asked is gone
	}
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) (any, *problem) {
	q := r.URL.Query()
	op := q.Get("op")
	want := map[string]string{"GETDELEGATIONTOKEN": http.MethodGet, "RENEWDELEGATIONTOKEN": http.MethodPut, "CANCELDELEGATIONTOKEN": http.MethodPut}[op]
	if r.URL.Path != "/kms/v1/" || want == "" {
		return nil, &problem{http.StatusNotFound, "NotFoundException", "null for uri: " + r.URL.Path}
	}
	if r.Method != want {
		return nil, &problem{http.StatusBadRequest, "IOException", fmt.Sprintf("Wrong HTTP method [%s] for operation [%s]", r.Method, op)}
	}
	if op == "CANCELDELEGATIONTOKEN" {
		s.log = append(s.log, op)
		t, _ := token.FromURLString(q.Get("token"))
		if g := s.tokens[string(t.Identifier)]; g == nil || g.password != string(t.Password) {
			return nil, &problem{http.StatusNotFound, "InvalidToken", "Invalid delegation token, cannot cancel"}
		}
		delete(s.tokens, string(t.Identifier))
		return nil, nil
	}
	who, p := s.caller(w, r)
	if p != nil {
		return nil, p
	}
	s.log = append(s.log, op+" by "+who)
	if op == "RENEWDELEGATIONTOKEN" {
		return s.renew(who, q.Get("token"))
	}
	if !q.Has("renewer") {
		return s.give(who, who), nil
	}
	return s.give(who, shortName(q.Get("renewer"))), nil
}

// caller is who has proven himself, or for whom he acts.
func (s *Server) caller(w http.ResponseWriter, r *http.Request) (string, *problem) {
	a := s.o.Realm.Acceptor(Service)
	h := r.Header.Get(spnego.RequestHeader)
	if h == "" {
		w.Header().Set(spnego.AnswerHeader, "Negotiate")
		return "", &problem{http.StatusUnauthorized, "AuthenticationException", "Authentication required"}
	}
	proof, err := spnego.Accept(a, h, time.Now())
	if err != nil {
		return "", &problem{http.StatusForbidden, "AuthenticationException", "GSSException: " + err.Error()}
	}
	w.Header().Set(spnego.AnswerHeader, proof)
	name, _ := a.Client()
	who := shortName(name.PrincipalNameString())
	other := r.URL.Query().Get("doAs")
	if other == "" {
		return who, nil
	}
	for _, p := range s.o.Proxies {
		if p == who {
			return other, nil
		}
	}
	return "", &problem{http.StatusForbidden, "AuthorizationException", fmt.Sprintf("User: %s is not allowed to impersonate %s", who, other)}
}

func (s *Server) give(owner, renewer string) any {
	s.last++
	g := &given{owner, renewer, rand.Text(), time.Now().Add(7 * 24 * time.Hour)}
	id := token.Delegation{Owner: owner, Renewer: renewer, Issued: time.Now(), Max: g.max, Sequence: s.last}.Append(nil)
	s.tokens[string(id)] = g
	t := token.Token{Identifier: id, Password: []byte(g.password), Kind: token.KindKMS}
	return map[string]any{"Token": map[string]string{"urlString": t.URLString()}}
}

func (s *Server) renew(who, text string) (any, *problem) {
	t, err := token.FromURLString(text)
	g := s.tokens[string(t.Identifier)]
	if err != nil || g == nil || g.password != string(t.Password) {
		return nil, &problem{http.StatusForbidden, "AuthenticationException", "InvalidToken: Renewal request for unknown token"}
	}
	if g.renewer == "" || g.renewer != who {
		return nil, &problem{http.StatusForbidden, "AuthenticationException", fmt.Sprintf("AccessControlException: %s tries to renew a token with non-matching renewer %s", who, g.renewer)}
	}
	until := time.Now().Add(cmp.Or(s.o.RenewLife, 24*time.Hour))
	return map[string]int64{"long": min(until.UnixMilli(), g.max.UnixMilli())}, nil
}

func shortName(principal string) string {
	name, _, _ := strings.Cut(principal, "@")
	name, _, _ = strings.Cut(name, "/")
	return name
}
