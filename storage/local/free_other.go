//go:build !(linux || darwin || freebsd || windows)

package local

import (
	"errors"
	"os"
)

// free would return how many bytes may still be written.
func free(*os.Root) (uint64, error) { return 0, errors.ErrUnsupported }
