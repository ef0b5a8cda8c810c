package token

import (
	"strings"
	"testing"
)

// javas is what Java's Token.encodeToUrlString (3.4.2) made of urlToken.
const javas = "j8gBCA8WHSQrMjlAR05VXGNqcXh_ho2Um6KpsLe-xczT2uHo7_b9BAsSGSAnLjU8Q0pRWF9mbXR7gomQl56lrLO6wcjP1t3k6_L5AAcOFRwjKjE4P0ZNVFtiaXB3foWMk5qhqK-2vcTL0tng5-71_AMKERgfJi00O0JJUFdeZWxzeoGIj5adpKuyucDHztXc4-rx-P8GDRQbIikwNz5FTFNaYWhvdn2Ei5KZoKeutbzDytHY3-bt9PsCCRAXHiUsMzpBSE9WXWRrcgT__gABBmttcy1kdBdrbXM6Ly9odHRwQGE7Yjo5NjAwL2ttcw"

func urlToken() Token {
	id := make([]byte, 200)
	for i := range id {
		id[i] = byte(i*7 + 1)
	}
	return Token{Identifier: id, Password: []byte{0xff, 0xfe, 0, 1}, Kind: KindKMS, Service: "kms://http@a;b:9600/kms"}
}

func TestURLString(t *testing.T) {
	if s := urlToken().URLString(); s != javas {
		t.Errorf("%s, want %s", s, javas)
	}
	if got, err := FromURLString(javas); err != nil || !got.Equal(urlToken()) {
		t.Errorf("%v, %v", got, err)
	}
	for what, s := range map[string]string{"empty": "", "cut short": javas[:100], "longer": javas + "AAAA", "no base 64": "###", "too long": strings.Repeat("A", maxSize+1)} {
		if got, err := FromURLString(s); err == nil || len(s) > 4 && len(s) < 1000 && strings.Contains(err.Error(), s[:4]) {
			t.Errorf("%s: %v, %v", what, got, err)
		}
	}
}

func FuzzFromURLString(f *testing.F) {
	f.Add(javas)
	f.Fuzz(func(t *testing.T, s string) {
		tok, err := FromURLString(s)
		if err != nil {
			return
		}
		if back, err := FromURLString(tok.URLString()); err != nil || !back.Equal(tok) {
			t.Errorf("%v, %v", back, err)
		}
	})
}
