package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"restante/cmd/restante/internal/cli"
)

// maxSecret bounds what is read as a password or key file: far more than
// either has, and little enough for --password-file /dev/zero.
const maxSecret = 64 << 10

func fromValue(_ context.Context, value string) (credential, error) {
	return asPassword([]byte(value), "the variable")
}

// fromPasswordFile takes the file's contents without one trailing line end as
// the passphrase.
func fromPasswordFile(_ context.Context, path string) (credential, error) {
	data, err := readSecret(path)
	if err != nil {
		return credential{}, err
	}
	return asPassword(trimLineEnd(data), fmt.Sprintf("the file %q", path))
}

func fromKeyFile(_ context.Context, path string) (credential, error) {
	data, err := readSecret(path)
	if err == nil && len(data) == 0 {
		err = fmt.Errorf("the file %q is empty", path)
	}
	return credential{keyFile: data}, err
}

// fromCommand runs the command without a shell and takes what it prints,
// without one trailing line end, as the passphrase. The command has the
// program's own input and error output, for it may have to ask for something.
func fromCommand(ctx context.Context, line string) (credential, error) {
	words, err := cli.Words(line)
	if err != nil {
		return credential{}, &cli.UsageError{Err: err}
	}
	var printed limitedBuffer
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, &printed, os.Stderr
	cmd.WaitDelay = time.Second // a child of the command's may keep its output open
	if err := cmd.Run(); err != nil {
		return credential{}, fmt.Errorf("running %q: %w", words[0], err)
	}
	return asPassword(trimLineEnd(printed.data), fmt.Sprintf("what %q printed", words[0]))
}

func asPassword(data []byte, where string) (credential, error) {
	password, err := checkPassword(string(data), where)
	return credential{passphrase: password}, err
}

// checkPassword refuses the empty passphrase: it would open to everybody, and
// comes from an unset variable more often than from a person. Several lines
// are most likely some other file, and could not be typed.
func checkPassword(password, where string) (string, error) {
	if password == "" {
		return "", fmt.Errorf("the password is empty: %s has none", where)
	}
	if strings.ContainsAny(password, "\r\n") {
		return "", fmt.Errorf("%s has several lines; a passphrase is one line", where)
	}
	return password, nil
}

func readSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err // it names the file
	}
	defer f.Close()
	var b limitedBuffer
	if _, err := io.Copy(&b, f); err != nil {
		return nil, fmt.Errorf("reading %q: %w", path, err)
	}
	return b.data, nil
}

// trimLineEnd takes one line end off, which editors and echo add.
func trimLineEnd(b []byte) []byte {
	s := strings.TrimSuffix(string(b), "\n")
	if len(s) < len(b) {
		s = strings.TrimSuffix(s, "\r")
	}
	return []byte(s)
}

// limitedBuffer keeps what is written and refuses to hold more than maxSecret
// bytes. It is no bytes.Buffer itself, whose ReadFrom knows no limit.
type limitedBuffer struct {
	data []byte
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if len(b.data)+len(p) > maxSecret {
		return 0, errors.New("it is too long to be a password or a key")
	}
	b.data = append(b.data, p...)
	return len(p), nil
}
