package yarn

import (
	"testing"

	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

// Containers get the newest delegation tokens, and none of those that are the application master's alone.
func TestTokensOfContainers(t *testing.T) {
	creds := &token.Credentials{}
	creds.Add("", token.Token{Kind: token.KindAMRM, Password: []byte("am")})
	creds.Add("nn", token.Token{Kind: token.KindHDFS, Service: "nn", Password: []byte("old")})
	creds.Add("rm", token.Token{Kind: token.KindRM, Service: "rm", Password: []byte("rm")})
	p, err := New(Options{Scheduler: []string{"127.0.0.1:1"}, Credentials: creds, Secure: true, User: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	newer := &token.Credentials{}
	newer.Add("x", token.Token{Kind: token.KindHDFS, Service: "nn", Password: []byte("new")})
	p.SetTokens(newer)
	for role, want := range map[spec.Role]int{spec.RoleWorker: 1, spec.RoleScheduler: 1, spec.RoleDriver: 2} {
		launch, err := p.launchContext(&spec.Pool{Name: "p", Role: role}, map[string][]byte{"join": []byte("secret")})
		if err != nil {
			t.Fatal(err)
		}
		got, err := token.Parse(launch.Tokens)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Tokens) != want || string(got.Tokens["nn"].Password) != "new" || string(got.Secrets["join"]) != "secret" {
			t.Errorf("%s gets %v", role, got)
		}
		for _, e := range launch.Environment {
			if e.GetKey() == "HADOOP_USER_NAME" {
				t.Errorf("%s is told a name, where none is believed", role)
			}
		}
	}
	if len(creds.Tokens) != 3 || string(creds.Tokens["nn"].Password) != "old" {
		t.Errorf("the caller's credentials were changed: %v", creds)
	}
}
