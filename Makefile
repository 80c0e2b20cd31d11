# Everything works on a fresh machine with Go 1.26 or newer; see README.md.

.PHONY: build test bench quickstart lint fuzz torture mutants cross

build:       ## one static program: bin/restante
	scripts/build

test:        ## all tests
	scripts/test

bench:       ## restante against restic and borg; needs about 35 GiB of disk (FLAGS=--nights and others)
	scripts/bench $(FLAGS)

quickstart:  ## two nightly snapshots of a sample store, and a mailbox back
	scripts/quickstart

lint:        ## what the compiler lets pass
	scripts/lint

fuzz:        ## every fuzz target for a few seconds
	scripts/fuzz

torture:     ## the long forms of the tests that try to break a repository: half an hour
	scripts/torture

mutants:     ## takes each rule away on which it rests that nothing is lost: a test has to fail
	scripts/mutants

cross:       ## programs for other systems: dist/
	scripts/cross
