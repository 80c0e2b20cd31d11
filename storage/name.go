package storage

import (
	"fmt"
	"strings"
)

// Temp is the one first element that no object's name has. A Store that needs
// a place for unfinished bytes keeps them below it.
const Temp = "tmp"

const (
	maxName = 200      // bytes in a name
	readme  = "README" // the one name with capitals
)

// MaxGet is the largest number of bytes one Get returns, so that an object
// blown up by somebody else cannot use up the memory.
const MaxGet = 1 << 30

// CheckName returns an error, saying what is wrong, unless name may name an
// object.
func CheckName(name string) error {
	if flaw := flawOf(name); flaw != "" {
		return fmt.Errorf("checking object name %.*q: it %s", maxName, name, flaw)
	}
	return nil
}

// CheckPrefix returns an error, saying what is wrong, unless prefix may be
// given to List.
func CheckPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	folder, ok := strings.CutSuffix(prefix, "/")
	if !ok {
		return fmt.Errorf(`checking prefix %.*q: it does not end in "/"`, maxName, prefix)
	}
	if flaw := flawOf(folder); flaw != "" {
		return fmt.Errorf("checking prefix %.*q: it %s", maxName, prefix, flaw)
	}
	return nil
}

// flawOf says what keeps name from naming an object; "" is a good name.
func flawOf(name string) string {
	switch {
	case name == readme:
		return ""
	case name == "":
		return "is empty"
	case len(name) > maxName:
		return fmt.Sprintf("is %d bytes long, more than %d", len(name), maxName)
	}
	for i, element := range strings.Split(name, "/") {
		if element == "" {
			return "has an empty element"
		}
		if i == 0 && element == Temp {
			return fmt.Sprintf("begins with %q, which is kept for unfinished objects", Temp)
		}
		for _, c := range []byte(element) {
			if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return fmt.Sprintf("has the byte %q", c)
			}
		}
	}
	return ""
}

// Span returns how many bytes Get(name, offset, length) returns of an object
// of size bytes: ErrShort, wrapped, when the object ends earlier, and another
// error for a range that no object has or that is longer than MaxGet.
func Span(size, offset, length int64) (int64, error) {
	if offset < 0 {
		return 0, fmt.Errorf("offset %d is negative", offset)
	}
	if offset > size || length > size-offset {
		return 0, fmt.Errorf("%w: %d bytes", ErrShort, size)
	}
	if length < 0 {
		length = size - offset
	}
	if length > MaxGet {
		return 0, fmt.Errorf("%d bytes are more than the %d that are read at once", length, int64(MaxGet))
	}
	return length, nil
}
