package authtolocal

import (
	"strings"
	"testing"
)

// example is one row of the table: what Hadoop's own KerberosName makes of it too (see hadoop_test.go).
type example struct {
	rules, mechanism, principal string
	want                        string // "" where it is an error
}

const hadoopRules = `
  RULE:[2:$1@$0]([ndj]n@EXAMPLE\.COM)s/.*/hdfs/
  RULE:[2:$1@$0](rm@EXAMPLE.COM)s/.*/yarn/
  RULE:[1:$1@$0](.*@CORP)s/@.*///L
  DEFAULT`

var examples = []example{
	{"DEFAULT", "hadoop", "alice@EXAMPLE.COM", "alice"},
	{"DEFAULT", "hadoop", "alice", "alice"},
	{"DEFAULT", "hadoop", "alice/admin@EXAMPLE.COM", "alice"},
	{"DEFAULT", "hadoop", "alice@OTHER", ""},
	{"DEFAULT", "mit", "alice@OTHER", "alice@OTHER"},
	{"DEFAULT", "mit", "a/b@OTHER", "a/b@OTHER"},
	{"DEFAULT", "hadoop", "a/b/c@EXAMPLE.COM", ""},
	{"DEFAULT", "hadoop", "a/b/c", "a/b/c"},
	{"DEFAULT", "hadoop", "@EXAMPLE.COM", ""},
	{"DEFAULT", "hadoop", "alice/host", ""},
	{hadoopRules, "hadoop", "nn/host@EXAMPLE.COM", "hdfs"},
	{hadoopRules, "hadoop", "rm/host@EXAMPLE.COM", "yarn"},
	{hadoopRules, "hadoop", "nm/host@EXAMPLE.COM", "nm"},
	{hadoopRules, "hadoop", "Bob@CORP", "bob"},
	{hadoopRules, "hadoop", "bob/x@CORP", ""},
	{"RULE:[1:$1@$0](.*@CORP)s/@CORP//", "hadoop", "Bob@CORP", "Bob"},
	{"RULE:[1:$1]/L", "hadoop", "ALICE@X", "alice"},
	{"RULE:[1:$1]L", "hadoop", "ALICE@X", "alice"},
	{"RULE:[1:$1@$0]", "hadoop", "alice@X", ""},
	{"RULE:[1:$1@$0]", "mit", "alice@X", "alice@X"},
	{"RULE:[2:$2;$1](^.*;admin$)s/;admin$//", "hadoop", "admin/alice@X", "alice"},
	{"RULE:[2:$1;$2](^.*;admin$)s/;admin$//", "hadoop", "alice/admin@X", "alice"},
	{"RULE:[1:$1]s/a/o/", "hadoop", "banana@X", "bonana"},
	{"RULE:[1:$1]s/a/o/g", "hadoop", "banana@X", "bonono"},
	{"RULE:[1:$1]s/(.)(.)/$2$1/g", "hadoop", "abcd@X", "badc"},
	{"RULE:[1:$1]s/(.)b/$12/", "hadoop", "abc@X", "a2c"},
	{`RULE:[1:$1]s/b/\$1/`, "hadoop", "abc@X", "a$1c"},
	{"RULE:[1:$1]s/b/$2/", "hadoop", "abc@X", ""},
	{"RULE:[1:$3]", "hadoop", "abc@X", ""},
	{"RULE:[1:$]", "hadoop", "abc@X", ""},
	{"RULE:[1:x]", "hadoop", "abc@X", "x"},
	{"RULE:[1:$1](abc)", "hadoop", "abcd@X", ""},
	{"RULE:[1:$1](a|abc)", "hadoop", "abc@X", "abc"},
	{"RULE:[:$1]", "hadoop", "abc@X", ""},
	{"NONSENSE", "hadoop", "abc@X", ""},
	{"DEFAULTRULE:[1:$1]", "hadoop", "abc@X", "abc"},
	{"", "hadoop", "abc@X", ""},
	{"", "mit", "abc@X", "abc@X"},
}

func shortName(x example) (string, error) {
	r, err := Parse(x.rules, x.mechanism, "EXAMPLE.COM")
	if err != nil {
		return "", err
	}
	return r.ShortName(x.principal)
}

func TestShortName(t *testing.T) {
	for _, x := range examples {
		got, err := shortName(x)
		if got != x.want || (err == nil) != (x.want != "") {
			t.Errorf("%q, %s: %s is %q, %v; want %q", x.rules, x.mechanism, x.principal, got, err, x.want)
		}
	}
}

func TestRuleErrors(t *testing.T) {
	for rules, want := range map[string]string{
		"RULE:[1:$1](?=x)": "missing argument", `RULE:[1:$1](\1)`: "invalid escape", "RULE:[1:$1](a++)": "invalid nested repetition", "DEFAULT x": `no rule begins with " x"`,
	} {
		if _, err := Parse(rules, "hadoop", ""); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), keyRules) {
			t.Errorf("%s: %v, want %q", rules, err, want)
		}
	}
	if _, err := Parse("DEFAULT", "windows", ""); err == nil || !strings.Contains(err.Error(), "neither hadoop nor mit") {
		t.Error(err)
	}
	if r, err := Parse("DEFAULT", "hadoop", "R"); err != nil {
		t.Error(err)
	} else if _, err := r.ShortName("a@X"); err == nil || !strings.Contains(err.Error(), `no rule for a@X: the default realm is "R"`) {
		t.Error(err)
	}
}

func FuzzRules(f *testing.F) {
	for _, x := range examples {
		f.Add(x.rules, x.principal)
	}
	f.Fuzz(func(t *testing.T, rules, principal string) {
		for _, mechanism := range []string{"hadoop", "mit"} {
			name, err := shortName(example{rules, mechanism, principal, ""})
			if err == nil && mechanism == "hadoop" && strings.ContainsAny(name, "@") && strings.Contains(principal, "@") {
				t.Errorf("%q makes %q of %q", rules, name, principal)
			}
		}
	})
}
