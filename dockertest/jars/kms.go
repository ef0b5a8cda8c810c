package jars

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"log/slog"

	"github.com/yarnd/yarnd/dockertest/cache"
)

//go:embed kms.xml
var kmsPOM []byte

// kmsJars are those of kmsPOM that Folder has not.
const kmsJars = "hadoop-kms,jul-to-slf4j"

// KMSFolder returns where the jars that a key management server of that release needs beside those of Folder are or will be.
func KMSFolder(c cache.Dir, version string) string {
	return c.Path("jars", fmt.Sprintf("kms-%s-%x", version, sha256.Sum256(append([]byte(kmsJars), kmsPOM...)))[:len("kms-")+len(version)+1+8])
}

// ResolveKMS returns KMSFolder, having fetched the jars if it is not there. A folder that exists is complete. It needs mvn
// and Maven Central the first time only.
func ResolveKMS(ctx context.Context, c cache.Dir, version string, log *slog.Logger) (string, error) {
	return resolve(ctx, c, KMSFolder(c, version), version, func() error {
		return fetch(ctx, c, version, KMSFolder(c, version), kmsPOM, log, "-DincludeArtifactIds="+kmsJars)
	})
}
