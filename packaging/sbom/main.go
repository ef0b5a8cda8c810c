// Command sbom writes the software bill of materials of a Go binary: CycloneDX 1.6,
// JSON, to standard output.
//
//	go run ./packaging/sbom -version VERSION BINARY
//	go run ./packaging/sbom -notices BINARY
//
// The latter writes the texts of the licences, and the notices, of all that the binary is made of.
//
// The list of modules is the binary's own (what `go version -m` prints), so that nothing
// is named that is not in it and nothing left out. Licences are those of the texts in the
// modules' folders. The same binary gives the same bytes: there is no time in them, and
// the serial number is made from the rest.
//
// # Why a program of our own
//
// cyclonedx-gomod v1.10.0 reads binaries too, but what it says of licences is wrong
// (golang.org/x is BSD-Source-Code to it, klauspost/compress Apache-2.0 alone), it asks
// the module proxy for the module that is being released, and it writes a hash of itself,
// which is another one on another machine. syft, which recognizes licences by the library
// that is used here, writes the time and a random number, and brings more than a hundred modules.
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
)

func main() {
	version := flag.String("version", "", "the version that is released")
	texts := flag.Bool("notices", false, "write licences and notices instead")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: sbom -version VERSION BINARY, or sbom -notices BINARY")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 || *texts == (*version != "") {
		flag.Usage()
		os.Exit(2)
	}
	write := func(out io.Writer, path string) error { return run(out, path, *version) }
	if *texts {
		write = writeNotices
	}
	if err := write(os.Stdout, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// run writes the bill of the binary at path. It is run in the module that the binary was
// built from.
func run(out io.Writer, path, version string) error {
	info, err := read(path)
	if err != nil {
		return err
	}
	sum, err := hash(path)
	if err != nil {
		return err
	}
	licences, err := licencesOf(info)
	if err != nil {
		return err
	}
	doc, err := document(info, version, sum, licences)
	if err != nil {
		return err
	}
	_, err = out.Write(doc)
	return err
}

// read is what a binary says that it is made of.
func read(path string) (*debug.BuildInfo, error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read what %s is made of: %w. Give it a binary that Go has built", path, err)
	}
	return info, nil
}

// hash is the SHA-256 of a file.
func hash(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return h.Sum(nil), nil
}
