package mem_test

import (
	"testing"

	"restante/storage"
	"restante/storage/mem"
	"restante/storage/storagetest"
)

func TestStore(t *testing.T) {
	storagetest.Test(t, func(*testing.T) storage.Store { return mem.New() })
}
