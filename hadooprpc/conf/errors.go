package conf

import (
	"fmt"
	"strings"
)

// NotFoundError says that no usable configuration directory exists. Variable
// is the environment variable that named a bad directory, or empty when none
// was set and the usual places are empty.
type NotFoundError struct {
	Variable string
	Tried    []string
}

func (e *NotFoundError) Error() string {
	if e.Variable != "" {
		return fmt.Sprintf("no Hadoop configuration: %s points to %s, which holds no core-site.xml, hdfs-site.xml or yarn-site.xml; set it to the directory with the cluster's site files",
			e.Variable, strings.Join(e.Tried, ", "))
	}
	return fmt.Sprintf("no Hadoop configuration: looked in %s; set HADOOP_CONF_DIR to the directory with the cluster's core-site.xml and yarn-site.xml",
		strings.Join(e.Tried, ", "))
}

// ParseError is a site file that cannot be read as configuration. Line is 0
// when the failure belongs to no line.
type ParseError struct {
	File string
	Line int
	Err  error
}

func (e *ParseError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
}

func (e *ParseError) Unwrap() error { return e.Err }

// ValueError is a value that does not have the form its reader needs. Want
// describes that form in words.
type ValueError struct {
	Key    string
	Value  string
	Origin string
	Want   string
}

func (e *ValueError) Error() string {
	return fmt.Sprintf("%s = %q (set by %s) is not %s", e.Key, e.Value, e.Origin, e.Want)
}

// ExpandError is a value whose ${} references need more replacements than
// Hadoop makes, which in practice means that they form a cycle.
type ExpandError struct {
	Key    string
	Value  string
	Origin string
}

func (e *ExpandError) Error() string {
	return fmt.Sprintf("%s = %q (set by %s) needs more than %d replacements of ${}; look for a cycle among the keys it names",
		e.Key, e.Value, e.Origin, maxSubstitutions)
}
