package conf

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Limits on what is read. Real site files have tens of kilobytes.
const (
	maxFileSize     = 8 << 20  // bytes of one file
	maxTotalSize    = 32 << 20 // bytes of all files, includes counted each time
	maxFiles        = 128
	maxIncludeDepth = 8
	maxElementDepth = 16
	maxProperties   = 100_000
	maxValue        = 1 << 20 // bytes of one value
)

var errLongValue = fmt.Errorf("a value has more than %d bytes", maxValue)

// parser adds site files to a configuration. The limits count over all files.
type parser struct {
	conf       *Conf
	classpath  []string // directories for an include that is no path
	finals     map[string]bool
	stack      []string // files being read, outermost first
	total      int
	properties int
}

// file reads one site file into the configuration.
func (p *parser) file(path string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return &ParseError{File: path, Err: err}
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		abs = real
	}
	if slices.Contains(p.stack, abs) {
		return &ParseError{File: path, Err: errors.New("the file includes itself, directly or through others")}
	}
	if len(p.stack) > maxIncludeDepth {
		return &ParseError{File: path, Err: fmt.Errorf("includes are nested more than %d deep", maxIncludeDepth)}
	}
	data, err := p.read(path)
	if err != nil {
		return &ParseError{File: path, Err: err}
	}
	p.conf.files = append(p.conf.files, path)
	p.stack = append(p.stack, abs)
	defer func() { p.stack = p.stack[:len(p.stack)-1] }()
	d := document{parser: p, path: path, dec: xml.NewDecoder(bytes.NewReader(data))}
	d.dec.CharsetReader = charsetReader
	if err := d.parse(); err != nil {
		if inner := (*ParseError)(nil); errors.As(err, &inner) {
			return err // of an included file, which it names already
		}
		line, _ := d.dec.InputPos()
		return &ParseError{File: path, Line: line, Err: err}
	}
	return nil
}

func (p *parser) read(path string) ([]byte, error) {
	if len(p.conf.files) >= maxFiles {
		return nil, fmt.Errorf("more than %d files", maxFiles)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && !st.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, err
	}
	p.total += len(data)
	if len(data) > maxFileSize || p.total > maxTotalSize {
		return nil, fmt.Errorf("more than %d bytes in a file or %d in all files", maxFileSize, maxTotalSize)
	}
	return data, nil
}

// document is one file on its way through the decoder. It mirrors
// Configuration.Parser: elements are known by their local name wherever they
// stand, unknown ones are passed over, and text counts only inside the leaf
// elements of a property.
type document struct {
	*parser
	path  string
	dec   *xml.Decoder
	depth int

	inLeaf   bool
	text     strings.Builder
	name     string
	value    string
	hasValue bool
	final    bool
	line     int

	includes []include // the xi:include elements around the current one
}

// include is an open xi:include element. Of its content only an xi:fallback
// counts, and that only when the file was missing.
type include struct {
	missing  string // href, when no such file exists
	fellBack bool   // an xi:fallback was seen
}

// skipping reports whether the current element stands in the fallback of an
// include that was found.
func (d *document) skipping() bool {
	return slices.ContainsFunc(d.includes, func(i include) bool { return i.missing == "" })
}

// innermost returns the innermost open include, or a throw-away one.
func (d *document) innermost() *include {
	if len(d.includes) == 0 {
		return new(include)
	}
	return &d.includes[len(d.includes)-1]
}

func (d *document) parse() error {
	sawRoot := false
	for {
		tok, err := d.dec.Token()
		if err == io.EOF {
			if !sawRoot {
				return errors.New("no <configuration> element")
			}
			return nil
		}
		if err != nil {
			return err
		}
		switch t := tok.(type) {
		case xml.Directive:
			return errors.New("a DOCTYPE or other declaration is not allowed in a site file")
		case xml.StartElement:
			if !sawRoot && t.Name.Local != "configuration" {
				return fmt.Errorf("the top element is <%s>, not <configuration>", t.Name.Local)
			}
			sawRoot = true
			if d.depth++; d.depth > maxElementDepth {
				return fmt.Errorf("elements are nested more than %d deep", maxElementDepth)
			}
			if err := d.start(t); err != nil {
				return err
			}
		case xml.CharData:
			if d.inLeaf {
				if d.text.Len()+len(t) > maxValue {
					return errLongValue
				}
				d.text.Write(t)
			}
		case xml.EndElement:
			d.depth--
			if err := d.end(t.Name.Local); err != nil {
				return err
			}
		}
	}
}

