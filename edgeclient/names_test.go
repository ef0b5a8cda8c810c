package edgeclient

import (
	"fmt"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

// However many change the table at once, no change is lost, and one version is left.
func TestNamesAreChangedOneAfterTheOther(t *testing.T) {
	home := t.TempDir()
	f := hdfs.NewLocal(hdfs.LocalOptions{Home: home})
	t.Cleanup(func() { f.Close() })
	g, err := openRegistry(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	const writers, each = 6, 10
	var group errgroup.Group
	for w := range writers {
		group.Go(func() error {
			for i := range each {
				name, e := strconv.Itoa(i), entry{ID: fmt.Sprintf("application_1_%04d", w)}
				for {
					table, err := g.read(t.Context())
					if err != nil {
						return err
					}
					if now, ok := table.get(strconv.Itoa(w), name); ok {
						if now != e {
							return fmt.Errorf("%d/%s is %v", w, name, now)
						}
						break
					}
					if err := g.write(t.Context(), table.with(strconv.Itoa(w), name, e)); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	table, err := g.read(t.Context())
	if err != nil || table.version != writers*each || len(table.of) != writers || len(table.of["0"]) != each {
		t.Errorf("%+v, %v", table, err)
	}
	if left := names(t, filepath.Join(home, stagingRoot, namesDir)); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

// A version that comes late, of a number that was there and is gone, changes nothing.
func TestLateVersionOfNames(t *testing.T) {
	f := hdfs.NewLocal(hdfs.LocalOptions{Home: t.TempDir()})
	t.Cleanup(func() { f.Close() })
	g, err := openRegistry(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	var stale nameTable
	for i := range 3 {
		if err := g.write(t.Context(), nameTable{version: i}.with("c", "n", entry{ID: strconv.Itoa(i)})); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if stale, err = g.read(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := g.write(t.Context(), stale.with("c", "n", entry{ID: "late"})); err != nil {
		t.Fatal(err)
	}
	if now, err := g.read(t.Context()); err != nil || now.version != 3 || now.of["c"]["n"].ID != "2" {
		t.Errorf("%+v, %v", now, err)
	}
}
