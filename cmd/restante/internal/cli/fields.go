package cli

import (
	"reflect"
	"strings"
)

// Fields documents the JSON form of a value of v's type for a command's help,
// from its struct tags json and doc: a line a field, those of nested structs
// and lists as "mailboxes[].name".
func Fields(v any) string {
	var lines [][2]string
	collect(reflect.TypeOf(v), "", &lines)
	width := 0
	for _, l := range lines {
		width = max(width, len(l[0]))
	}
	var b strings.Builder
	for _, l := range lines {
		b.WriteString("  " + l[0] + strings.Repeat(" ", width-len(l[0])+3) + l[1] + "\n")
	}
	return b.String()
}

func collect(t reflect.Type, prefix string, lines *[][2]string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		if t.Kind() == reflect.Slice {
			prefix += "[]"
		}
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return
	}
	if prefix != "" && prefix != "[]" {
		prefix += "."
	} else {
		prefix = ""
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			collect(f.Type, strings.TrimSuffix(prefix, "."), lines)
			continue
		}
		if name == "" || name == "-" {
			continue
		}
		if doc := f.Tag.Get("doc"); doc != "" {
			*lines = append(*lines, [2]string{prefix + name, doc})
		}
		if f.Type.PkgPath() != "time" {
			collect(f.Type, prefix+name, lines)
		}
	}
}
