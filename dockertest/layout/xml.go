package layout

import (
	"bytes"
	"encoding/xml"
	"maps"
	"slices"
)

// Properties are the names and values of one site file.
type Properties map[string]string

// Conf is a configuration directory: properties by file name.
type Conf map[string]Properties

// The site files.
const (
	CoreSite          = "core-site.xml"
	HDFSSite          = "hdfs-site.xml"
	YarnSite          = "yarn-site.xml"
	MapredSite        = "mapred-site.xml"
	CapacityScheduler = "capacity-scheduler.xml"
	SSLServer         = "ssl-server.xml"
)

// XML returns p as Hadoop's Configuration class reads it, properties in order of their names, so that equal
// configurations are equal bytes.
func (p Properties) XML() []byte {
	var b bytes.Buffer
	b.WriteString("<?xml version=\"1.0\"?>\n<configuration>\n")
	for _, name := range slices.Sorted(maps.Keys(p)) {
		b.WriteString("  <property><name>")
		xml.EscapeText(&b, []byte(name)) // a bytes.Buffer takes everything: no error to look at
		b.WriteString("</name><value>")
		xml.EscapeText(&b, []byte(p[name]))
		b.WriteString("</value></property>\n")
	}
	b.WriteString("</configuration>\n")
	return b.Bytes()
}

// Files returns the bytes of every file in c's directory: the site files and log4j.properties.
func (c Conf) Files() map[string][]byte {
	files := map[string][]byte{"log4j.properties": []byte(log4j)}
	for name, properties := range c {
		files[name] = properties.XML()
	}
	return files
}

// log4j sends everything to the standard error, which a daemon's launcher points at its log file. A system property
// of the same name overrides the level.
const log4j = `hadoop.root.logger=INFO,console
log4j.rootLogger=${hadoop.root.logger}
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
`
