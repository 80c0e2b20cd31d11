package snapshot

// AppendEntry appends the encoding of an entry by itself, for a cache outside
// the repository.
func AppendEntry(dst []byte, e *Entry) ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	return appendEntry(dst, e)
}

// DecodeEntry reads what AppendEntry wrote. The entry keeps no reference to data.
func DecodeEntry(data []byte) (Entry, error) {
	r := reader{b: data}
	return parseEntry(&r)
}
