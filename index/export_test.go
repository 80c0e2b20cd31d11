package index

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
