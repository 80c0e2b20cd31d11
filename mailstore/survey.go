package mailstore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"restante/message"
)

// Counts are the sizes of a part of a store.
type Counts struct {
	Files      int64 // regular files
	Messages   int64 // in Maildirs, mboxes and dbox files; in a plain store what looks like them
	Bytes      int64 // of the regular files
	Unreadable int64 // files and folders that this user may not read; what is below such a folder is not counted
}

func (c *Counts) add(o Counts) {
	c.Files += o.Files
	c.Messages += o.Messages
	c.Bytes += o.Bytes
	c.Unreadable += o.Unreadable
}

// A Survey says how much is in a store.
type Survey struct {
	Total      Counts
	Mailboxes  []Counts     // as Store.Mailboxes
	Other      Counts       // what belongs to nobody
	Unreadable []Unreadable // sorted by place
}

// Survey walks the whole store and counts. It reads mboxes and dbox files, for
// there is no other way to know how many messages they hold, of a plain store the
// beginning of each file, and no other file. What changes meanwhile is counted or not. It returns an error only when ctx ends.
func (s *Store) Survey(ctx context.Context) (*Survey, error) {
	r, err := s.survey(ctx, false)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(r.Unreadable, func(a, b Unreadable) int {
		return cmp.Or(cmp.Compare(a.Root, b.Root), strings.Compare(a.Path, b.Path))
	})
	return r, nil
}

// Size counts the files and bytes of the store, and nothing else: it opens no
// file. It returns an error only when ctx ends.
func (s *Store) Size(ctx context.Context) (Counts, error) {
	r, err := s.survey(ctx, true)
	if err != nil {
		return Counts{}, err
	}
	return Counts{Files: r.Total.Files, Bytes: r.Total.Bytes}, nil
}

func (s *Store) survey(ctx context.Context, sizes bool) (*Survey, error) {
	r := &Survey{Mailboxes: make([]Counts, len(s.Mailboxes))}
	v := &surveyor{ctx: ctx, store: s, sizes: sizes, result: r}
	for i, root := range s.Roots {
		v.root = i
		v.start(root)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.Total.add(r.Other)
	for _, c := range r.Mailboxes {
		r.Total.add(c)
	}
	return r, nil
}

type surveyor struct {
	ctx    context.Context
	store  *Store
	sizes  bool // only these are asked for
	root   int
	result *Survey
	cut    message.Cutter // of files of several messages
	head   [MailHead]byte
}

// counts returns the counts of a mailbox, or those of nobody.
func (v *surveyor) counts(mailbox int) *Counts {
	if mailbox == Nobody {
		return &v.result.Other
	}
	return &v.result.Mailboxes[mailbox]
}

// start surveys the root at the absolute path root.
func (v *surveyor) start(root string) {
	if info, err := os.Stat(root); err == nil && !info.IsDir() {
		v.fileRoot(root)
		return
	}
	h, err := os.OpenRoot(root)
	if err != nil {
		v.unreadable("", v.store.Dir(v.root, "").Mailbox, err)
		return
	}
	defer h.Close()
	v.dir(h, "")
}

// fileRoot surveys a root that is a file.
func (v *surveyor) fileRoot(root string) {
	i := strings.LastIndexByte(root, os.PathSeparator)
	h, err := os.OpenRoot(root[:i+1])
	if err != nil {
		v.unreadable("", Nobody, err)
		return
	}
	defer h.Close()
	role, mailbox := v.store.Dir(v.root, "").File("")
	v.file(h, root[i+1:], "", role, mailbox)
}

// dir surveys the folder h at path.
func (v *surveyor) dir(h *os.Root, path string) {
	info := v.store.Dir(v.root, path)
	f, err := h.Open(".")
	if err != nil {
		v.unreadable(path, info.Mailbox, err)
		return
	}
	defer f.Close()
	for v.ctx.Err() == nil {
		entries, err := f.ReadDir(namesAtOnce)
		for _, e := range entries {
			v.entry(h, info, path, e)
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			v.unreadable(path, info.Mailbox, err)
			return
		}
	}
}

// entry surveys one entry of the folder h, of which info tells.
func (v *surveyor) entry(h *os.Root, info DirInfo, path string, e fs.DirEntry) {
	name := e.Name()
	p := joinPath(path, name)
	switch e.Type() {
	case fs.ModeDir:
		sub, err := h.OpenRoot(name)
		if err != nil {
			v.unreadable(p, v.store.Dir(v.root, p).Mailbox, err)
			return
		}
		defer sub.Close()
		v.dir(sub, p)
	case 0:
		role, mailbox := info.File(name)
		v.file(h, name, p, role, mailbox)
	}
}

// file surveys the regular file called name in h.
func (v *surveyor) file(h *os.Root, name, path string, role FileRole, mailbox int) {
	if v.ctx.Err() != nil {
		return
	}
	info, err := h.Lstat(name)
	if err != nil {
		v.unreadable(path, mailbox, err)
		return
	}
	c := v.counts(mailbox)
	c.Files++
	c.Bytes += info.Size()
	if v.sizes {
		return
	}
	if role == Message {
		c.Messages++
	}
	if role == MboxFile || role == DboxFile || role == Loose {
		n, err := v.countMail(h, name, role)
		c.Messages += n
		if err != nil {
			v.unreadable(path, mailbox, err)
		}
	} else if !mayRead(h, name, info) {
		v.unreadable(path, mailbox, fs.ErrPermission)
	}
}

// countMail counts the messages in a file, none if it is no mail.
func (v *surveyor) countMail(h *os.Root, name string, role FileRole) (int64, error) {
	f, err := openFile(h, name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	read, err := io.ReadFull(f, v.head[:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, err
	}
	kind, mail := MailKind(role, name, v.head[:read])
	switch {
	case !mail || !role.Counts(kind):
		return 0, nil
	case kind == message.Mail:
		return 1, nil
	}
	n := int64(0)
	for v.cut.Reset(io.MultiReader(bytes.NewReader(v.head[:read]), f), kind); v.ctx.Err() == nil; {
		b, err := v.cut.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
		if b.Counts {
			n++
		}
	}
	return n, nil
}

// unreadable notes what could not be read, unless it is gone.
func (v *surveyor) unreadable(path string, mailbox int, err error) {
	if os.IsNotExist(err) {
		return
	}
	v.counts(mailbox).Unreadable++
	v.result.Unreadable = append(v.result.Unreadable, Unreadable{v.root, path, err})
}

// mayRead reports whether this user may read the file. It asks the system only
// where the file's mode does not say so.
func mayRead(h *os.Root, name string, info fs.FileInfo) bool {
	if os.Geteuid() == 0 || info.Mode()&0o004 != 0 {
		return true
	}
	f, err := openFile(h, name)
	if err != nil {
		return !os.IsPermission(err)
	}
	f.Close()
	return true
}
