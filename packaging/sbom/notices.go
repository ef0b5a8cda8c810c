package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
)

// notices is what the licences of a binary's modules want to be passed on with it: their texts, and the notices beside them,
// of each module and of the standard library, by path. The program's own is not among them.
func notices(info *debug.BuildInfo, dirs map[string]string) ([]byte, error) {
	versions := map[string]string{stdlib: info.GoVersion}
	for _, m := range info.Deps {
		versions[m.Path] = m.Version
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "What %s is made of, by whom, and on what terms. Each part is followed by its own words.\n", info.Path)
	for _, path := range slices.Sorted(maps.Keys(dirs)) {
		if path == info.Main.Path {
			continue
		}
		texts, err := textsIn(dirs[path], "LICENSE", "LICENCE", "COPYING", "NOTICE", "PATENTS")
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&out, "\n%s\n%s %s\n", strings.Repeat("=", 100), path, versions[path])
		for _, text := range texts {
			fmt.Fprintf(&out, "\n%s\n", bytes.TrimSpace(text))
		}
	}
	return out.Bytes(), nil
}

// writeNotices writes the notices of the binary at path.
func writeNotices(out io.Writer, path string) error {
	info, err := read(path)
	if err != nil {
		return err
	}
	dirs, err := folders(info)
	if err != nil {
		return err
	}
	text, err := notices(info, dirs)
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}
