package providertest

import (
	"bytes"
	"fmt"
	"os"
)

func zombie(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true // it has gone meanwhile
	}
	end := bytes.LastIndexByte(text, ')')
	return end >= 0 && end+2 < len(text) && text[end+2] == 'Z'
}
