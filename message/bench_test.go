package message_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"restante/chunking"
	"restante/message"
)

func BenchmarkEncode(b *testing.B) {
	data := []byte(noise(message.EncodeStep))
	out := make([]byte, 2*len(data))
	var e message.LineEncoder
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		e.Reset(76, message.CRLF)
		e.Encode(out, data)
	}
}

func BenchmarkCut(b *testing.B) {
	attachment := mail(lines(noise(3<<20), 76, "\r\n"), "\r\n")
	text := "Subject: x\n\n" + strings.Repeat("On Monday we met to talk about what the others had said before.\nIt was short.\n\n", 20_000)
	small := mail("", "\n") + strings.Repeat("> quoted text of some length\n", 150)
	for name, data := range map[string]string{"attachment": attachment, "text": text, "small": small} {
		b.Run(name, func(b *testing.B) {
			var c message.Cutter
			r := strings.NewReader(data)
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				r.Reset(data)
				cutAll(b, &c, r, message.Mail)
			}
		})
	}
	b.Run("attachment, by content", func(b *testing.B) { // what it costs without this package
		c, err := chunking.New(0x3DA3358B4DC173)
		if err != nil {
			b.Fatal(err)
		}
		r := strings.NewReader(attachment)
		buf := make([]byte, chunking.MaxSize)
		b.SetBytes(int64(len(attachment)))
		for b.Loop() {
			r.Reset(attachment)
			c.Reset(r)
			for err = nil; err == nil; {
				_, _, err = c.Next(buf)
			}
			if err != io.EOF {
				b.Fatal(err)
			}
		}
	})
	b.Run("mbox", func(b *testing.B) {
		one := "From a@example.com Mon Jan  5 10:11:12 2026\n" + small + "\n"
		data := bytes.Repeat([]byte(one), 1000)
		var c message.Cutter
		r := bytes.NewReader(data)
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			r.Reset(data)
			cutAll(b, &c, r, message.Mbox)
		}
	})
}
