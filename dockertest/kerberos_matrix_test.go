//go:build hadoop && matrix

package dockertest_test

import "testing"

func TestMatrixKerberosIntegrity(t *testing.T) { speakKerberos(t, "secure-integrity") }
func TestMatrixKerberosAuth(t *testing.T)      { speakKerberos(t, "secure-auth") }
