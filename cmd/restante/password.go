package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"restante/cmd/restante/internal/cli"
)

// credentialFlags name where a password or a key file is to be had.
type credentialFlags struct {
	passwordFile, passwordCommand, keyFile string
}

func (c *credentialFlags) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&c.passwordFile, "password-file", "", "read the password, which is one line, from `FILE` (RESTANTE_PASSWORD_FILE)")
	fs.StringVar(&c.passwordCommand, "password-command", "", "the password is what `COMMAND` prints (RESTANTE_PASSWORD_COMMAND)")
	fs.StringVar(&c.keyFile, "key-file", "", "open the repository with the key in `FILE`, without a password (RESTANTE_KEY_FILE)")
}

// A credential opens a repository: a passphrase, or else the contents of a key
// file. Source says where it came from, for messages.
type credential struct {
	passphrase string
	keyFile    []byte
	source     string
}

// credential returns what opens the repository. The options come before the
// environment, that before systemd's credentials folder, and all before the
// terminal. Two at once in one of these places, or none in all, is wrong usage.
func (a *app) credential(ctx context.Context, out *output, repository string) (credential, error) {
	s, err := a.credentials.choose()
	if err != nil {
		return credential{}, err
	}
	if s == nil {
		password, err := a.ask(ctx, out, fmt.Sprintf("Password for the repository %s: ", cli.Line(repository)),
			"--password-file, --password-command, --key-file, RESTANTE_PASSWORD or a systemd credential restante.password")
		return credential{passphrase: password, source: "what was typed"}, err
	}
	return s.read(ctx)
}

// newPassword returns the passphrase to be set: from file if that is not
// empty; else, where a command's password is new itself (init), from the
// sources that credential has; else typed twice.
func (a *app) newPassword(ctx context.Context, out *output, file string, otherSources bool) (string, error) {
	if file != "" {
		c, err := fromPasswordFile(ctx, file)
		return c.passphrase, err
	}
	if otherSources {
		s, err := a.credentials.choose()
		if err != nil {
			return "", err
		}
		if s != nil {
			c, err := s.read(ctx)
			if err == nil && c.passphrase == "" {
				return "", cli.Usagef("a password is to be set, but %s is a key file: give --new-password-file FILE", s.name)
			}
			return c.passphrase, err
		}
	}
	sources := "--new-password-file"
	if otherSources {
		sources += ", --password-command, RESTANTE_PASSWORD or a systemd credential restante.password"
	}
	first, err := a.ask(ctx, out, "New password: ", sources)
	if err != nil {
		return "", err
	}
	second, err := a.ask(ctx, out, "New password, once more: ", sources)
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("setting password: the two that were typed differ")
	}
	return first, nil
}

// ask asks for a password at the terminal. Where there is none, the error
// names the other sources.
func (a *app) ask(ctx context.Context, out *output, question, sources string) (string, error) {
	if !term.IsTerminal(int(a.stdin.Fd())) {
		return "", cli.Usagef("there is no password and no terminal to ask for one: give %s", sources)
	}
	password, err := askSecret(ctx, a.stdin, out.stderr, question)
	if err != nil {
		return "", err
	}
	return checkPassword(password, "what was typed")
}

// A source is a place where the user may have put a credential.
type source struct {
	name  string // as the user knows it
	value string // what was given there
	given bool
	get   func(ctx context.Context, value string) (credential, error)
}

func (s *source) read(ctx context.Context) (credential, error) {
	c, err := s.get(ctx, s.value)
	if err != nil {
		return credential{}, fmt.Errorf("getting the password by %s: %w", s.name, err)
	}
	c.source = s.name
	return c, nil
}

// choose returns the source to use, nil if nothing is named anywhere.
func (c *credentialFlags) choose() (*source, error) {
	for _, place := range [][]source{c.fromFlags(), fromEnvironment(), fromSystemd()} {
		var chosen *source
		for i, s := range place {
			switch {
			case !s.given:
			case chosen != nil:
				return nil, cli.Usagef("%s and %s are both given: one is enough", chosen.name, s.name)
			default:
				chosen = &place[i]
			}
		}
		if chosen != nil {
			return chosen, nil
		}
	}
	return nil, nil
}

func (c *credentialFlags) fromFlags() []source {
	return []source{
		{"--password-file", c.passwordFile, c.passwordFile != "", fromPasswordFile},
		{"--password-command", c.passwordCommand, c.passwordCommand != "", fromCommand},
		{"--key-file", c.keyFile, c.keyFile != "", fromKeyFile},
	}
}

// fromEnvironment takes an empty RESTANTE_PASSWORD as given, and so refused:
// it is what a failed command makes of RESTANTE_PASSWORD="$(command)".
func fromEnvironment() []source {
	password, given := os.LookupEnv("RESTANTE_PASSWORD")
	file, command, key := os.Getenv("RESTANTE_PASSWORD_FILE"), os.Getenv("RESTANTE_PASSWORD_COMMAND"), os.Getenv("RESTANTE_KEY_FILE")
	return []source{
		{"RESTANTE_PASSWORD", password, given, fromValue},
		{"RESTANTE_PASSWORD_FILE", file, file != "", fromPasswordFile},
		{"RESTANTE_PASSWORD_COMMAND", command, command != "", fromCommand},
		{"RESTANTE_KEY_FILE", key, key != "", fromKeyFile},
	}
}

// fromSystemd looks into the folder where systemd puts the credentials that
// LoadCredential= and SetCredential= name.
func fromSystemd() []source {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return nil
	}
	password, key := filepath.Join(dir, "restante.password"), filepath.Join(dir, "restante.key")
	return []source{
		{"the credential restante.password", password, exists(password), fromPasswordFile},
		{"the credential restante.key", key, exists(key), fromKeyFile},
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
