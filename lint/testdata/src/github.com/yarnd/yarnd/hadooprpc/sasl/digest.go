package sasl

import "crypto/md5"

func digest(b []byte) [16]byte { return md5.Sum(b) }
