package mailstore

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// A pattern is a parsed name pattern.
type pattern struct {
	absolute bool
	elems    []patternElem
	home     int // how many elements lead to the home
}

type patternElem struct {
	re     *regexp.Regexp
	vars   []byte // what its groups stand for: 'n', 'd', 'u'
	wild   bool   // it has a variable or a "*"
	hidden bool   // it may match a name that begins with a dot
}

// parsePattern reads a name pattern as the package comment describes it.
func parsePattern(s string) (*pattern, error) {
	p := &pattern{absolute: strings.HasPrefix(s, "/")}
	named := false
	for _, text := range strings.Split(strings.Trim(filepath.ToSlash(s), "/"), "/") {
		e, err := parsePatternElem(text)
		if err != nil {
			return nil, fmt.Errorf("reading name pattern %q: %w", s, err)
		}
		p.elems = append(p.elems, e)
		if len(e.vars) > 0 {
			p.home = len(p.elems)
		}
		named = named || strings.ContainsAny(string(e.vars), "nu")
	}
	if !named {
		return nil, fmt.Errorf("reading name pattern %q: it has neither %%n (local part) nor %%u (whole user name)", s)
	}
	return p, nil
}

func parsePatternElem(text string) (patternElem, error) {
	if text == "" || text == "." || text == ".." {
		return patternElem{}, fmt.Errorf("%q is no path element", text)
	}
	e := patternElem{hidden: true}
	re := `(?s)\A`
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '*':
			re += ".*"
			e.wild = true
			e.hidden = e.hidden && i > 0
		case c == '%' && strings.HasPrefix(text[i:], "%%"):
			re += "%"
			i++
		case c == '%':
			i++
			if i == len(text) || !strings.ContainsRune("ndu", rune(text[i])) {
				return patternElem{}, fmt.Errorf("in %q: known are %%n, %%d, %%u, %%%% and *", text)
			}
			if strings.IndexByte(string(e.vars), text[i]) >= 0 {
				return patternElem{}, fmt.Errorf("%%%c occurs twice in %q", text[i], text)
			}
			re += "(.+)"
			e.vars = append(e.vars, text[i])
			e.wild = true
			e.hidden = e.hidden && i > 1
		default:
			re += regexp.QuoteMeta(text[i : i+1])
		}
	}
	var err error
	if e.re, err = regexp.Compile(re + `\z`); err != nil {
		return patternElem{}, fmt.Errorf("in %q: %w", text, err)
	}
	return e, nil
}

// A binding says what the variables mean in the elements matched so far.
type binding struct{ n, d, u string }

// match matches one path element and returns b with its variables added.
func (e patternElem) match(name string, b binding) (binding, bool) {
	if e.wild && (!e.hidden && strings.HasPrefix(name, ".") || name == lostFound) {
		return b, false
	}
	m := e.re.FindStringSubmatch(name)
	if m == nil {
		return b, false
	}
	for i, v := range e.vars {
		slot := map[byte]*string{'n': &b.n, 'd': &b.d, 'u': &b.u}[v]
		if *slot != "" && *slot != m[i+1] {
			return b, false
		}
		*slot = m[i+1]
	}
	return b, true
}

// matchRoot matches the elements of an absolute pattern that lead to root. It
// returns how many there are and what they bind.
func (p *pattern) matchRoot(root string) (used int, b binding, ok bool) {
	if !p.absolute {
		return 0, b, true
	}
	for i, name := range elements(root) {
		if i == len(p.elems) {
			return i, b, true
		}
		if b, ok = p.elems[i].match(name, b); !ok {
			return 0, b, false
		}
		used++
	}
	return used, b, true
}

// name returns the mailbox's name that the variables make.
func (b binding) name() string {
	local := b.u
	if local == "" {
		local = b.n
	}
	if b.d == "" || strings.Contains(local, "@") {
		return local
	}
	return local + "@" + b.d
}

// elements splits a path, absolute or relative to a root, into its elements.
func elements(p string) []string {
	return strings.FieldsFunc(filepath.ToSlash(p), func(r rune) bool { return r == '/' })
}
