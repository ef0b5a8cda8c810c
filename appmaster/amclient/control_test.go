package amclient

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/appmaster/ampb"
)

func control() *Control {
	return Attach(&Client{opt: Options{}.withDefaults()}, ControlOptions{})
}

func want(n int32) *ampb.FromScheduler {
	return &ampb.FromScheduler{Message: &ampb.FromScheduler_Want{Want: &ampb.Want{Pool: "w", Count: n, Reason: "r"}}}
}

func released(ids ...string) *ampb.FromScheduler {
	return &ampb.FromScheduler{Message: &ampb.FromScheduler_Release{Release: &ampb.Release{Containers: ids, Reason: "r"}}}
}

func report(n int32) *ampb.FromScheduler {
	return &ampb.FromScheduler{Message: &ampb.FromScheduler_Report{Report: &ampb.Report{Workers: n}}}
}

func check(t *testing.T, what string, got []*ampb.FromScheduler, want ...*ampb.FromScheduler) {
	t.Helper()
	same := slices.EqualFunc(got, want, func(a, b *ampb.FromScheduler) bool { return proto.Equal(a, b) })
	if !same {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// What a scheduler says while there is no line is said later, and only what still
// counts.
func TestWhatIsSaidLater(t *testing.T) {
	k := control()
	k.Want("w", 1, "r")
	k.Want("w", 2, "r")
	k.Report(&ampb.Report{Workers: 1})
	k.Report(&ampb.Report{Workers: 2})
	k.Release([]string{"b", "a"}, "r")
	k.Release([]string{"c"}, "r")
	check(t, "at first", k.take(), want(2), released("a", "b", "c"), report(2))
	check(t, "then", k.take())
}

// After a new connection releases are repeated until the containers are known to
// have ended, and so is the latest report: it may be another application master that
// hears it. But a want is not: a person may have scaled the pool meanwhile.
func TestWhatIsSaidAgain(t *testing.T) {
	k := control()
	k.Want("w", 5, "r")
	k.Release([]string{"a", "b"}, "r")
	k.Report(&ampb.Report{Workers: 3})
	k.take()
	k.hear(&ampb.ToScheduler{Message: &ampb.ToScheduler_Exited{Exited: &ampb.ContainerExited{Container: "a"}}})
	k.again()
	check(t, "again", k.take(), released("b"), report(3))
	k.hear(&ampb.ToScheduler{Message: &ampb.ToScheduler_Exited{Exited: &ampb.ContainerExited{Container: "b"}}})
	k.again()
	check(t, "at last", k.take(), report(3))
}

// What could not be sent is not forgotten, unless something newer was said.
func TestWhatCouldNotBeSent(t *testing.T) {
	k := control()
	k.Want("w", 5, "r")
	k.Report(&ampb.Report{Workers: 1})
	list := k.take()
	k.giveBack(list)
	k.again()
	check(t, "given back", k.take(), want(5), report(1))
	k.giveBack(list)
	k.Want("w", 6, "r")
	k.again()
	check(t, "newer said after", k.take(), want(6), report(1))
	k.Want("w", 7, "r")
	k.giveBack(list)
	k.again()
	check(t, "newer said before", k.take(), want(7), report(1))
}
