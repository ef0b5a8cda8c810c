package packaging

import (
	"bytes"
	"io"
)

// magics are the first bytes of forms that files are mistaken for archives in.
var magics = []struct {
	offset int
	bytes  string
	what   string
	format Format // what YARN would unpack it as, if it had the right name
}{
	{0, "\x1f\x8b", "gzip", TarGz},
	{0, "PK\x03\x04", "zip", Zip},
	{0, "PK\x05\x06", "zip", Zip},
	{0, "BZh", "bzip2", ""},
	{0, "\xfd7zXZ\x00", "xz", ""},
	{0, "\x28\xb5\x2f\xfd", "zstd", ""},
	{0, "7z\xbc\xaf\x27\x1c", "7z", ""},
	{0, "Rar!", "rar", ""},
	{0, "\x7fELF", "a Linux program", ""},
	{0, "#!", "a script", ""},
	{257, "ustar", "tar without compression", ""},
}

// contentOf tells what a file is by its first bytes; "" when it is nothing known.
func contentOf(head []byte) (what string, format Format) {
	for _, m := range magics {
		if len(head) > m.offset && bytes.HasPrefix(head[m.offset:], []byte(m.bytes)) {
			return m.what, m.format
		}
	}
	return "", ""
}

// checkContent refuses a file whose contents are not what its name says, since
// node managers go by the name alone.
func checkContent(r io.ReaderAt, named Format) error {
	head := make([]byte, 512)
	n, err := r.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return err
	}
	what, format := contentOf(head[:n])
	switch {
	case format == named:
		return nil
	case format != "":
		return refuse("", "rename it to end in ."+string(format), "its name says %s, its contents are %s", named, what)
	case what != "":
		return refuse("", "pack it as .tar.gz, .tgz or .zip", "its name says %s, its contents are %s", named, what)
	}
	return refuse("", "pack it as .tar.gz, .tgz or .zip", "its name says %s, its contents are of no known form (no gzip file, no zip file)", named)
}
