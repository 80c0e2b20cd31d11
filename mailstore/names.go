package mailstore

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
)

// maxName is how long a mailbox's name may be, in bytes: it names a folder when it is restored.
const maxName = 200

// otherName is what stands for the files of nobody and is no mailbox's name.
const otherName = "(other)"

// assemble makes mailboxes of homes and fills in the rest of the store.
func (d *detector) assemble() {
	d.useAddresses()
	groups := map[string][]home{}
	for _, h := range d.homes {
		name := mailboxName(h.guess.name)
		groups[name] = append(groups[name], h)
	}
	taken := map[string]bool{otherName: true}
	for name := range groups {
		taken[name] = true
	}
	for _, name := range sortedKeys(groups) {
		group := groups[name]
		if name != otherName && isOne(group) {
			d.store.Mailboxes = append(d.store.Mailboxes, d.mailbox(name, group))
			continue
		}
		d.store.Clashes = append(d.store.Clashes, d.tellApart(name, group, taken))
	}
	slices.SortFunc(d.store.Mailboxes, func(a, b Mailbox) int { return strings.Compare(a.Name, b.Name) })
	d.indexOwners()
	d.cutNested()
	d.store.Format = d.format()
	slices.SortFunc(d.store.Unreadable, func(a, b Unreadable) int {
		return cmp.Or(cmp.Compare(a.Root, b.Root), strings.Compare(a.Path, b.Path))
	})
}

// mailboxName returns name in a form that people can read and a folder can have.
func mailboxName(name string) string {
	name = strings.ReplaceAll(display(name), "/", `\x2f`)
	if name == "." || name == ".." {
		name = `\x2e` + name[1:]
	}
	return shorten(name)
}

// shorten cuts a name that is too long and ends it with a hash of all of it.
func shorten(name string) string {
	if len(name) <= maxName {
		return name
	}
	h := fnv.New64a()
	h.Write([]byte(name))
	return strings.ToValidUTF8(name[:maxName-17], "") + fmt.Sprintf("~%016x", h.Sum64())
}

// useAddresses names roots that are homes by their addresses where their
// names alone would clash: /var/vmail/*/*/Maildir, given by a shell.
func (d *detector) useAddresses() {
	count := map[string]int{}
	for _, h := range d.homes {
		count[h.guess.name]++
	}
	for i, h := range d.homes {
		if h.guess.address != "" && count[h.guess.name] > 1 {
			d.homes[i].guess = guess{name: h.guess.address, alias: h.guess.name}
			d.homes[i].firm = true
		}
	}
}

// isOne reports whether homes of one name are places of one mailbox.
func isOne(group []home) bool {
	roots := map[int]bool{}
	firm, spools := true, 0
	for _, h := range group {
		if roots[h.root] {
			return false
		}
		roots[h.root] = true
		firm = firm && h.firm
		if h.spool {
			spools++
		}
	}
	return len(group) == 1 || firm || len(group) == 2 && spools == 1
}

// mailbox makes the mailbox of these homes.
func (d *detector) mailbox(name string, group []home) Mailbox {
	m := Mailbox{Name: name, Component: Component}
	folders := map[string][]Place{}
	for _, h := range group {
		m.Places = append(m.Places, Place{Root: h.root, Path: h.path})
		for _, alias := range []string{h.guess.name, h.guess.alias, h.guess.address} {
			if alias = mailboxName(alias); alias != "" && alias != name {
				m.Aliases = append(m.Aliases, alias)
			}
		}
		for _, f := range h.folders {
			folders[f.Name] = append(folders[f.Name], f.Places...)
		}
	}
	slices.Sort(m.Aliases)
	m.Aliases = slices.Compact(m.Aliases)
	m.Folders = make([]Folder, 0, len(folders))
	for _, f := range sortedKeys(folders) {
		m.Folders = append(m.Folders, Folder{f, folders[f]})
	}
	slices.SortStableFunc(m.Folders, func(a, b Folder) int {
		return cmp.Compare(notInbox(a.Name), notInbox(b.Name))
	})
	return m
}

func notInbox(name string) int {
	if name == inbox {
		return 0
	}
	return 1
}

// tellApart gives each of the homes of one name a name of its own: with the
// last element of its path, the path above it, all of it, or the absolute
// path, the first that tells them all apart. It depends on nothing but where
// the homes of this name are, so that it is the same every night.
func (d *detector) tellApart(name string, group []home, taken map[string]bool) Clash {
	suffix := func(h home, level int) string {
		parent, last := splitPath(h.path)
		return [...]string{last, parent, h.path, d.store.Roots[h.root] + "/" + h.path}[level]
	}
	const absolute = 3
	level := 0
	for ; level < absolute; level++ {
		seen := map[string]bool{"": true}
		for _, h := range group {
			seen[suffix(h, level)] = true
		}
		if len(seen) == len(group)+1 {
			break
		}
	}
	clash := Clash{Name: name}
	for _, h := range group {
		text := strings.Join(elements(suffix(h, level)), "+")
		full := mailboxName(name + "~" + text)
		for n := 2; taken[full]; n++ {
			full = mailboxName(fmt.Sprintf("%s~%s~%d", name, text, n))
		}
		taken[full] = true
		clash.Names = append(clash.Names, full)
		d.store.Mailboxes = append(d.store.Mailboxes, d.mailbox(full, []home{h}))
	}
	slices.Sort(clash.Names)
	return clash
}

// indexOwners notes which mailbox each place belongs to.
func (d *detector) indexOwners() {
	for i, m := range d.store.Mailboxes {
		for _, p := range m.Places {
			d.store.roots[p.Root].owner[p.Path] = i
		}
	}
}

// cutNested takes mailboxes that lie in another's home out of that.
func (d *detector) cutNested() {
	for _, inner := range d.store.Mailboxes {
		for _, p := range inner.Places {
			if p.Path == "" {
				continue
			}
			parent, _ := splitPath(p.Path)
			if outer := d.store.roots[p.Root].ownerOf(parent); outer != Nobody {
				cut(&d.store.Mailboxes[outer], p)
			}
		}
	}
}

// cut takes hole out of all places of m that hold it.
func cut(m *Mailbox, hole Place) {
	for i := range m.Places {
		m.Places[i].cut(hole)
	}
	for _, f := range m.Folders {
		for i := range f.Places {
			f.Places[i].cut(hole)
		}
	}
}

func (p *Place) cut(hole Place) {
	if p.Root == hole.Root && within(hole.Path, p.Path) {
		p.Except = append(p.Except, hole.Path)
		slices.Sort(p.Except)
	}
}

// format says for people what was found.
func (d *detector) format() string {
	count := map[string]int{}
	for _, h := range d.homes {
		for _, f := range strings.Split(h.format, " and ") {
			count[f]++
		}
	}
	delete(count, "")
	formats := sortedKeys(count)
	slices.SortStableFunc(formats, func(a, b string) int { return cmp.Compare(count[b], count[a]) })
	switch n := len(formats); n {
	case 0:
		return "no mail"
	case 1:
		return formats[0]
	default:
		return strings.Join(formats[:n-1], ", ") + " and " + formats[n-1]
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
