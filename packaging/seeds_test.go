package packaging

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// smallELF is a program with one segment of code; dynamic ones name a linker.
func smallELF(machine elf.Machine, dynamic bool) []byte {
	h := elf.Header64{Ident: [16]byte{0x7f, 'E', 'L', 'F', 2, 1, 1}, Type: uint16(elf.ET_EXEC), Machine: uint16(machine),
		Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1, Shentsize: 64}
	progs := []elf.Prog64{{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_X | elf.PF_R), Filesz: 64, Memsz: 64}}
	interp := "/lib64/ld-linux-x86-64.so.2\x00"
	if dynamic {
		h.Phnum = 2
		progs = append(progs, elf.Prog64{Type: uint32(elf.PT_INTERP), Off: 64 + 2*56, Filesz: uint64(len(interp))})
	}
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, h)
	binary.Write(&b, binary.LittleEndian, progs)
	b.WriteString(interp)
	return b.Bytes()
}

// TestSeeds looks whether the seeds that nobody can type are there, and writes them
// where WRITE_SEEDS is set.
func TestSeeds(t *testing.T) {
	seed := func(target, name string, values ...string) {
		text := "go test fuzz v1\n"
		for _, v := range values {
			text += v + "\n"
		}
		dir := filepath.Join("testdata", "fuzz", target)
		if os.Getenv("WRITE_SEEDS") == "" {
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				t.Errorf("%v: run WRITE_SEEDS=1 go test -run TestSeeds", err)
			}
			return
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	quote := func(b []byte) string { return fmt.Sprintf("[]byte(%q)", b) }
	seed("FuzzELF", "static", quote(smallELF(elf.EM_X86_64, false)))
	seed("FuzzELF", "dynamic", quote(smallELF(elf.EM_X86_64, true)))
	seed("FuzzELF", "cut", quote(smallELF(elf.EM_AARCH64, true)[:100]))
	seed("FuzzELF", "sparc", quote(smallELF(elf.EM_SPARC, false)))
	env := []item{fileEntry("bin/python", string(smallELF(elf.EM_X86_64, true))), fileEntry("pyvenv.cfg", "version = 3.11.7\n"),
		linkEntry("lib64", "lib"), fileEntry("lib/python3.11/site-packages/x.pth", "/src\n"), fileEntry(ManifestName, `{"kind":"yarnd-environment"}`)}
	seed("FuzzInspect", "tar", quote(tarGz(t, env...)))
	seed("FuzzInspect", "zip", quote(zipped(t, env...)))
	seed("FuzzInspect", "hidden", quote(rawZip("", same("a", ""), rawEntry{local: "../x", body: "x", hidden: true})))
	seed("FuzzUnpack", "overlap", "bool(true)", quote(rawZip("", rawEntry{local: "a", central: "a", body: string(rawZip("", same("b", "")))}, rawEntry{local: "b", central: "b", at: 31})))
	seed("FuzzUnpack", "name", "bool(true)", quote(rawZip("", rawEntry{local: "../x", central: "a"})))
	seed("FuzzManifest", "more", quote([]byte(`{"kind":"yarnd-environment","version":7,"future":true}`)))
	seed("FuzzVenv", "activate", quote([]byte("VIRTUAL_ENV='/v'\n#!/v/bin/python\n")))
	seed("FuzzIndex", "later", quote([]byte(`{"version":9,"files":{"/a":{}}}`)))
	seed("FuzzSpec", "fragment", `string("hdfs://n/a#b/c#d")`)
}
