package backup_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// describe returns, for each path below dir, all that a backup has to keep of
// it, in words. A file's other names count, too.
func describe(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	first := map[uint64]string{}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return fmt.Errorf("%q: %w", path, err)
		}
		d := fmt.Sprintf("mode %o, owner %d:%d, time %d.%09d", st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			sum, err := sumOf(path)
			if err != nil {
				return err
			}
			d += fmt.Sprintf(", %d bytes %s", st.Size, sum)
		case unix.S_IFLNK:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			d += fmt.Sprintf(", to %q", target)
		case unix.S_IFCHR, unix.S_IFBLK:
			d += fmt.Sprintf(", device %d", st.Rdev)
		}
		if st.Nlink > 1 && st.Mode&unix.S_IFMT != unix.S_IFDIR {
			if first[st.Ino] == "" {
				first[st.Ino] = rel
			}
			d += fmt.Sprintf(", link %q", first[st.Ino])
		}
		all[rel] = d + attributes(t, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func sumOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8]), nil
}

// attributes returns the extended attributes but SELinux labels, which are
// restored on request only.
func attributes(t *testing.T, path string) string {
	t.Helper()
	buf := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, buf)
	if err == unix.ENOTSUP || err == unix.ENAMETOOLONG {
		return ""
	}
	if err != nil {
		t.Fatalf("%q: %v", path, err)
	}
	names := strings.Split(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00")
	slices.Sort(names)
	var out strings.Builder
	for _, name := range names {
		if name == "" || name == "security.selinux" {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			t.Fatalf("%q: attribute %q: %v", path, name, err)
		}
		fmt.Fprintf(&out, ", %s=%x", name, value[:n])
	}
	return out.String()
}

// same wants two trees to be alike in all that a backup keeps.
func same(t *testing.T, got, want string, except ...string) {
	t.Helper()
	g, w := describe(t, got), describe(t, want)
	for _, e := range except {
		delete(g, e)
		delete(w, e)
	}
	for path, d := range w {
		if g[path] != d {
			t.Errorf("%q came back as\n     %s\nnot  %s", path, g[path], d)
		}
	}
	for path, d := range g {
		if w[path] == "" {
			t.Errorf("%q came from nowhere: %s", path, d)
		}
	}
}

// openFiles returns what this process has open, but for what the runtime keeps.
func openFiles(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc: ", err)
	}
	var open []string
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && strings.HasPrefix(target, "/") && !strings.HasPrefix(target, "/proc/") {
			open = append(open, target)
		}
	}
	return open
}
