package config

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// slowMerge is Merge as one would explain it: go through the layers from the last to
// the first, and let each overwrite what was there.
func slowMerge(layers []Layer) map[string]Entry {
	holds := map[string]Entry{}
	for _, l := range slices.Backward(layers) {
		for _, e := range l {
			holds[e.FullKey()] = e
		}
	}
	return holds
}

// Merge agrees with its slow twin on random layers.
func TestMergeAgainstTwin(t *testing.T) {
	for seed := range uint64(2000) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		layers := make([]Layer, rnd.IntN(9))
		for i := range layers {
			taken := map[string]bool{}
			for range rnd.IntN(12) {
				s := &Settings[rnd.IntN(len(Settings))]
				e := Entry{Key: s.Key, Values: []string{fmt.Sprint(rnd.IntN(100))}, Origin: Origin{Source: Source(i), Name: fmt.Sprint("layer ", i), Line: rnd.IntN(3)}}
				switch s.Kind.Shape {
				case Map:
					e.Sub = string(rune('A' + rnd.IntN(3)))
				case List:
					e.Values = make([]string, rnd.IntN(3))
				case Scalar:
				}
				if !taken[e.FullKey()] {
					taken[e.FullKey()] = true
					layers[i] = append(layers[i], e)
				}
			}
		}
		want := slowMerge(layers)
		got := Merge(layers...)
		all := got.All()
		if len(all) != len(want) {
			t.Fatalf("seed %d: %d entries, want %d", seed, len(all), len(want))
		}
		for i, e := range all {
			w := want[e.FullKey()]
			if !slices.Equal(e.Values, w.Values) || e.Origin != w.Origin {
				t.Fatalf("seed %d: %s is %v of %v, want %v of %v", seed, e.FullKey(), e.Values, e.Origin, w.Values, w.Origin)
			}
			if i > 0 && position(all[i-1].Key) > position(e.Key) {
				t.Fatalf("seed %d: %s comes after %s", seed, e.Key, all[i-1].Key)
			}
		}
	}
}

func position(key string) int {
	return slices.IndexFunc(Settings, func(s Setting) bool { return s.Key == key })
}

// An empty list says that there is nothing, and that counts.
func TestMergeEmptyList(t *testing.T) {
	r := Merge(Layer{{Key: "files"}}, Layer{{Key: "files", Values: []string{"a"}}})
	if got := r.Of("files"); len(got) != 1 || len(got[0].Values) != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestShownHasNoSecrets(t *testing.T) {
	for _, e := range []Entry{
		{Key: "worker.env", Sub: "AWS_SECRET_ACCESS_KEY", Values: []string{"hunter2"}},
		{Key: "worker.env", Sub: "DB_PASSWORD", Values: []string{"hunter2"}},
		{Key: "worker.env", Sub: "GITHUB_TOKEN", Values: []string{"hunter2"}},
		{Key: "worker.env", Sub: "DATABASE", Values: []string{"postgres://u:hunter2@db/x"}},
		{Key: HadoopKey, Sub: "fs.s3a.secret.key", Values: []string{"hunter2"}},
		{Key: HadoopKey, Sub: "fs.azure.sas.c.a", Values: []string{"hunter2"}},
		{Key: "files", Values: []string{"https://u:hunter2@host/x", "b"}},
		{Key: "worker.env", Sub: "PGURL", Values: []string{"://x:hunter2@\x01"}},
	} {
		if got := e.Shown(); got == "" || slices.Contains([]byte(got), '2') {
			t.Errorf("%s is shown as %q", e.FullKey(), got)
		}
	}
	plain := Entry{Key: "worker.env", Sub: "LANG", Values: []string{"C.UTF-8"}}
	if plain.Shown() != "C.UTF-8" {
		t.Errorf("LANG is shown as %q", plain.Shown())
	}
}
