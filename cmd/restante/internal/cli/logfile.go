package cli

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// The levels of a log file's events.
const (
	Info    = "info"
	Warning = "warning"
	Error   = "error"
)

// A Log is a file to which events are appended, one a line: the local time in
// RFC 3339, the level, the text as [Line] prints it. Its methods
// may be called by several goroutines, several processes may append to one
// file, and a nil Log drops everything.
type Log struct {
	mu   sync.Mutex
	file *os.File // guarded by mu
	err  error    // the first failure to write, guarded by mu
}

// OpenLog opens the file to append to it. A file it makes is readable by its
// owner alone, for events name mailboxes.
func OpenLog(path string) (*Log, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening log file: %w", err)
	}
	return &Log{file: f}, nil
}

// Event appends one event. A failure is kept for Close: a full log disk must
// not stop a backup.
func (l *Log) Event(level, text string) {
	if l == nil {
		return
	}
	line := fmt.Sprintf("%s %-7s %s\n", time.Now().Format(time.RFC3339), level, Line(text))
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.file.WriteString(line); err != nil && l.err == nil {
		l.err = fmt.Errorf("writing log file: %w", err)
	}
}

// Close closes the file and returns the first error there was with it.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.file.Close(); err != nil && l.err == nil {
		l.err = fmt.Errorf("closing log file: %w", err)
	}
	return l.err
}
