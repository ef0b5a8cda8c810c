package main

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// hostsVar has the names of the cluster's hosts, "nm1=172.29.1.2,…": this machine does not know them.
const hostsVar = "YARND_CHAOS_HOSTS"

// useHosts has the names in text be resolved by this process, as the cluster's own hosts do by their files. It answers
// its own resolver's questions, over pipes. "" changes nothing.
func useHosts(text string) {
	if text == "" {
		return
	}
	hosts := map[string]netip.Addr{}
	for pair := range strings.SplitSeq(text, ",") {
		name, addr, _ := strings.Cut(pair, "=")
		if a, err := netip.ParseAddr(addr); err == nil {
			hosts[name] = a
		}
	}
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go answerNames(ours, hosts)
		return theirs, nil
	}}
}

// answerNames answers the questions of one connection, which are framed as DNS over TCP is (RFC 1035, 4.2.2).
func answerNames(c net.Conn, hosts map[string]netip.Addr) {
	defer c.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, query); err != nil {
			return
		}
		reply, err := nameReply(query, hosts)
		if err != nil {
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}

// nameReply answers one question: with the address of a host of ours, whatever domain is searched, or that there is none.
func nameReply(query []byte, hosts map[string]netip.Addr) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		return nil, err
	}
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	for _, q := range m.Questions {
		name, _, _ := strings.Cut(q.Name.String(), ".")
		addr, known := hosts[name]
		switch {
		case !known:
			m.RCode = dnsmessage.RCodeNameError
		case q.Type == dnsmessage.TypeA && addr.Is4():
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}, Body: &dnsmessage.AResource{A: addr.As4()},
			})
		}
	}
	return m.Pack()
}
