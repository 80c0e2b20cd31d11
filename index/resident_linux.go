package index

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// residentFiles returns how many bytes of files this process has in memory, 0 if
// that is not known.
func residentFiles() int64 {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident, shared int64
	if _, err := fmt.Sscan(string(data), &size, &resident, &shared); err != nil {
		return 0
	}
	return shared * int64(os.Getpagesize())
}

// unmapResident makes the kernel forget which pages of the tables in dir this
// process has seen. They stay in the page cache, and what was written to them
// stays. The tables must stay mapped until it returns: where one was, there
// might be other memory, whose content would be lost.
func unmapResident(dir string) {
	data, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	folder := "/" + filepath.Base(dir) + "/" // a random number, as no other file has
	for line := range bytes.Lines(data) {
		var (
			begin, end       uintptr
			mode, path, skip string
		)
		if !bytes.Contains(line, []byte(folder)) {
			continue
		}
		// The path may have spaces, of which only its end matters.
		if _, err := fmt.Sscanf(string(line), "%x-%x %s %s %s %s", &begin, &end, &mode, &skip, &skip, &skip); err != nil {
			continue
		}
		path = strings.TrimRight(string(line), "\n")
		if strings.HasSuffix(mode, "s") && strings.HasSuffix(path, ".sst") { // shared, as Badger maps its tables
			syscall.Syscall(syscall.SYS_MADVISE, begin, end-begin, syscall.MADV_DONTNEED)
		}
	}
}
