package durable

import "path/filepath"

// WritePrivate makes the file path, which must not be there, with data,
// durably. It has mode 0600 also in a folder that a group shares. Its error
// is that of [File.Commit].
func WritePrivate(path string, data []byte) error {
	d, err := OpenDir(filepath.Dir(path), "")
	if err != nil {
		return err
	}
	defer d.Close()
	d.shared, d.fileMode = false, 0o600
	f, err := d.Create()
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Commit(filepath.Base(path))
}
