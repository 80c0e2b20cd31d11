package restore

// fail gives a file up. Only the first reason counts.
func (r *runner) fail(f *file, err error) {
	f.mu.Lock()
	first := f.err == nil
	if first {
		f.err = err
	}
	f.mu.Unlock()
	if first {
		r.failed(f.path, err)
	}
}

// failed reports an entry that was not restored. A full disk ends the run.
func (r *runner) failed(path string, err error) {
	if full(err) {
		r.stop(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failure(path, err, 1)
}

// lost reports entries that are not known, and so were not restored.
func (r *runner) lost(s *step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failure(s.path, s.err, s.lost)
}

// failure is the failure of n entries, with r.mu held.
func (r *runner) failure(path string, err error, n uint64) {
	r.result.Failures += n
	if len(r.result.Failed) < maxFailures {
		r.result.Failed = append(r.result.Failed, Failure{path, err})
	}
	if r.opts.Warn != nil {
		r.opts.Warn(path, err)
	}
}

// warn reports something that is restored, but not wholly as it was.
func (r *runner) warn(path string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notSet(path, err)
}

// notSet is warn with r.mu held.
func (r *runner) notSet(path string, err error) {
	r.result.NotSet++
	if r.opts.Warn != nil {
		r.opts.Warn(path, err)
	}
}

// count adds what happened to the result, and what could not be set.
func (r *runner) count(path string, u unset, add func(*Result)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	add(&r.result)
	if u.refuse {
		r.result.OwnersNotSet++
	}
	if u.err != nil {
		r.notSet(path, u.err)
	}
}

func (r *runner) completed(f *file, u unset) {
	r.count(f.path, u, func(res *Result) { res.Files++; res.Bytes += f.entry.Size })
	r.advance(1, 0)
}

func (r *runner) skipped(f *file, u unset) {
	f.active, f.done = false, true // each file has one worker here
	r.count(f.path, u, func(res *Result) { res.Skipped++ })
	r.advance(1, f.entry.Size)
}

func (r *runner) linked(f *file, s linkState) {
	r.count(f.path, unset{}, func(res *Result) {
		if s == linkThere {
			res.Skipped++
		} else {
			res.Files++
		}
	})
	r.advance(1, f.entry.Size)
}

func (r *runner) madeNode(path string, u unset) {
	r.count(path, u, func(res *Result) { res.Nodes++ })
}

func (r *runner) madeFolder(path string, u unset) {
	r.count(path, u, func(res *Result) { res.Folders++ })
}

// wrote reports bytes of files written.
func (r *runner) wrote(n uint64) { r.advance(0, n) }

// advance reports progress.
func (r *runner) advance(files, bytes uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress.Files += files
	r.progress.Bytes += bytes
	if r.opts.Progress != nil {
		r.opts.Progress(r.progress)
	}
}
