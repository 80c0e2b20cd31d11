package arch_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "restante"

// functionLimit is how many lines a function may have. Tests are free: the
// table of one is data.
const functionLimit = 100

// everything marks the program, which wires all parts together.
var everything = []string{"*"}

// allowed says which packages of the project each package may import; imports
// go downward only. Tests may import more: they are not read here.
var allowed = map[string][]string{
	"cmd/restante":              everything,
	"cmd/restante/internal/cli": {},

	"backup":  {"mailstore", "message", "chunking", "verify", "repo", "snapshot", "blob", "internal/glob"},
	"diff":    {"mailstore", "snapshot", "blob"},
	"gc":      {"repo", "snapshot", "seal", "storage", "blob"},
	"restore": {"message", "snapshot", "blob", "internal/glob"},
	"repair":  {"verify", "repo", "seal", "snapshot", "blob"},
	"verify":  {"repo", "snapshot", "blob"},

	"repo":     {"index", "seal", "storage", "blob", "internal/cbor"},
	"snapshot": {"blob", "internal/cbor"},
	"index":    {"blob"},
	"seal":     {"internal/cbor"},

	"retention": {},

	"storage":             {},
	"storage/dryrun":      {"storage"},
	"storage/faulty":      {"storage"},
	"storage/local":       {"storage", "internal/durable"},
	"storage/mem":         {"storage"},
	"storage/storagetest": {"storage"},

	"blob":      {},
	"chunking":  {},
	"mailstore": {"message"},
	"message":   {},

	"internal/arch":           {},
	"internal/cbor":           {},
	"internal/durable":        {},
	"internal/glob":           {},
	"internal/mailgen":        {},
	"internal/torture":        {},
	"internal/torture/crash":  {},
	"internal/torture/faults": {},
	"internal/torture/model":  {},

	"internal/tools/bench":   {},
	"internal/tools/mailgen": {"internal/mailgen"},
	"internal/tools/mutants": {},
}

// importer names, for each third-party module, the one package that imports it.
// What is not in the table is not imported outside tests.
var importer = map[string]string{
	"filippo.io/age":                    "seal",
	"github.com/dgraph-io/badger/v4":    "index",
	"github.com/dgraph-io/ristretto/v2": "index",
	"github.com/fxamacker/cbor/v2":      "internal/cbor",
	"github.com/klauspost/compress":     "repo",
	"github.com/restic/chunker":         "chunking",
	"github.com/segmentio/asm":          "message",
	"github.com/spf13/cobra":            "cmd/restante",
	"github.com/spf13/pflag":            "cmd/restante",
	"github.com/zeebo/blake3":           "blob",
	"golang.org/x/term":                 "cmd/restante",
	"golang.org/x/text":                 "message",
	"golang.org/x/sys":                  "*", // whoever talks to the kernel
}

// A source is one Go file of the project.
type source struct {
	pkg  string // relative to the module, "" for its root
	path string
	file *ast.File
	set  *token.FileSet
}

