package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"runtime/debug"
	"strings"
)

// stdlib is what databases of vulnerabilities call the standard library.
const stdlib = "stdlib"

// The parts of CycloneDX 1.6 that are used here (https://cyclonedx.org/docs/1.6/json).
type (
	bom struct {
		Schema       string       `json:"$schema"`
		Format       string       `json:"bomFormat"`
		Spec         string       `json:"specVersion"`
		Serial       string       `json:"serialNumber,omitempty"`
		Version      int          `json:"version"`
		Metadata     metadata     `json:"metadata"`
		Components   []component  `json:"components"`
		Dependencies []dependency `json:"dependencies"`
	}
	metadata struct {
		Component  component  `json:"component"`
		Properties []property `json:"properties"`
	}
	component struct {
		Ref        string         `json:"bom-ref"`
		Type       string         `json:"type"`
		Name       string         `json:"name"`
		Version    string         `json:"version"`
		Purl       string         `json:"purl"`
		Hashes     []contentHash  `json:"hashes,omitempty"`
		Licences   []licenceEntry `json:"licenses,omitempty"`
		Properties []property     `json:"properties,omitempty"`
	}
	contentHash struct {
		Algorithm string `json:"alg"`
		Content   string `json:"content"`
	}
	licenceEntry struct {
		Licence licenceID `json:"license"`
	}
	licenceID struct {
		ID string `json:"id"`
	}
	property struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	dependency struct {
		Ref string   `json:"ref"`
		On  []string `json:"dependsOn"`
	}
)

// document is the bill of a binary: info is what it says of itself, sum its SHA-256,
// licences the SPDX identifiers of each module's licences by its path. All modules are
// given as what the program depends on: which of them brought another one is not in the
// binary.
func document(info *debug.BuildInfo, version string, sum []byte, licences map[string][]string) ([]byte, error) {
	program := module("application", info.Main.Path, version, licences[info.Main.Path])
	program.Name = path.Base(info.Path)
	if sub, ok := strings.CutPrefix(info.Path, info.Main.Path+"/"); ok {
		program.Purl += "#" + sub
		program.Ref = program.Purl
	}
	program.Hashes = []contentHash{{"SHA-256", hex.EncodeToString(sum)}}
	doc := bom{
		Schema: "http://cyclonedx.org/schema/bom-1.6.schema.json", Format: "CycloneDX", Spec: "1.6", Version: 1,
		Metadata: metadata{Component: program, Properties: []property{{"go:version", info.GoVersion}}},
	}
	for _, s := range info.Settings {
		doc.Metadata.Properties = append(doc.Metadata.Properties, property{"go:build:" + s.Key, s.Value})
	}
	for _, m := range info.Deps {
		c := module("library", built(m).Path, built(m).Version, licences[m.Path])
		c.Properties = []property{{"go:sum", built(m).Sum}}
		doc.Components = append(doc.Components, c)
	}
	doc.Components = append(doc.Components, module("library", stdlib, strings.TrimPrefix(info.GoVersion, "go"), licences[stdlib]))

	on := dependency{Ref: program.Ref}
	for _, c := range doc.Components {
		on.On = append(on.On, c.Ref)
	}
	doc.Dependencies = []dependency{on}
	unnumbered, err := encode(doc)
	if err != nil {
		return nil, err
	}
	doc.Serial = serial(unnumbered)
	return encode(doc)
}

// built is the module that is in the binary, where go.mod replaces one by another.
func built(m *debug.Module) *debug.Module {
	if m.Replace != nil {
		return m.Replace
	}
	return m
}

// module is a Go module as a component. Its package URL is also the name by which the
// document refers to it.
func module(kind, path, version string, ids []string) component {
	purl := "pkg:golang/" + path + "@" + url.QueryEscape(version)
	c := component{Ref: purl, Type: kind, Name: path, Version: version, Purl: purl}
	for _, id := range ids {
		c.Licences = append(c.Licences, licenceEntry{licenceID{id}})
	}
	return c
}

// serial is a UUID of version 8 (RFC 9562: its maker's own kind) from what it numbers.
func serial(content []byte) string {
	sum := sha256.Sum256(content)
	u := sum[:16]
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

func encode(doc bom) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	err := e.Encode(doc)
	return b.Bytes(), err
}
