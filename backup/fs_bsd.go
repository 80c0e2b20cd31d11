//go:build darwin || freebsd

package backup

import (
	"golang.org/x/sys/unix"

	"restante/snapshot"
)

const (
	noAtime = 0
	noXattr = unix.ENOATTR
)

// attrPath returns a path to a name in the folder for system calls that take
// no descriptor. A folder that is swapped for a link on the way could show
// another file's attributes, not its content.
func (h handle) attrPath(name string) string { return h.path(name) }

func statOf(st *unix.Stat_t) stat {
	return stat{
		kind: kindOf(uint32(st.Mode)), mode: uint32(st.Mode) & 0o7777, uid: st.Uid, gid: st.Gid, size: uint64(st.Size),
		mtime: snapshot.Time{Sec: int64(st.Mtim.Sec), Nsec: uint32(st.Mtim.Nsec)}, rdev: uint64(st.Rdev),
		id:  identity{inode: st.Ino, ctime: snapshot.Time{Sec: int64(st.Ctim.Sec), Nsec: uint32(st.Ctim.Nsec)}},
		dev: uint64(st.Dev), links: uint64(st.Nlink),
	}
}

// isLocal reports whether the folder's file system is one whose times are those of
// this machine's clock.
func (h handle) isLocal() bool {
	var st unix.Statfs_t
	return unix.Fstatfs(h.fd(), &st) == nil && uint64(st.Flags)&unix.MNT_LOCAL != 0
}
