package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"unicode/utf8"

	"restante/blob"
	"restante/internal/cbor"
)

// Limits and version of the snapshot record. They are part of the format.
const (
	recordVersion = 1
	maxSnapshot   = 1 << 20
)

// ErrTooNew marks the refusal of a record made by a newer version of the program.
var ErrTooNew = errors.New("made by a newer version of the program")

// Run tells what the run that made a snapshot met, against its parent.
type Run struct {
	New, Changed, Unchanged, Removed uint64 // files
	NewMessages                      uint64 // that came: in new files, and by which files of several grew
	RemovedMessages                  uint64 // that went: in files that went, and by which files of several shrank
	FlaggedMessages                  uint64 // that have another name in their Maildir: other flags, or seen
	BytesRead                        uint64
	BytesStored                      uint64 // sealed, as the repository grew
	Expunged                         uint64 // messages gone between listing and reading, as a mail server does
	Vanished                         uint64 // other paths gone meanwhile
}

// Snapshot is the commit record: one state of one store.
type Snapshot struct {
	Store, Host, User string
	Roots             []string // absolute paths, any bytes
	Layout            string   // name of the mail layout
	Program           string   // that made it, with its version
	Tags              []string
	Description       string
	Started, Ended    Time
	Parent            [16]byte // session of the snapshot it was compared with; zero: none
	Tree              Root     // path to Entry
	Mailboxes         Root     // name to Mailbox
	Run               Run
	Excludes          []string // patterns, any bytes
	Incomplete        bool     // something that exists could not be saved
	Shrunk            bool     // made although the store had lost most mailboxes, because the user said so

	// Repaired is the session of the snapshot that this one has replaced, because
	// some of it was lost in the repository; zero: none. What was lost is entries
	// of kind Unsaved.
	Repaired [16]byte

	// Unlisted tells which folders of messages were not listed, but taken over
	// from the parent: bit i%8 of byte i/8 stands for the i-th folder of the tree,
	// in the order of the keys, for which [HoldsMessages].
	Unlisted []byte
}

// HoldsMessages reports whether a folder is called as those that hold the
// messages of a Maildir.
func HoldsMessages(k Key) bool {
	return k == "cur" || k == "new" || strings.HasSuffix(string(k), "\x00cur") || strings.HasSuffix(string(k), "\x00new")
}

// NoteFolder notes of the i-th folder of messages whether it was not listed.
func (s *Snapshot) NoteFolder(unlisted bool, i int) {
	if !unlisted {
		return
	}
	for len(s.Unlisted) <= i/8 {
		s.Unlisted = append(s.Unlisted, 0)
	}
	s.Unlisted[i/8] |= 1 << (i % 8)
}

// UnlistedFolder reports whether the i-th folder of messages was not listed.
func (s *Snapshot) UnlistedFolder(i int) bool {
	return i/8 < len(s.Unlisted) && s.Unlisted[i/8]>>(i%8)&1 == 1
}

// UnlistedFolders returns how many folders were not listed.
func (s *Snapshot) UnlistedFolders() int {
	n := 0
	for _, b := range s.Unlisted {
		n += bits.OnesCount8(b)
	}
	return n
}

// The encoding of a Snapshot. Key numbers are part of the format and never
// reused. Paths and patterns are byte strings: they come from a disk.
type wireSnapshot struct {
	Store       string   `cbor:"1,keyasint,omitempty"`
	Host        string   `cbor:"2,keyasint,omitempty"`
	User        string   `cbor:"3,keyasint,omitempty"`
	Roots       [][]byte `cbor:"4,keyasint,omitempty"`
	Layout      string   `cbor:"5,keyasint,omitempty"`
	Program     string   `cbor:"6,keyasint,omitempty"`
	Tags        []string `cbor:"7,keyasint,omitempty"`
	Description string   `cbor:"8,keyasint,omitempty"`
	Started     wireTime `cbor:"9,keyasint"`
	Ended       wireTime `cbor:"10,keyasint"`
	Parent      []byte   `cbor:"11,keyasint,omitempty"`
	Tree        wireRoot `cbor:"12,keyasint"`
	Mailboxes   wireRoot `cbor:"13,keyasint"`
	Run         wireRun  `cbor:"14,keyasint"`
	Excludes    [][]byte `cbor:"15,keyasint,omitempty"`
	Incomplete  bool     `cbor:"16,keyasint,omitempty"`
	Shrunk      bool     `cbor:"17,keyasint,omitempty"`
	Unlisted    []byte   `cbor:"18,keyasint,omitempty"`
	Repaired    []byte   `cbor:"19,keyasint,omitempty"`
}

type wireTime struct {
	_    struct{} `cbor:",toarray"`
	Sec  int64
	Nsec uint32
}

type wireRoot struct {
	_                                        struct{} `cbor:",toarray"`
	ID                                       blob.ID
	Level                                    uint8
	Entries, Files, Messages, Bytes, Unsaved uint64
}

type wireRun struct {
	_                                             struct{} `cbor:",toarray"`
	New, Changed, Unchanged, Removed              uint64
	NewMessages, RemovedMessages, FlaggedMessages uint64
	BytesRead, BytesStored, Expunged, Vanished    uint64
}

func (r *Root) wire() wireRoot {
	c := r.Counts
	return wireRoot{ID: r.ID, Level: r.Level, Entries: c.Entries, Files: c.Files, Messages: c.Messages, Bytes: c.Bytes, Unsaved: c.Unsaved}
}

