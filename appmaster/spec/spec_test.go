package spec

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func sample() *Application {
	program := File{Name: "yarnd", URL: "hdfs://nn:8020/user/alice/.yarnd/cache/yarnd", Size: 1 << 20, ModTime: 1_700_000_000_123, Visibility: Private}
	return &Application{
		Version: Version, ID: "application_1700000000000_0001", Name: "nightly <etl> & more", User: "alice",
		Staging: "hdfs://nn:8020/user/alice/.yarnd/application_1700000000000_0001", IdleTimeout: Duration(90 * time.Minute), MaxAttempts: 4, Env: map[string]string{"KRB5_CONFIG": "/opt/krb5.conf"},
		Listen: Listen{Interface: "10.1.0.0/16", PortMin: 20000, PortMax: 20100},
		Pools: []Pool{
			{Name: "scheduler", Role: RoleScheduler, Count: 1, Resource: Resource{VCores: 1, MemoryMiB: 512}, Files: []File{program}},
			{Name: "gpu-1", Role: RoleWorker, Count: 20, Resource: Resource{VCores: 2, MemoryMiB: 2048, Named: map[string]int64{"yarn.io/gpu": 1}},
				Files: []File{program, {Name: "env", URL: "file:///tmp/env.tar.gz", Archive: true, Visibility: ApplicationOnly}},
				Env:   map[string]string{"OMP_NUM_THREADS": "2", "ODD": "a=b \"$HOME\" `x` \n {{PWD}}"}, MaxRestarts: -1, HealthyAfter: Duration(time.Second), NodeLabel: "gpu"},
		},
	}
}

func TestApplicationRoundTrip(t *testing.T) {
	data, err := sample().Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, sample()) {
		t.Errorf("came back as\n%+v", back)
	}
	for _, want := range []string{`"idleTimeout": "1h30m0s"`, `"modTime": 1700000000123`, `"nightly <etl> & more"`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("no %s in\n%s", want, data)
		}
	}
}

