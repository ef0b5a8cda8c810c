package packaging

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// rawZip writes a zip whose parts need not agree: for each entry a local header
// with the first name and a line of the directory with the second and an offset.
type rawEntry struct {
	local, central string
	body           string
	hidden         bool // not in the directory
	at             int  // offset in the directory, where not its own; 0 is its own
}

func rawZip(before string, entries ...rawEntry) []byte {
	var b, dir bytes.Buffer
	b.WriteString(before)
	n := 0
	for _, e := range entries {
		at := b.Len()
		b.WriteString("PK\x03\x04" + strings.Repeat("\x00", 14))
		binary.Write(&b, binary.LittleEndian, []uint32{uint32(len(e.body)), uint32(len(e.body))})
		binary.Write(&b, binary.LittleEndian, []uint16{uint16(len(e.local)), 0})
		b.WriteString(e.local + e.body)
		if e.hidden {
			continue
		}
		if e.at != 0 {
			at = e.at
		}
		n++
		dir.WriteString("PK\x01\x02\x14\x03" + strings.Repeat("\x00", 14))
		binary.Write(&dir, binary.LittleEndian, []uint32{uint32(len(e.body)), uint32(len(e.body))})
		binary.Write(&dir, binary.LittleEndian, []uint16{uint16(len(e.central)), 0, 0, 0, 0})
		binary.Write(&dir, binary.LittleEndian, []uint32{0o100644 << 16, uint32(at)})
		dir.WriteString(e.central)
	}
	start := b.Len()
	b.Write(dir.Bytes())
	b.WriteString("PK\x05\x06\x00\x00\x00\x00")
	binary.Write(&b, binary.LittleEndian, []uint16{uint16(n), uint16(n)})
	binary.Write(&b, binary.LittleEndian, []uint32{uint32(dir.Len()), uint32(start)})
	b.WriteString("\x00\x00")
	return b.Bytes()
}

func same(name, body string) rawEntry { return rawEntry{local: name, central: name, body: body} }

// A zip that another reader would see other entries in is refused, and so is one
// whose entries share bytes.
func TestZipLayout(t *testing.T) {
	inner := rawZip("", same("b", ""))
	for name, tc := range map[string]struct {
		data []byte
		want string // "" is sound
	}{
		"sound":        {rawZip("", same("a", ""), same("b", "")), ""},
		"another name": {rawZip("", rawEntry{local: "../x", central: "a"}), "another reader"},
		"hidden":       {rawZip("", same("a", ""), rawEntry{local: "../x", body: "x", hidden: true}, same("b", "")), "another reader"},
		"hidden last":  {rawZip("", same("a", ""), rawEntry{local: "../x", body: "x", hidden: true}), "between the last entry"},
		"prefix":       {rawZip("PK\x03\x04 and so on, forty bytes of something", same("a", "")), "another reader"},
		"overlap":      {rawZip("", rawEntry{local: "a", central: "a", body: string(inner)}, rawEntry{local: "b", central: "b", at: 31}), "overlap"},
		"same bytes":   {rawZip("", same("a", "x"), rawEntry{local: "a", central: "b", body: "x", at: 0x7fffffff}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			file := write(t, t.TempDir()+"/a.zip", tc.data)
			_, err := InspectArchive(t.Context(), file, Limits{})
			switch {
			case name == "same bytes":
				if err == nil {
					t.Error("an offset outside the file was accepted")
				}
			case tc.want == "" && err != nil, tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

// Zips as common programs write them pass: with descriptors, with extra fields,
// with entries stored as they are.
func TestZipVariants(t *testing.T) {
	var b bytes.Buffer
	zw := zip.NewWriter(&b)
	for i, h := range []*zip.FileHeader{
		{Name: "deflated", Method: zip.Deflate}, {Name: "stored", Method: zip.Store},
		{Name: "extra", Method: zip.Deflate, Extra: []byte{0x75, 0x70, 4, 0, 1, 2, 3, 4}, Modified: packTime},
	} {
		w, err := zw.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(bytes.Repeat([]byte{byte(i)}, 1000))
	}
	w, err := zw.CreateRaw(&zip.FileHeader{Name: "raw", CompressedSize64: 1, UncompressedSize64: 1, CRC32: 0xd3d99e8b})
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte("A"))
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := InspectArchive(t.Context(), write(t, t.TempDir()+"/a.zip", b.Bytes()), Limits{}); err != nil {
		t.Error(err)
	}
}

func TestArchiveLimitOfEntries(t *testing.T) {
	var items []item
	for _, c := range "abcdefgh" {
		items = append(items, fileEntry(string(c), ""))
	}
	for _, name := range []string{"a.zip", "a.tgz"} {
		data := map[string][]byte{"a.zip": zipped(t, items...), "a.tgz": tarGz(t, items...)}[name]
		_, err := InspectArchive(t.Context(), write(t, t.TempDir()+"/"+name, slices.Clone(data)), Limits{Entries: 7})
		if err == nil || !strings.Contains(err.Error(), "more than 7 entries") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
