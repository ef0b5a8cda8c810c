package cli

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestJSONItems: what a line of JSON says is what the function gets, and back.
func TestJSONItems(t *testing.T) {
	l := newLines(strings.NewReader("5\n-1.5\n\"a\"\n[1,{\"b\":null}]\n9007199254740993\nno\n7\n"))
	var got []any
	for v := range values(l) {
		got = append(got, v)
	}
	if b, err := json.Marshal(got); err != nil || string(b) != `[5,-1.5,"a",[1,{"b":null}],9007199254740993]` {
		t.Errorf("%s, %v", b, err)
	}
	if _, ok := got[0].(int64); !ok {
		t.Errorf("5 is a %T", got[0])
	}
	if l.err == nil || !strings.Contains(l.err.Error(), `item 6, "no", is no JSON`) {
		t.Errorf("%v", l.err)
	}
	if _, err := parseValue("1 2"); err == nil {
		t.Error("two values in one line")
	}
	back := plain(map[any]any{int64(1): []any{map[any]any{"x": 2.5}}})
	if b, err := json.Marshal(back); err != nil || string(b) != `{"1":[{"x":2.5}]}` {
		t.Errorf("%s, %v", b, err)
	}
	env := mapOptions{dir: "/here", env: map[string]string{"PYTHONPATH": "/there"}}.pythonEnv()
	if env["PYTHONPATH"] != "/here:/there" {
		t.Error(env)
	}
	for _, ref := range []string{"", "m", ":f", "m:", "m:f:g"} {
		if checkPython(ref) == nil {
			t.Errorf("%q is a function", ref)
		}
	}
}
