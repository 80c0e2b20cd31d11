package cli_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"restante/cmd/restante/internal/cli"
)

func TestPlaces(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the paths are Unix paths")
	}
	const wrongUsage = ""
	for _, test := range []struct {
		name       string
		system     cli.System
		env        map[string]string
		home       string
		repository string
		cache      string
	}{
		{"user", cli.System{OS: "linux"}, map[string]string{"HOME": "/home/u"}, "/home/db",
			"/home/u/.local/share/restante/repository", "/home/u/.cache/restante"},
		{"no HOME", cli.System{OS: "linux"}, nil, "/home/db",
			"/home/db/.local/share/restante/repository", "/home/db/.cache/restante"},
		{"no home at all", cli.System{OS: "linux"}, nil, "", wrongUsage, wrongUsage},
		{"root", cli.System{OS: "linux", Root: true}, map[string]string{"HOME": "/root"}, "/root",
			"/root/.local/share/restante/repository", "/var/cache/restante"},
		{"root's service", cli.System{OS: "linux", Root: true}, nil, "", wrongUsage, "/var/cache/restante"},
		{"XDG", cli.System{OS: "linux", Root: true}, map[string]string{"XDG_DATA_HOME": "/d", "XDG_CACHE_HOME": "/c", "CACHE_DIRECTORY": "/s"}, "",
			"/d/restante/repository", "/c/restante"},
		{"relative XDG", cli.System{OS: "linux"}, map[string]string{"XDG_DATA_HOME": "d", "XDG_CACHE_HOME": "c", "HOME": "h"}, "/home/db",
			"/home/db/.local/share/restante/repository", "/home/db/.cache/restante"},
		{"systemd", cli.System{OS: "linux", Root: true}, map[string]string{"CACHE_DIRECTORY": "/var/cache/a:/var/cache/b"}, "",
			wrongUsage, "/var/cache/a"},
		{"macOS", cli.System{OS: "darwin"}, map[string]string{"HOME": "/Users/u"}, "",
			"/Users/u/Library/Application Support/restante/repository", "/Users/u/Library/Caches/restante"},
		{"Windows", cli.System{OS: "windows"}, map[string]string{"LocalAppData": "/l"}, "",
			"/l/restante/repository", "/l/restante/cache"},
	} {
		s := test.system
		s.Getenv = func(name string) string { return test.env[name] }
		s.Home = func() string { return test.home }
		for what, got := range map[string]func() (string, error){"repository": s.DefaultRepository, "cache": s.CacheDir} {
			want := map[string]string{"repository": test.repository, "cache": test.cache}[what]
			path, err := got()
			if usage := new(cli.UsageError); path != want || (want == wrongUsage) != errors.As(err, &usage) {
				t.Errorf("%s: the %s is %q, %v; want %q", test.name, what, path, err, want)
			}
		}
	}
}

func TestLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for _, text := range []string{"one", "two\nlines"} {
		log, err := cli.OpenLog(path)
		if err != nil {
			t.Fatal(err)
		}
		log.Event(cli.Warning, text)
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(data), "\n")
	if len(lines) != 3 || !strings.HasSuffix(lines[0], " warning one") || !strings.HasSuffix(lines[1], " warning two; lines") {
		t.Errorf("the log is %q", data)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the log's mode is %v, %v", info.Mode(), err)
	}
}

func TestNoLogDropsEvents(t *testing.T) {
	var log *cli.Log
	log.Event(cli.Info, "nothing")
	if err := log.Close(); err != nil {
		t.Error(err)
	}
}
