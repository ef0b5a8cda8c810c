package edgeclient

import (
	"bytes"
	"encoding/xml"
	"regexp"

	"github.com/yarnd/yarnd/hadooprpc/conf"
)

// siteFile is the name of the Hadoop configuration that every container gets:
// the submitter's own, resolved and merged into one file, so that the
// application master, the workers and what they run find the cluster even on
// nodes without a configuration. HADOOP_CONF_DIR there is the container's
// directory.
const siteFile = "core-site.xml"

// secretKey matches properties that stay at home: the defaults of
// hadoop.security.sensitive-config-keys (core-default.xml), and wider.
var secretKey = regexp.MustCompile(`(?i)password|secret|credential|keystore\.pass|access[.-]?key|account\.key|encryption\.key|server-side-encryption\.key|\.key$|session\.token|refresh\.token|oauth.*token|token\.file|sas\b|sas\.|keytab|private`)

// siteXML writes what the site's files and -D set. Hadoop's defaults are left to
// the readers.
func siteXML(c *conf.Conf) ([]byte, error) {
	type property struct {
		Name  string `xml:"name"`
		Value string `xml:"value"`
	}
	doc := struct {
		XMLName    xml.Name   `xml:"configuration"`
		Properties []property `xml:"property"`
	}{}
	for k, v := range c.All() {
		if o := c.Origin(k); o == "" || o == "default" || secretKey.MatchString(k) {
			continue
		}
		doc.Properties = append(doc.Properties, property{k, v})
	}
	var b bytes.Buffer
	b.WriteString(xml.Header)
	enc := xml.NewEncoder(&b)
	enc.Indent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}
