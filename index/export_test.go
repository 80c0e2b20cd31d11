package index

import "restante/blob"

// SetLimits makes a test's few records move on as many would.
func (x *Index) SetLimits(fold, round int, slack uint64) {
	x.limits = limits{fold: fold, foldMax: fold, round: round, slack: slack, whole: x.limits.whole}
}

// SetWhole sets up to which size a generation is checked whole.
func (x *Index) SetWhole(n int64) { x.limits.whole = n }

// SetScan makes LookupSorted go over the index, or look each ID up, whatever is cheaper.
func (x *Index) SetScan(scan bool) { x.scan = &scan }

// MaxRuns is the limit of table runs in a generation.
const MaxRuns = maxRuns

// Runs returns how many table runs the present generation has.
func (x *Index) Runs() int { return int(x.view.runs) }

// Folded returns how many records the present generation has.
func (x *Index) Folded() int { return int(x.view.folded) }

// Recode decodes data as the file synced and encodes it again.
func Recode(data []byte) ([]byte, error) {
	s, err := decodeState(data)
	if err != nil {
		return nil, err
	}
	return s.encode(), nil
}

// DecodeValue decodes a value in Badger and encodes it again.
func DecodeValue(value []byte) ([]byte, error) {
	spots, err := decodeSpots(nil, value)
	var b []byte
	for _, s := range spots {
		b = appendSpot(b, s)
	}
	return b, err
}

// SetSizes makes a test's few IDs move on as many would: limit is how many are
// in memory, filter how many bytes the filters have.
func (s *Set) SetSizes(limit, filter int) { s.limit, s.filter = limit, filter }

// InMemory returns how many IDs of the set are in memory.
func (s *Set) InMemory() (n int) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		n += len(sh.ids) + len(sh.frozen)
		sh.mu.Unlock()
	}
	return n
}

// OnDisk returns how many IDs the runs of the set have, in their order, and how
// many bytes their filters.
func (s *Set) OnDisk() (counts []int, filters int) {
	for _, r := range *s.runs.Load() {
		counts, filters = append(counts, r.count), filters+r.filter.size()
	}
	return counts, filters
}

// LoseRuns makes what the set has on disk unreadable.
func (s *Set) LoseRuns() { closeRuns(*s.runs.Load()) }

// Passing returns how many of strangers the filters of the set let pass.
func (s *Set) Passing(strangers []blob.ID) (n int) {
	for _, id := range strangers {
		for _, r := range *s.runs.Load() {
			if r.filter.mayHave(half(id[blob.IDSize-halfSize:])) {
				n++
				break
			}
		}
	}
	return n
}

// TrimEvery is how many look-ups there are between two looks at what is resident.
const TrimEvery = trimEvery

// TrimAlways makes the present generation give back what it takes of memory
// whenever it looks.
func (x *Index) TrimAlways() { x.view.gen.trim.above = -1 << 62 }

// TrimResident gives back what the present generation takes of memory.
func (x *Index) TrimResident() { unmapResident(x.view.gen.dir, nil) }
