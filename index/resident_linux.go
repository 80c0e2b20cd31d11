package index

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
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
//
// Tables are mapped side by side, mostly. Those that are go in one call, for each
// makes all processors forget what they know of the process's memory.
//
// room is what it returned last: the kernel's list of mappings is long and often read.
func unmapResident(dir string, room []byte) []byte {
	list := bytes.NewBuffer(room[:0])
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return room
	}
	defer f.Close()
	if _, err := list.ReadFrom(f); err != nil {
		return room
	}
	folder := []byte("/" + filepath.Base(dir) + "/") // a random number, as no other file has
	var begin, end uint64
	for line := range bytes.Lines(list.Bytes()) {
		if !bytes.Contains(line, folder) || !bytes.HasSuffix(line, []byte(".sst\n")) {
			continue
		}
		from, to, ok := sharedRange(string(line))
		if !ok {
			continue
		}
		if from != end {
			forgetPages(begin, end)
			begin = from
		}
		end = to
	}
	forgetPages(begin, end)
	return list.Bytes()
}

// sharedRange takes where a mapping begins and ends from its line, if what is written
// there goes to the file, as Badger maps its tables.
func sharedRange(line string) (from, to uint64, ok bool) {
	begin, rest, _ := strings.Cut(line, "-")
	end, rest, _ := strings.Cut(rest, " ")
	mode, _, _ := strings.Cut(rest, " ")
	from, errFrom := strconv.ParseUint(begin, 16, 64)
	to, errTo := strconv.ParseUint(end, 16, 64)
	return from, to, errFrom == nil && errTo == nil && strings.HasSuffix(mode, "s")
}

func forgetPages(begin, end uint64) {
	if begin < end {
		syscall.Syscall(syscall.SYS_MADVISE, uintptr(begin), uintptr(end-begin), syscall.MADV_DONTNEED)
	}
}
