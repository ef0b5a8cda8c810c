package edgeclient

import (
	"errors"
	"strings"
	"testing"
)

func TestRequestCheck(t *testing.T) {
	if err := (Request{}).withDefaults().check(); err != nil {
		t.Fatalf("the zero request is refused: %v", err)
	}
	for name, x := range map[string]struct {
		change func(*Request)
		says   string
	}{
		"workers below 0":      {func(r *Request) { r.Workers = -1 }, "--workers 0 to 10000"},
		"too many workers":     {func(r *Request) { r.Workers = MaxWorkers + 1 }, "--workers"},
		"less than none":       {func(r *Request) { r.WorkersPerNode = -1 }, "--worker-max-per-node"},
		"no vcores":            {func(r *Request) { r.Worker.VCores = -1 }, "--worker-vcores"},
		"memory of a byte":     {func(r *Request) { r.Scheduler.Memory = 1 }, "--scheduler-memory"},
		"control character":    {func(r *Request) { r.Name = "a\x1bb" }, "--name"},
		"long name":            {func(r *Request) { r.Name = strings.Repeat("x", 201) }, "--name"},
		"tag with a space":     {func(r *Request) { r.Tags = []string{"a b"} }, "tags"},
		"variable with a dash": {func(r *Request) { r.EnvVars = map[string]string{"A-B": "c"} }, "A-B"},
		"the master's too":     {func(r *Request) { r.AMEnv = map[string]string{"A-B": "c"} }, "--am-env"},
		"negative idle time":   {func(r *Request) { r.IdleTimeout = -1 }, "negative"},
		"wait for nothing":     {func(r *Request) { r.Wait = WaitWorkers }, "--wait workers:N"},
		"unknown wait":         {func(r *Request) { r.Wait = "long" }, "--wait none|accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			r := Request{}.withDefaults()
			x.change(&r)
			err := r.check()
			if CodeOf(err) != Usage || !strings.Contains(err.Error(), x.says) {
				t.Errorf("got %v (code %d), want a usage error that says %q", err, CodeOf(err), x.says)
			}
		})
	}
}

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]int64{
		"256MiB": 256 << 20, "256m": 256 << 20, "4g": 4 << 30, "1.5GiB": 3 << 29, " 2 GiB": 2 << 30, "1TB": 1 << 40, "1048576": 1 << 20, "0": 0,
	} {
		if got, err := ParseBytes(text); err != nil || got != want {
			t.Errorf("ParseBytes(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "g", "-1g", "4x", "1e400g", "nan", "NaNg", "inf", "300", "99999999999999t", "0x10m"} {
		if got, err := ParseBytes(text); err == nil {
			t.Errorf("ParseBytes(%q) = %d, want an error", text, got)
		}
	}
}

func FuzzParseBytes(f *testing.F) {
	for _, s := range []string{"256MiB", "1.5g", "", "-0", "9e18", "1e-5t"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseBytes(s)
		if err != nil {
			return
		}
		if n < 0 {
			t.Fatalf("ParseBytes(%q) = %d", s, n)
		}
		FormatBytes(n)
	})
}

func TestFormatBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0B", 1023: "1023B", 1 << 10: "1KiB", 256 << 20: "256MiB", 3 << 29: "1.5GiB", 5 << 40: "5TiB"} {
		if got := FormatBytes(n); got != want {
			t.Errorf("FormatBytes(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestFaultCodeAndWords(t *testing.T) {
	inner := &Fault{Code: Auth, What: "a", Why: errors.New("b.\n"), Next: "Do c"}
	if got := inner.Error(); got != "a: b. Do c" {
		t.Errorf("got %q", got)
	}
	if err := wrap(Internal, "outer", inner, ""); CodeOf(err) != Auth {
		t.Errorf("wrapping hid the code: %d", CodeOf(err))
	}
	if CodeOf(errors.New("x")) != Internal || CodeOf(nil) != OK {
		t.Error("codes of a plain error and of none")
	}
}
