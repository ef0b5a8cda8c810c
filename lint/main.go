// Command lint is a vet tool: gosec, with the rules that are worth it here.
//
//	go build -C lint -o ../bin/lint . && go vet -vettool=bin/lint ./...
//
// gosec has some sixty rules, which made 1,890 findings here when all of them were on.
// Those that are kept are in rules.go, with the reason of each, and so are the ones that
// are left out. Files of tests are not looked at.
//
// What a rule is wrong about is either said on its line,
//
//	first := rand.IntN(n) // #nosec G404 -- who may connect does not depend on the port
//
// always with a reason, or, where it is right for all of a folder, in rules.go.
//
// The module is one of its own, so that programs which import yarnd do not see what its
// checks need. It also pins staticcheck and govulncheck.
package main

import "golang.org/x/tools/go/analysis/unitchecker"

func main() { unitchecker.Main(analyzer) }
