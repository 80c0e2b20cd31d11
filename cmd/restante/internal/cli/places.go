package cli

import (
	"os"
	"path/filepath"
	"strings"
)

// A System is what the default folders depend on.
type System struct {
	Getenv func(string) string
	Home   func() string // the home folder the user database names, or ""
	OS     string        // as runtime.GOOS
	Root   bool          // running as the superuser
}

// DefaultRepository returns where the repository is when none is named: the
// folder restante/repository in the user's data folder ($XDG_DATA_HOME, else
// ~/.local/share, or the like on other systems). It needs no HOME where the
// user database knows the user. Without a home folder it is a [UsageError].
func (s System) DefaultRepository() (string, error) {
	if dir := s.absolute("XDG_DATA_HOME"); dir != "" {
		return filepath.Join(dir, "restante", "repository"), nil
	}
	switch home := s.home(); {
	case s.OS == "windows" && s.absolute("LocalAppData") != "":
		return filepath.Join(s.absolute("LocalAppData"), "restante", "repository"), nil
	case home == "":
		return "", Usagef("there is no home folder to look for a repository in: name one with -r PATH or RESTANTE_REPOSITORY")
	case s.OS == "darwin":
		return filepath.Join(home, "Library", "Application Support", "restante", "repository"), nil
	default:
		return filepath.Join(home, ".local", "share", "restante", "repository"), nil
	}
}

// CacheDir returns where caches are kept when no folder is named:
// $XDG_CACHE_HOME/restante, else systemd's $CACHE_DIRECTORY, else for root
// /var/cache/restante, else ~/.cache/restante, or the like on other systems.
// It needs no HOME where the user database knows the user. Without a home
// folder it is a [UsageError]; a folder for all users is no answer, for
// somebody else could have made it.
func (s System) CacheDir() (string, error) {
	if dir := s.absolute("XDG_CACHE_HOME"); dir != "" {
		return filepath.Join(dir, "restante"), nil
	}
	for _, dir := range strings.Split(s.Getenv("CACHE_DIRECTORY"), string(os.PathListSeparator)) {
		if filepath.IsAbs(dir) {
			return dir, nil
		}
	}
	switch home := s.home(); {
	case s.Root:
		return "/var/cache/restante", nil
	case s.OS == "windows" && s.absolute("LocalAppData") != "":
		return filepath.Join(s.absolute("LocalAppData"), "restante", "cache"), nil
	case home == "":
		return "", Usagef("there is no home folder to keep a cache in: name a folder with --cache-dir DIR")
	case s.OS == "darwin":
		return filepath.Join(home, "Library", "Caches", "restante"), nil
	default:
		return filepath.Join(home, ".cache", "restante"), nil
	}
}

func (s System) home() string {
	if dir := s.absolute("HOME"); dir != "" {
		return dir
	}
	if dir := s.Home(); filepath.IsAbs(dir) {
		return dir
	}
	return ""
}

// absolute returns a variable that holds an absolute path; the XDG rules have
// other values ignored.
func (s System) absolute(name string) string {
	if dir := s.Getenv(name); filepath.IsAbs(dir) {
		return dir
	}
	return ""
}