func (w *wireRoot) root() Root {
	return Root{ID: w.ID, Level: w.Level, Counts: Counts{w.Entries, w.Files, w.Messages, w.Bytes, w.Unsaved}}
}

func (r *Run) wire() wireRun {
	return wireRun{New: r.New, Changed: r.Changed, Unchanged: r.Unchanged, Removed: r.Removed,
		NewMessages: r.NewMessages, RemovedMessages: r.RemovedMessages, FlaggedMessages: r.FlaggedMessages,
		BytesRead: r.BytesRead, BytesStored: r.BytesStored, Expunged: r.Expunged, Vanished: r.Vanished}
}

func (w *wireRun) run() Run {
	return Run{New: w.New, Changed: w.Changed, Unchanged: w.Unchanged, Removed: w.Removed,
		NewMessages: w.NewMessages, RemovedMessages: w.RemovedMessages, FlaggedMessages: w.FlaggedMessages,
		BytesRead: w.BytesRead, BytesStored: w.BytesStored, Expunged: w.Expunged, Vanished: w.Vanished}
}

// check refuses what a reader must not meet.
func (s *Snapshot) check() error {
	if s.Started.Nsec > maxNsec || s.Ended.Nsec > maxNsec {
		return errors.New("its nanoseconds are out of range")
	}
	if s.Tree.Level > maxLevel || s.Mailboxes.Level > maxLevel {
		return errors.New("its trees have too many levels")
	}
	for _, text := range append([]string{s.Store, s.Host, s.User, s.Layout, s.Program, s.Description}, s.Tags...) {
		if !utf8.ValidString(text) {
			return fmt.Errorf("%q is not UTF-8", text)
		}
	}
	return nil
}

// Encode returns the record's bytes. Store, Host, User, Layout, Program, Tags
// and Description must be UTF-8.
func (s *Snapshot) Encode() ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("encoding snapshot record: %w", err)
	}
	w := wireSnapshot{
		Store: s.Store, Host: s.Host, User: s.User, Roots: toBytes(s.Roots), Layout: s.Layout, Program: s.Program,
		Tags: s.Tags, Description: s.Description,
		Started: wireTime{Sec: s.Started.Sec, Nsec: s.Started.Nsec}, Ended: wireTime{Sec: s.Ended.Sec, Nsec: s.Ended.Nsec},
		Tree: s.Tree.wire(), Mailboxes: s.Mailboxes.wire(), Run: s.Run.wire(),
		Excludes: toBytes(s.Excludes), Incomplete: s.Incomplete, Shrunk: s.Shrunk, Unlisted: s.Unlisted,
	}
	if s.Parent != ([16]byte{}) {
		w.Parent = s.Parent[:]
	}
	if s.Repaired != ([16]byte{}) {
		w.Repaired = s.Repaired[:]
	}
	body, err := cbor.Marshal(&w)
	if err != nil {
		return nil, fmt.Errorf("encoding snapshot record: %w", err)
	}
	if len(body) >= maxSnapshot {
		return nil, fmt.Errorf("encoding snapshot record: its paths, tags and patterns take %d bytes, more than %d: %w", len(body), maxSnapshot, ErrTooLarge)
	}
	return append([]byte{recordVersion}, body...), nil
}

// DecodeSnapshot reads what Encode wrote. A record of a newer version gives
// [ErrTooNew], and anything else that it does not take [ErrDamaged].
func DecodeSnapshot(data []byte) (*Snapshot, error) {
	if len(data) == 0 || len(data) > maxSnapshot {
		return nil, fmt.Errorf("decoding snapshot record: %w: it has %d bytes, not 1 to %d", ErrDamaged, len(data), maxSnapshot)
	}
	if data[0] > recordVersion {
		return nil, fmt.Errorf("decoding snapshot record: it has version %d, and this program knows %d: %w", data[0], recordVersion, ErrTooNew)
	}
	if data[0] < recordVersion {
		return nil, fmt.Errorf("decoding snapshot record: %w: version %d does not exist", ErrDamaged, data[0])
	}
	var w wireSnapshot
	if err := cbor.Unmarshal(data[1:], &w); err != nil {
		return nil, fmt.Errorf("decoding snapshot record: %w: %w", ErrDamaged, err)
	}
	s := &Snapshot{
		Store: w.Store, Host: w.Host, User: w.User, Roots: toStrings(w.Roots), Layout: w.Layout, Program: w.Program,
		Tags: w.Tags, Description: w.Description,
		Started: Time{w.Started.Sec, w.Started.Nsec}, Ended: Time{w.Ended.Sec, w.Ended.Nsec},
		Tree: w.Tree.root(), Mailboxes: w.Mailboxes.root(), Run: w.Run.run(),
		Excludes: toStrings(w.Excludes), Incomplete: w.Incomplete, Shrunk: w.Shrunk, Unlisted: w.Unlisted,
	}
	copy(s.Parent[:], w.Parent)
	copy(s.Repaired[:], w.Repaired)
	again, err := s.Encode()
	if err == nil && !bytes.Equal(again, data) {
		err = errors.New("it is not in its one encoding")
	}
	if err != nil {
		return nil, fmt.Errorf("decoding snapshot record: %w: %w", ErrDamaged, err)
	}
	return s, nil
}
