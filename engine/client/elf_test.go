package client_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
)

// staticELF returns a program without an interpreter, filled up to a length.
func staticELF(length int) []byte { return elfOf(elf.PT_LOAD, length) }

// dynamicELF returns a program that asks for a dynamic linker.
func dynamicELF() []byte { return elfOf(elf.PT_INTERP, 1<<10) }

func elfOf(segment elf.ProgType, length int) []byte {
	var b bytes.Buffer
	ident := [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)}
	put := func(v any) { _ = binary.Write(&b, binary.LittleEndian, v) } // memory does not fail
	put(elf.Header64{
		Ident: ident, Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT),
		Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
	})
	put(elf.Prog64{Type: uint32(segment), Filesz: 1, Memsz: 1, Align: 1})
	for b.Len() < length {
		b.WriteByte(byte(b.Len() >> 10))
	}
	return b.Bytes()
}
