package bad

import "math/rand"

func forTests() int { return rand.Int() }
