package bad

import (
	"crypto/md5" // want "G501"
	"crypto/tls"
	"math/rand"
	"os"
)

func weak() int {
	return rand.Int() // want "G404"
}

func reasoned() int {
	return rand.Int() // #nosec G404 -- nothing depends on it
}

func unreasoned() int {
	return rand.Int() /* want "names the rule" */ // #nosec G404
}

func unnamed() int {
	return rand.Int() /* want "names the rule" */ // #nosec
}

func anybody() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true} // want "G402"
}

func open(data []byte) error {
	sum := md5.Sum(data)                       // want "G401"
	return os.WriteFile("file", sum[:], 0o644) // want "G306"
}

// What is left out is not reported: a file by a name that varies, a conversion.
func left(name string, n int) (int32, error) {
	_, err := os.Open(name)
	return int32(n), err
}
