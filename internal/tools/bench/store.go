package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// A store is mail to be backed up.
type store struct {
	name    string
	missing string // why it is not there; empty if it is
	dir     string // what is backed up
	mailbox string // the mailbox that is restored by itself: its name,
	box     string // and its folder in dir
}

// corpus returns a function that unpacks the corpus of a name, in which one
// mailbox is a folder.
func corpus(name, mailbox string) func(work string, o options) (store, error) {
	return func(work string, o options) (store, error) { return unpack(name, mailbox, work, o) }
}

func unpack(name, mailbox, work string, o options) (store, error) {
	s := store{name: name, mailbox: mailbox, box: mailbox}
	if o.only != "" && o.only != s.name {
		s.missing = s.name + ": not asked for."
		return s, nil
	}
	corpora := os.Getenv("RESTANTE_CORPORA")
	if corpora == "" {
		corpora = filepath.Join("..", "shared", "corpora")
	}
	made, script := filepath.Join(work, "corpora"), filepath.Join(corpora, "unpack")
	if _, err := os.Stat(script); err != nil {
		s.missing = s.name + ": not measured, RESTANTE_CORPORA names no folder with the corpora."
		return s, nil
	}
	if out, err := exec.Command(script, made, s.name).CombinedOutput(); err != nil {
		return s, fmt.Errorf("unpacking %s: %w\n%s", s.name, err, out)
	}
	s.dir = filepath.Join(made, s.name)
	return s, nil
}

// generated makes a store with internal/mailgen, in a process of its own.
func generated(work string, o options) (store, error) {
	s := store{name: "generated", mailbox: "alice@example.com", box: "example.com/alice"}
	if o.only != "" && o.only != s.name {
		s.missing = s.name + ": not asked for."
		return s, nil
	}
	made := filepath.Join(work, "generated")
	if err := mailgen(made, false, "--messages", strconv.Itoa(o.messages), "--mailboxes", "40"); err != nil {
		return s, err
	}
	s.dir = filepath.Join(made, "vmail")
	return s, nil
}

// A tally is how much a tree holds.
type tally struct {
	files int
	bytes int64
}

// count counts the regular files below dir.
func count(dir string) (tally, error) {
	var t tally
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		t.files++
		t.bytes += info.Size()
		return nil
	})
	return t, err
}

// A weight is how much a repository takes.
type weight struct {
	bytes int64
	data  int64 // of those, restante's data packs; the rest is metadata
}

func (w weight) minus(v weight) weight { return weight{w.bytes - v.bytes, w.data - v.data} }

// dataPack is how a pack of data begins (package seal): the object's magic, and its kind.
const dataPack = "restantep"

// weigh weighs the repository of any tool; of restante's it knows what is data.
func weigh(dir string) (weight, error) {
	var w weight
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return err
		}
		w.bytes += info.Size()
		head := make([]byte, len(dataPack))
		if _, err := io.ReadFull(file, head); err == nil && string(head) == dataPack {
			w.data += info.Size()
		}
		return nil
	})
	return w, err
}

// messageFolders counts the folders of messages in Maildirs.
func messageFolders(dir string) (int64, error) {
	var n int64
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && (e.Name() == "cur" || e.Name() == "new") {
			n++
		}
		return err
	})
	return n, err
}

// warm reads every file below dir, so that it is in the page cache.
func warm(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = io.Copy(io.Discard, file)
		return err
	})
}
