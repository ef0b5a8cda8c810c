package edgeclient

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/yarnd/yarnd/hadooprpc/conf"
)

// Default is the application that is meant where none is named: the one that settings
// say, "" for none, or else the current one. Its error is a NotFound fault where there
// is neither.
func Default(setting string) (string, error) {
	if setting != "" {
		return setting, nil
	}
	id, err := Current()
	if CodeOf(err) == NotFound {
		return "", &Fault{Code: NotFound, What: "no application is named, and there is no current one",
			Next: "Name one, such as last, or run yarnd connect APP, or set YARND_APP; yarnd submit starts one"}
	}
	return id, err
}

// LocalInstead says why a program that names no application gets a cluster on this
// machine, and how to say otherwise: nothing says where applications run, and there is
// no Hadoop configuration, or it is this machine that was said. "" is that it does not.
func LocalInstead(opts Options) string {
	switch provider := cmp.Or(opts.Provider, os.Getenv("YARND_PROVIDER")); {
	case provider == "local":
		return "no application is named (APP, YARND_APP, yarnd connect)"
	case provider != "":
		return ""
	}
	if where := NoHadoop(opts); where != "" {
		return fmt.Sprintf("no application is named (APP, YARND_APP, yarnd connect), and no Hadoop configuration is in %s (HADOOP_CONF_DIR)", where)
	}
	return ""
}

// NoHadoop tells where a Hadoop configuration was looked for, if nothing at all speaks
// of one: no variable, no file, no property. Else it is "".
func NoHadoop(opts Options) (where string) {
	if len(opts.Define) > 0 || os.Getenv("HADOOP_HOME") != "" {
		return ""
	}
	_, err := conf.Load(conf.Options{})
	var none *conf.NotFoundError
	if !errors.As(err, &none) || none.Variable != "" {
		return ""
	}
	return strings.Join(none.Tried, ", ")
}
