package crash

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"restante/internal/durable"
)

// What a crash leaves after some calls, as paths with the number of bytes, and zeros after "+".
func TestDisk(t *testing.T) {
	call := func(op durable.Op, names ...string) durable.Call {
		c := durable.Call{Op: op, Name: names[len(names)-1]}
		if len(names) > 1 {
			c.From = names[0]
		}
		if op == durable.Write {
			c.Data = []byte("1234")
		}
		return c
	}
	var calls []durable.Call
	for _, step := range []struct {
		calls []durable.Call
		want  string // states, with "| " between them
	}{
		{[]durable.Call{call(durable.Create, "a")}, "| a0"},
		{[]durable.Call{call(durable.Write, "a")}, "| a0| a0+4| a2| a4"},
		{[]durable.Call{call(durable.SyncFolder, ".")}, "a0| a0+4| a2| a4"},
		{[]durable.Call{call(durable.Sync, "a")}, "a4"},
		{[]durable.Call{call(durable.Mkdir, "d"), call(durable.Link, "a", "d/b")}, "a4| a4 d| a4 d d/b4"},
		{[]durable.Call{call(durable.SyncFolder, "d")}, "a4| a4 d d/b4"},
		{[]durable.Call{call(durable.Unlink, "a")}, "| a4| a4 d d/b4| d d/b4"},
		{[]durable.Call{call(durable.Create, "a")}, "| a0| a0 d d/b4| a4| a4 d d/b4| d d/b4"},
		{[]durable.Call{call(durable.SyncFolder, ".")}, "a0 d d/b4"},
		{[]durable.Call{call(durable.Write, "d/b")}, "a0 d d/b4| a0 d d/b4+4| a0 d d/b6| a0 d d/b8"},
		{[]durable.Call{call(durable.Rename, "a", "d/c")}, "a0 d d/b4| a0 d d/b4 d/c0| a0 d d/b4+4| a0 d d/b4+4 d/c0| a0 d d/b6| a0 d d/b6 d/c0| a0 d d/b8| a0 d d/b8 d/c0| " +
			"d d/b4| d d/b4 d/c0| d d/b4+4| d d/b4+4 d/c0| d d/b6| d d/b6 d/c0| d d/b8| d d/b8 d/c0"},
	} {
		calls = append(calls, step.calls...)
		d := newDisk()
		for _, c := range calls {
			must(t, d.apply(c))
		}
		if got := strings.Join(everyCrash(d), "| "); got != step.want {
			t.Errorf("after %v a crash leaves\n%s\nwant\n%s", step.calls, got, step.want)
		}
	}
	for _, c := range []durable.Call{call(durable.Create, "d"), call(durable.Unlink, "x"), call(durable.Link, "x", "y"), call(durable.Create, "x/y"), call(durable.Sync, "d"), call(durable.SyncFolder, "d/b")} {
		d := newDisk()
		for _, c := range calls {
			must(t, d.apply(c))
		}
		if d.apply(c) == nil {
			t.Errorf("%+v succeeded", c)
		}
	}
}

// everyCrash returns all that a crash may leave, sorted.
func everyCrash(d *disk) (out []string) {
	all := d.undecided()
	states := make([]int, len(all))
	for {
		var tree []string
		for _, f := range d.crash(all, states) {
			switch {
			case f.folder:
				tree = append(tree, f.path)
			case f.zeros > 0:
				tree = append(tree, fmt.Sprint(f.path, f.bytes, "+", f.zeros))
			default:
				tree = append(tree, fmt.Sprint(f.path, f.bytes))
			}
		}
		out = append(out, strings.Join(tree, " "))
		i := 0
		for ; i < len(all); i++ {
			if states[i]++; states[i] < all[i].states() {
				break
			}
			states[i] = 0
		}
		if i == len(all) {
			slices.Sort(out)
			return slices.Compact(out)
		}
	}
}
