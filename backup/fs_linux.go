package backup

import (
	"strconv"

	"golang.org/x/sys/unix"

	"restante/snapshot"
)

const (
	noAtime = unix.O_NOATIME
	noXattr = unix.ENODATA
)

// attrPath returns a path to a name in the folder for system calls that take
// no descriptor. It leads through the open folder, so it is short however deep
// the folder lies, and nobody can lead it elsewhere.
func (h handle) attrPath(name string) string {
	return "/proc/self/fd/" + strconv.Itoa(h.fd()) + "/" + name
}

func statOf(st *unix.Stat_t) stat {
	return stat{
		kind: kindOf(st.Mode), mode: st.Mode & 0o7777, uid: st.Uid, gid: st.Gid, size: uint64(st.Size),
		mtime: snapshot.Time{Sec: int64(st.Mtim.Sec), Nsec: uint32(st.Mtim.Nsec)}, rdev: uint64(st.Rdev),
		id:  identity{inode: st.Ino, ctime: snapshot.Time{Sec: int64(st.Ctim.Sec), Nsec: uint32(st.Ctim.Nsec)}},
		dev: uint64(st.Dev), links: uint64(st.Nlink),
	}
}

// isLocal reports whether the folder's file system is one whose times are those of
// this machine's clock. One that is not known is taken for a server's.
func (h handle) isLocal() bool {
	const zfs = 0x2fc12fc1 // in no kernel header
	var st unix.Statfs_t
	if unix.Fstatfs(h.fd(), &st) != nil {
		return false
	}
	switch int64(st.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC, zfs:
		return true
	}
	return false
}
