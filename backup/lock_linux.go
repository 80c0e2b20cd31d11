package backup

import "golang.org/x/sys/unix"

// tryLock takes a read lock on the whole of an mbox, as mail servers take
// write locks on it (fcntl; Dovecot, Postfix and Debian's policy agree on it),
// or returns errBusy. The lock goes when the file is closed. It is an open file
// description lock: it conflicts with classic ones and does not vanish when
// another descriptor of the file is closed; see fcntl(2).
func (f *file) tryLock() error {
	lock := unix.Flock_t{Type: unix.F_RDLCK}
	_, err := retry(func() (int, error) { return 0, unix.FcntlFlock(uintptr(f.fd), unix.F_OFD_SETLK, &lock) })
	switch err {
	case nil, unix.EINVAL, unix.ENOLCK, unix.ENOTSUP, unix.ENOSYS:
		return nil // a file system without locks has no writers that lock
	case unix.EAGAIN, unix.EACCES:
		return errBusy
	}
	return f.dir.error("locking", f.name, err)
}
