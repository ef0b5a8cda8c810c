package config

import (
	"fmt"
	"strings"
)

// Manual writes the table of settings for docs/configuration.md.
func Manual() string {
	var b strings.Builder
	row := func(s *Setting) {
		def := s.Default
		if def == "" {
			def = "–"
		} else {
			def = "`" + def + "`"
		}
		flag := "`--" + s.Flag() + "`"
		if s.Short != "" {
			flag = "`-" + s.Short + "` " + flag
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", s.Key, flag, def, s.Help, strings.ReplaceAll(s.Kind.Want, "|", "\\|"))
	}
	for _, every := range []bool{false, true} {
		title := "A cluster, for `submit`"
		if every {
			title = "Every command"
		}
		fmt.Fprintf(&b, "### %s\n\n| key | flag | default | | values |\n|---|---|---|---|---|\n", title)
		for i := range Settings {
			if Settings[i].Every == every {
				row(&Settings[i])
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}
