package main

import "testing"

// What was being launched counts, whether it was seen or not; who was killed on purpose or sent home does not.
func TestKept(t *testing.T) {
	for _, tc := range []struct {
		name     string
		do       func(*kept)
		now      []string
		kept, of int
	}{
		{"all stay", func(*kept) {}, []string{"a", "b", "c"}, 3, 3},
		{"one is lost", func(*kept) {}, []string{"a", "c", "d"}, 2, 3},
		{"one was a victim", func(k *kept) {}, []string{"a", "b", "v2"}, 2, 3},
		{"one was sent home, and stays", func(k *kept) { k.home["c"] = true }, []string{"a", "b", "c"}, 2, 2},
		{"one was sent home, another is lost", func(k *kept) { k.home["c"] = true }, []string{"a", "c"}, 1, 2},
		{"a launch that is seen stays", func(k *kept) { k.launched([]string{"a", "b", "c", "d"}) }, []string{"a", "b", "c", "d"}, 4, 4},
		{"a launch that is seen is lost", func(k *kept) { k.launched([]string{"a", "b", "c", "d"}) }, []string{"a", "b", "c", "e"}, 3, 4},
		{"a launch that nobody has seen", func(k *kept) { k.launched([]string{"a", "b", "c"}) }, []string{"a", "b", "c", "e"}, 3, 4},
		{"nobody is lost over two deaths", func(k *kept) { k.deaths = 2 }, []string{"a", "b", "c"}, 6, 6},
		{"one is lost over two deaths", func(k *kept) { k.deaths = 2 }, []string{"a", "b"}, 5, 6},
	} {
		k := newKept([]string{"a", "b", "c", "v"})
		tc.do(&k)
		if kept, of := k.count(tc.now, map[string]bool{"v": true}); kept != tc.kept || of != tc.of {
			t.Errorf("%s: %d of %d, want %d of %d", tc.name, kept, of, tc.kept, tc.of)
		}
	}
}
