package cli

import (
	"errors"
	"fmt"
	"strings"
)

// Words splits a command line into words as a POSIX shell does: at blanks,
// with 'single' and "double" quotes and the backslash. It expands nothing. As
// the command is run without a shell, what a shell would treat otherwise (a
// pipe, a variable, ~) is an error and not passed on as it is; within single
// quotes everything stands for itself. Errors do not repeat the command, which
// may hold a secret.
func Words(line string) ([]string, error) {
	var s splitter
	for _, r := range line {
		if err := s.next(r); err != nil {
			return nil, fmt.Errorf("splitting the command: %w", err)
		}
	}
	switch {
	case s.escaped:
		return nil, errors.New("splitting the command: it ends in a backslash")
	case s.quote != 0:
		return nil, fmt.Errorf("splitting the command: the quote %c is not closed", s.quote)
	}
	s.endWord()
	if len(s.words) == 0 {
		return nil, errors.New("splitting the command: it is empty")
	}
	return s.words, nil
}

type splitter struct {
	words   []string
	word    strings.Builder
	inWord  bool
	quote   rune // the open quote, or 0
	escaped bool // a backslash came before
}

func (s *splitter) next(r rune) error {
	switch {
	case s.escaped:
		s.escaped = false
		if s.quote == '"' && !strings.ContainsRune("\"\\$`", r) {
			s.word.WriteByte('\\') // within double quotes it stands for itself before other characters
		}
		s.word.WriteRune(r)
	case s.quote == '\'' && r != '\'':
		s.word.WriteRune(r)
	case r == '\\':
		s.escaped, s.inWord = true, true
	case s.quote != 0 && r == s.quote:
		s.quote = 0
	case r == '$' || r == '`':
		return needsShell(r)
	case s.quote != 0:
		s.word.WriteRune(r)
	case r == '\'' || r == '"':
		s.quote, s.inWord = r, true
	case strings.ContainsRune("|&;<>()", r) || r == '~' && !s.inWord:
		return needsShell(r)
	case r == ' ' || r == '\t' || r == '\n':
		s.endWord()
	default:
		s.word.WriteRune(r)
		s.inWord = true
	}
	return nil
}

func (s *splitter) endWord() {
	if s.inWord {
		s.words = append(s.words, s.word.String())
	}
	s.word.Reset()
	s.inWord = false
}

func needsShell(r rune) error {
	return fmt.Errorf("it is run without a shell, which %q needs: write sh -c '...'", r)
}