func TestDecodeIsStrict(t *testing.T) {
	good, err := sample().Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{
		"nothing":             "",
		"unknown field":       strings.Replace(string(good), `"user"`, `"colour": 1, "user"`, 1),
		"unknown pool field":  strings.Replace(string(good), `"role"`, `"colour": 1, "role"`, 1),
		"more after the end":  string(good) + "{}",
		"wrong type":          strings.Replace(string(good), `"count": 20`, `"count": "20"`, 1),
		"too long":            string(good) + strings.Repeat(" ", maxDocument),
		"no duration":         strings.Replace(string(good), "1h30m0s", "soon", 1),
		"fraction of a count": strings.Replace(string(good), `"count": 20`, `"count": 20.5`, 1),
	} {
		if _, err := Decode([]byte(data)); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	var version *VersionError
	_, err = Decode([]byte(`{"version": 99, "somethingNew": {}}`))
	if !errors.As(err, &version) || version.Got != 99 {
		t.Errorf("a later version: %v", err)
	}
}

func TestValidateNamesTheField(t *testing.T) {
	for field, change := range map[string]func(*Application){
		"version":                      func(a *Application) { a.Version = 2 },
		"id":                           func(a *Application) { a.ID = "app 1" },
		"name":                         func(a *Application) { a.Name = "a\nb" },
		"user":                         func(a *Application) { a.User = "" },
		"staging":                      func(a *Application) { a.Staging = "/tmp/x" },
		"idleTimeout":                  func(a *Application) { a.IdleTimeout = -1 },
		"maxAttempts":                  func(a *Application) { a.MaxAttempts = -1 },
		"env":                          func(a *Application) { a.Env = map[string]string{"": "x"} },
		"env[KRB5_CONFIG]":             func(a *Application) { a.Env = map[string]string{"KRB5_CONFIG": "\x00"} },
		"pools":                        func(a *Application) { a.Pools = nil },
		"listen.interface":             func(a *Application) { a.Listen = Listen{Host: "h", Interface: "eth0"} },
		"listen.host":                  func(a *Application) { a.Listen = Listen{Host: "h;x"} },
		"listen.portMin and portMax":   func(a *Application) { a.Listen = Listen{PortMin: 5} },
		"pools[1].name":                func(a *Application) { a.Pools[1].Name = "scheduler" },
		"pools[0].name":                func(a *Application) { a.Pools[0].Name = "A b" },
		"pools[0].role":                func(a *Application) { a.Pools[0].Role = "am" },
		"pools[0].count":               func(a *Application) { a.Pools[0].Count = 2 },
		"pools[1].count":               func(a *Application) { a.Pools[1].Count = -1 },
		"pools[1].resource.vcores":     func(a *Application) { a.Pools[1].Resource.VCores = 0 },
		"pools[1].resource.memoryMiB":  func(a *Application) { a.Pools[1].Resource.MemoryMiB = 0 },
		"pools[1].resource.named":      func(a *Application) { a.Pools[1].Resource.Named = map[string]int64{"yarn.io/gpu": 0} },
		"pools[1].args[1]":             func(a *Application) { a.Pools[1].Args = []string{"worker", "$(reboot)"} },
		"pools[1].env":                 func(a *Application) { a.Pools[1].Env = map[string]string{"A=B": ""} },
		"pools[1].env[A]":              func(a *Application) { a.Pools[1].Env = map[string]string{"A": "\x00"} },
		"pools[1].files":               func(a *Application) { a.Pools[1].Files = nil },
		"pools[1].files[1].name":       func(a *Application) { a.Pools[1].Files[1].Name = "../env" },
		"pools[1].files[0].name":       func(a *Application) { a.Pools[1].Files[0].Name = ".." },
		"pools[1].files[1].url":        func(a *Application) { a.Pools[1].Files[1].URL = "env.zip" },
		"pools[1].files[1].size":       func(a *Application) { a.Pools[1].Files[1].Size = -1 },
		"pools[1].files[1].modTime":    func(a *Application) { a.Pools[1].Files[1].ModTime = -1 },
		"pools[1].files[1].visibility": func(a *Application) { a.Pools[1].Files[1].Visibility = "" },
		"pools[1].maxRestarts":         func(a *Application) { a.Pools[1].MaxRestarts = -2 },
		"pools[1].healthyAfter":        func(a *Application) { a.Pools[1].HealthyAfter = -1 },
		"pools[1].nodeLabel":           func(a *Application) { a.Pools[1].NodeLabel = "a&&b" },
		"pools[1].maxPerNode":          func(a *Application) { a.Pools[1].MaxPerNode = -1 },
		"pools[0].maxPerNode":          func(a *Application) { a.Pools[0].MaxPerNode = 1 },
	} {
		a := sample()
		change(a)
		var bad *InvalidError
		if err := a.Validate(); !errors.As(err, &bad) || bad.Field != field {
			t.Errorf("%s: %v", field, err)
		}
		if _, err := a.Encode(); err == nil {
			t.Errorf("%s: a bad document was written", field)
		}
	}
	if err := sample().Validate(); err != nil {
		t.Errorf("the sample itself: %v", err)
	}
}

func TestCommandLines(t *testing.T) {
	p := Pool{Role: RoleWorker}
	if got, want := p.CommandLine(), "./yarnd worker 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	p.Args = []string{"worker", "--x=1"}
	if got, want := p.CommandLine(), "./yarnd worker --x=1 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func sampleLaunch() *Launch {
	return &Launch{
		Version: Version, App: "application_1700000000000_0001", User: "alice", Role: RoleWorker, Pool: "gpu-1", Container: "container_1", Node: "nm1", Epoch: 1<<32 | 7,
		Resource: Resource{VCores: 1, MemoryMiB: 512}, AM: []string{"nm1:4242"}, CA: "-----BEGIN CERTIFICATE-----", Staging: "hdfs://nn/x",
		Env: map[string]string{"ODD": "a=b \"$HOME\""},
	}
}

func TestLaunchRoundTrip(t *testing.T) {
	data, err := sampleLaunch().Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := DecodeLaunch(data)
	if err != nil || !reflect.DeepEqual(back, sampleLaunch()) {
		t.Errorf("came back as %+v, %v", back, err)
	}
	for name, change := range map[string]func(*Launch){
		"version": func(l *Launch) { l.Version = 0 }, "app": func(l *Launch) { l.App = "" }, "role": func(l *Launch) { l.Role = "am" },
		"pool": func(l *Launch) { l.Pool = "" }, "container": func(l *Launch) { l.Container = "" }, "am": func(l *Launch) { l.AM = nil },
		"ca": func(l *Launch) { l.CA = "" }, "env": func(l *Launch) { l.Env = map[string]string{"": ""} },
	} {
		l := sampleLaunch()
		change(l)
		if _, err := l.Encode(); err == nil {
			t.Errorf("bad %s was written", name)
		}
	}
}

func TestAddressRoundTrip(t *testing.T) {
	a := &Address{Version: Version, Attempt: 2, AM: []string{"nm1:1"}, Web: "http://nm1:2/", PID: 3}
	data, err := a.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if back, err := DecodeAddress(data); err != nil || !reflect.DeepEqual(back, a) {
		t.Errorf("%+v, %v", back, err)
	}
	if _, err := DecodeAddress([]byte(`{"version":1,"attempt":1,"am":[]}`)); err == nil {
		t.Error("an address without an address was accepted")
	}
}

// Whatever is accepted can be written again and is the same then.
func FuzzDecode(f *testing.F) {
	data, err := sample().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	launch, err := sampleLaunch().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(launch)
	f.Fuzz(func(t *testing.T, data []byte) {
		if a, err := Decode(data); err == nil {
			again, err := a.Encode()
			if err != nil {
				t.Fatalf("accepted, but cannot be written: %v", err)
			}
			if b, err := Decode(again); err != nil || !reflect.DeepEqual(normal(a), normal(b)) {
				t.Errorf("changed by a round trip (%v):\n%+v\n%+v", err, a, b)
			}
		}
		if l, err := DecodeLaunch(data); err == nil {
			if _, err := l.Encode(); err != nil {
				t.Errorf("accepted, but cannot be written: %v", err)
			}
		}
	})
}

// normal forgets the difference between an empty map or slice and none.
func normal(a *Application) *Application {
	for i := range a.Pools {
		p := &a.Pools[i]
		if len(p.Args) == 0 {
			p.Args = nil
		}
		if len(p.Env) == 0 {
			p.Env = nil
		}
		if len(p.Resource.Named) == 0 {
			p.Resource.Named = nil
		}
	}
	return a
}

// A driver asks the cluster, and who has nodes listed; an application of the plain kind does not.
func TestAsksTheCluster(t *testing.T) {
	plain := Application{Pools: []Pool{{Role: RoleScheduler}, {Role: RoleWorker}}}
	wide, driven := plain, plain
	wide.Pools = []Pool{{Role: RoleScheduler}, {Role: RoleWorker, MaxPerNode: 1}}
	driven.Pools = []Pool{{Role: RoleDriver}}
	if plain.AsksTheCluster() || !wide.AsksTheCluster() || !driven.AsksTheCluster() {
		t.Errorf("%v, %v, %v", plain.AsksTheCluster(), wide.AsksTheCluster(), driven.AsksTheCluster())
	}
}
