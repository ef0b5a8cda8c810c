package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestParseOptions(t *testing.T) {
	o, err := parseOptions([]string{"--shape", "transfer", "--size", "3K", "--tasks=4"}, nil)
	if err != nil || o.size != 3<<10 || o.tasks != 4 || o.workers != 2 || o.memory != 256*mib || o.repeats != 1 || o.api != apiInner {
		t.Errorf("%+v, %v", o, err)
	}
	o, err = parseOptions([]string{"--shape", "merge_slow"}, nil)
	if err != nil || o.tasks != 200 || o.duration != 10*time.Millisecond {
		t.Errorf("%+v, %v", o, err)
	}
	o, err = parseOptions([]string{"--shape", "merge_slow", "--duration", "0"}, nil)
	if err != nil || o.duration != 0 {
		t.Errorf("a zero that was given: %+v, %v", o, err)
	}
}

func TestWrongOptions(t *testing.T) {
	for _, k := range []struct {
		args, want string
	}{
		{"", "either --shape or --graph is needed"},
		{"--shape map --graph x", "either --shape or --graph is needed"},
		{"--shape nap", `no shape "nap"; there are map, merge`},
		{"--shape map more", `"more": there are flags only`},
		{"--shape map --nonsense", "flag provided but not defined"},
		{"--shape map --tasks many", "invalid value"},
		{"--shape map --tasks 0", "--tasks 0: from 1 to 4294967294"},
		{"--shape map --workers -1", "--workers -1: from 1"},
		{"--shape map --slots 5000", "--slots 5000: from 1 to 1024"},
		{"--shape map --repeats 0", "--repeats 0: from 1"},
		{"--shape map --size 5G", "a result has at most 4294967296 bytes"},
		{"--shape map --size 5X", "not a number of bytes"},
		{"--shape map --size 99999999999G", "not a number of bytes"},
		{"--shape map --duration 72h", "--duration 72h0m0s: from 0 to"},
		{"--shape map --memory 0", "--memory 0: a worker needs some"},
		{"--shape map --timeout 0", "more than 0"},
		{"--shape map --api fast", `--api "fast": inner, typed or range`},
		{"--shape merge --api range", "--api range: only shapes map and zero"},
		{"--shape map --api range --size 9", "without --size and --duration"},
		{"--shape gather --api typed", "--api typed: shape gather is not driven so"},
		{"--shape transfer --workers 1", "shape transfer needs two"},
		{"--shape true --stub", "--stub: shape true needs workers that work"},
		{"--shape true --size 9", "--size means nothing to shape true"},
		{"--shape python --duration 1s", "--duration means nothing to shape python"},
		{"--shape map --rows 9", "--rows means nothing to shape map"},
		{"--shape shuffle --rows 0", "--rows 0: from 1"},
		{"--shape shuffle --input x", "--input means nothing to shape shuffle"},
		{"--shape python --batch -1", "--batch -1: from 1"},
		{"--graph x --batch 5", "--batch means nothing to shape graph"},
		{"--shape wordcount --api typed", "--api typed: shape wordcount is not driven so"},
		{"--graph x --tasks 5", "--tasks: the graph's file says that"},
	} {
		if _, err := parseOptions(strings.Fields(k.args), nil); err == nil || !strings.Contains(err.Error(), k.want) {
			t.Errorf("%q: %v, want %s", k.args, err, k.want)
		}
	}
}

// The usage names every shape.
func TestHelp(t *testing.T) {
	var out strings.Builder
	if _, err := parseOptions([]string{"--help"}, &out); !errors.Is(err, errHelp) {
		t.Error(err)
	}
	for _, s := range shapes {
		if !strings.Contains(out.String(), "\n  "+s.name+" ") {
			t.Errorf("no shape %s in\n%s", s.name, out.String())
		}
	}
}
