package seal

// Seams for tests: the two encoders and the decoder behind them.

func (h Header) Encode() []byte { return h.encode() }

var (
	EncodeKeys = encodeKeys
	DecodeKeys = decodeKeys
)
