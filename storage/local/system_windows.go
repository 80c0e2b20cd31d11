package local

const nonblock = 0 // folders hold no named pipes
