package login

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What docs/kerberos.md says that errors say is what the sources say. "..." stands for what differs.
func TestPageQuotesErrors(t *testing.T) {
	var sources strings.Builder
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		sources.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/kerberos.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| it says | why | do |\n|---|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := strings.Split(table, "\n")
	if len(rows) < 10 {
		t.Fatalf("%d rows", len(rows))
	}
	theirs := regexp.MustCompile(`^token$|can't be found in cache|^GSS initiate failed$`) // Hadoop's
	for _, row := range rows {
		quoted := regexp.MustCompile("^\\| `([^`]+)`").FindStringSubmatch(row)
		if quoted == nil {
			t.Errorf("no error in %q", row)
			continue
		}
		for _, part := range strings.Split(quoted[1], "...") {
			if part = strings.TrimSpace(part); part != "" && !theirs.MatchString(part) && !strings.Contains(sources.String(), part) {
				t.Errorf("nothing says %q", part)
			}
		}
	}
}