func (s source) at(p token.Pos) string {
	return fmt.Sprintf("%s:%d", s.path, s.set.Position(p).Line)
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// sources reads every Go file of the project, whatever system it is for.
func sources(t *testing.T) []source {
	t.Helper()
	root := filepath.Join("..", "..")
	var all []source
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			base := e.Name()
			if name != root && (base == "testdata" || base == "vendor" || base[0] == '.' || base[0] == '_') {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		relative = filepath.ToSlash(relative)
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		all = append(all, source{pkg: path.Dir(relative), path: relative, file: file, set: set})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no Go files found")
	}
	return all
}

func TestImports(t *testing.T) {
	used := map[string]bool{} // packages, their edges, and modules
	for _, s := range sources(t) {
		if s.isTest() {
			continue
		}
		used[s.pkg] = true
		edges, known := allowed[s.pkg]
		if !known {
			t.Errorf("%s: package %s is not in the table of layers", s.path, s.pkg)
			continue
		}
		for _, spec := range s.file.Imports {
			name := strings.Trim(spec.Path.Value, `"`)
			if own, ok := strings.CutPrefix(name, module+"/"); ok {
				used[s.pkg+" imports "+own] = true
				if !slices.Contains(edges, own) && !slices.Contains(edges, "*") {
					t.Errorf("%s: package %s may not import %s", s.at(spec.Pos()), s.pkg, own)
				}
				continue
			}
			third := thirdParty(name)
			used[third] = true
			switch by, known := importer[third]; {
			case third == "":
			case !known:
				t.Errorf("%s: %s is of a module that is not in the table", s.at(spec.Pos()), name)
			case by != "*" && by != s.pkg:
				t.Errorf("%s: package %s may not import %s, only %s may", s.at(spec.Pos()), s.pkg, name, by)
			}
		}
	}
	for _, line := range tableLines() {
		if !used[line] {
			t.Errorf("the tables have %q, which is not so any more", line)
		}
	}
}

// tableLines returns what the tables say, as TestImports notes what it finds.
func tableLines() []string {
	var lines []string
	for pkg, edges := range allowed {
		lines = append(lines, pkg)
		for _, edge := range edges {
			if edge != "*" {
				lines = append(lines, pkg+" imports "+edge)
			}
		}
	}
	for third := range importer {
		lines = append(lines, third)
	}
	return lines
}

// thirdParty returns the module that an import path belongs to, "" for the
// standard library. A module that is not in the table is named by the path.
func thirdParty(name string) string {
	for third := range importer {
		if name == third || strings.HasPrefix(name, third+"/") {
			return third
		}
	}
	if first, _, _ := strings.Cut(name, "/"); strings.Contains(first, ".") {
		return name
	}
	return ""
}

func TestFunctionsAreShort(t *testing.T) {
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || s.isTest() {
				continue
			}
			if n := s.set.Position(f.End()).Line - s.set.Position(f.Pos()).Line + 1; n > functionLimit {
				t.Errorf("%s: function %s has %d lines, more than %d", s.at(f.Pos()), f.Name.Name, n, functionLimit)
			}
		}
	}
}

func TestPackagesHaveComments(t *testing.T) {
	commented := map[string]bool{}
	for _, s := range sources(t) {
		if !s.isTest() {
			commented[s.pkg] = commented[s.pkg] || s.file.Doc != nil
		}
	}
	for pkg, ok := range commented {
		if !ok {
			t.Errorf("package %s has no package comment", pkg)
		}
	}
}

func TestExportedNamesHaveComments(t *testing.T) {
	for _, s := range sources(t) {
		if s.isTest() || s.file.Name.Name == "main" {
			continue
		}
		for _, d := range s.file.Decls {
			for _, missing := range undocumented(d) {
				t.Errorf("%s: exported %s has no comment", s.at(missing.Pos()), missing.Name)
			}
		}
	}
}

// undocumented returns the exported names that a declaration makes and no
// comment explains. A group's comment is enough for its constants and variables.
func undocumented(d ast.Decl) []*ast.Ident {
	var missing []*ast.Ident
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && (d.Recv == nil || exportedReceiver(d.Recv)) && !obvious(d) {
			missing = append(missing, d.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil {
					missing = append(missing, spec.Name)
				}
			case *ast.ValueSpec:
				if d.Doc != nil || spec.Doc != nil || spec.Comment != nil {
					continue
				}
				for _, name := range spec.Names {
					if name.IsExported() {
						missing = append(missing, name)
					}
				}
			}
		}
	}
	return missing
}

func exportedReceiver(fields *ast.FieldList) bool {
	kind := fields.List[0].Type
	for {
		switch k := kind.(type) {
		case *ast.StarExpr:
			kind = k.X
		case *ast.IndexExpr:
			kind = k.X
		case *ast.IndexListExpr:
			kind = k.X
		case *ast.Ident:
			return k.IsExported()
		default:
			return false
		}
	}
}

// obvious reports whether a method only fulfils the contract of error, which
// its type's comment explains.
func obvious(f *ast.FuncDecl) bool {
	return f.Recv != nil && (f.Name.Name == "Error" || f.Name.Name == "Unwrap")
}
