package enginetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
)

// Run calls use with a TB that is no test's, for examples and programs: what use
// started has ended when Run returns. The error is what use reported; Fatal ends use.
func Run(ctx context.Context, use func(TB)) error {
	ctx, cancel := context.WithCancel(ctx)
	p := &program{ctx: ctx}
	p.call(func() { use(p) })
	cancel()
	for len(p.cleanups) > 0 {
		last := p.cleanups[len(p.cleanups)-1]
		p.cleanups = p.cleanups[:len(p.cleanups)-1]
		p.call(last)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(p.errs...)
}

// program is a TB. Like a test's, its Cleanup and Fatal are for the goroutine of Run.
type program struct {
	ctx      context.Context
	cleanups []func()

	mu   sync.Mutex
	errs []error
}

// fatal is what Fatal panics with.
type fatal struct{}

// call runs f until it ends, or calls Fatal.
func (p *program) call(f func()) {
	defer func() {
		if r := recover(); r != nil && r != (fatal{}) {
			panic(r)
		}
	}()
	f()
}

func (p *program) Helper()                         {}
func (p *program) Context() context.Context        { return p.ctx }
func (p *program) Cleanup(f func())                { p.cleanups = append(p.cleanups, f) }
func (p *program) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func (p *program) Failed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.errs) > 0
}

func (p *program) Errorf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errs = append(p.errs, fmt.Errorf(format, args...))
}

func (p *program) Fatalf(format string, args ...any) {
	p.Errorf(format, args...)
	panic(fatal{})
}

func (p *program) Fatal(args ...any) { p.Fatalf("%s", fmt.Sprint(args...)) }

func (p *program) TempDir() string {
	dir, err := os.MkdirTemp("", "enginetest")
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			p.Errorf("%w", err)
		}
	})
	return dir
}
