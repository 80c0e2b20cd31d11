// Package arch holds the project to its architecture. Its test reads the
// sources of all packages and fails where one imports what the layers do not
// allow, where a third-party module has got a second importer, where a
// function has grown too long, and where a package or an exported name has no
// comment. A new edge in a table of the test is a line for review.
package arch
