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