func (d *document) start(t xml.StartElement) error {
	switch t.Name.Local {
	case "property":
		d.name, d.value, d.hasValue, d.final = "", "", false, false
		d.line, _ = d.dec.InputPos()
		for _, a := range t.Attr { // the short form <property name="" value=""/>
			if len(a.Value) > maxValue {
				return errLongValue
			}
			switch a.Name.Local {
			case "name":
				d.name = a.Value
			case "value":
				d.value, d.hasValue = a.Value, true
			case "final":
				d.final = a.Value == "true"
			}
		}
	case "name", "value", "final", "source", "tag":
		d.inLeaf = true
		d.text.Reset()
	case "include":
		return d.include(t)
	case "fallback":
		d.innermost().fellBack = true
	}
	return nil
}

func (d *document) end(element string) error {
	text := d.text.String()
	switch element {
	case "name":
		if text != "" {
			d.name = strings.TrimSpace(text)
		}
	case "value":
		if text != "" {
			d.value, d.hasValue = text, true
		}
	case "final":
		d.final = text == "true"
	case "property":
		return d.property()
	case "include":
		inc := *d.innermost()
		d.includes = d.includes[:len(d.includes)-1]
		if inc.missing != "" && !inc.fellBack {
			return fmt.Errorf("included file %q does not exist and there is no <xi:fallback>", inc.missing)
		}
	}
	d.inLeaf = false
	return nil
}

func (d *document) property() error {
	if d.name == "" || d.skipping() {
		return nil
	}
	if d.properties++; d.properties > maxProperties {
		return fmt.Errorf("more than %d properties", maxProperties)
	}
	origin := fmt.Sprintf("%s:%d", d.path, d.line)
	key := successor(d.name)
	if d.hasValue && !d.finals[key] {
		d.conf.props[key] = property{raw: d.value, origin: origin}
	}
	d.finals[key] = d.finals[key] || d.final
	return nil
}

// include reads the file that xi:include names in place. Java also follows
// http and every other URL that the JVM knows; here only local files are.
func (d *document) include(t xml.StartElement) error {
	href, skipping := "", d.skipping()
	d.includes = append(d.includes, include{})
	for _, a := range t.Attr {
		switch {
		case a.Name.Local == "href":
			href = a.Value
		case a.Name.Local == "parse" && a.Value != "xml":
			return fmt.Errorf("xi:include with parse=%q is not supported", a.Value)
		case a.Name.Local == "xpointer":
			return errors.New("xi:include with xpointer is not supported")
		}
	}
	if href == "" || skipping {
		return nil
	}
	path, err := d.localPath(href)
	if err != nil {
		return err
	}
	if path == "" {
		d.innermost().missing = href
		return nil
	}
	return d.file(path)
}

// localPath turns an include's href into the path of an existing file, or ""
// when there is none. A relative name is looked for on the class path, which
// is the configuration directories, then beside the including file.
func (d *document) localPath(href string) (string, error) {
	path := href
	if u, err := url.Parse(href); err == nil && u.Scheme != "" {
		if u.Scheme != "file" || (u.Host != "" && u.Host != "localhost") {
			return "", fmt.Errorf("included %q is not a local file", href)
		}
		path = u.Path
		if path == "" {
			path = u.Opaque
		}
	}
	candidates := []string{path}
	if !filepath.IsAbs(path) {
		candidates = candidates[:0]
		for _, dir := range append(slices.Clone(d.classpath), filepath.Dir(d.path)) {
			candidates = append(candidates, filepath.Join(dir, path))
		}
	}
	for _, c := range candidates {
		if _, err := os.Stat(c); err == nil {
			return c, nil
		}
	}
	return "", nil
}

// charsetReader admits the encodings that are subsets of, or trivially turned
// into, UTF-8.
func charsetReader(charset string, r io.Reader) (io.Reader, error) {
	switch strings.ToLower(charset) {
	case "us-ascii", "ascii":
		return r, nil
	case "iso-8859-1", "latin1", "iso8859-1":
		data, err := io.ReadAll(io.LimitReader(r, maxFileSize))
		if err != nil {
			return nil, err
		}
		runes := make([]rune, len(data))
		for i, b := range data {
			runes[i] = rune(b)
		}
		return strings.NewReader(string(runes)), nil
	}
	return nil, fmt.Errorf("encoding %q is not supported; save the file as UTF-8", charset)
}
