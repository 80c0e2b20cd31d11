package mailstore_test

import (
	"errors"
	"testing"

	"restante/mailstore"
)

func TestMatch(t *testing.T) {
	names := []mailstore.Name{
		{Name: "alice@example.com", Aliases: []string{"alice-2020"}},
		{Name: "alicia@example.com"},
		{Name: "bob@example.com", Aliases: []string{"post"}},
		{Name: "bob@example.org", Aliases: []string{"post"}},
		{Name: "post"},
		{Name: `bad\xffname`},
	}
	for query, want := range map[string]string{
		"alice@example.com":      "alice@example.com",
		"alice":                  "alice@example.com",
		"alice-2020":             "alice@example.com",
		"post":                   "post",
		"bad\xffname":            `bad\xffname`,
		"bob":                    `mailbox "bob" is one of bob@example.com, bob@example.org: say which`,
		"alcie":                  `unknown mailbox "alcie": did you mean alice@example.com?`,
		"ALICE":                  `unknown mailbox "ALICE": did you mean alice@example.com?`,
		"alicee@example.com":     `unknown mailbox "alicee@example.com": did you mean alice@example.com or alicia@example.com?`,
		"nobody@nowhere.invalid": `unknown mailbox "nobody@nowhere.invalid"`,
		"":                       `unknown mailbox ""`,
		"bob@example.net":        `unknown mailbox "bob@example.net": did you mean bob@example.com or bob@example.org?`,
	} {
		i, err := mailstore.Match(names, query)
		got := names[i].Name
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
	}
	var unknown *mailstore.UnknownError
	if _, err := mailstore.Match(nil, "x"); !errors.As(err, &unknown) {
		t.Errorf("of no mailboxes: %v", err)
	}
}

func TestMatchFolder(t *testing.T) {
	folders := []string{"INBOX", "Entwürfe", "R&D", "Work/2020"}
	for query, want := range map[string]string{
		"inbox":        "INBOX",
		"Entwürfe":     "Entwürfe",
		"Entw&APw-rfe": "Entwürfe",
		"R&D":          "R&D",
		"R&-D":         "R&D",
		"Work/2020":    "Work/2020",
		"Entwurfe":     `unknown folder "Entwurfe": did you mean Entwürfe?`,
		"work":         `unknown folder "work"`,
	} {
		i, err := mailstore.MatchFolder(folders, query)
		got := folders[i]
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
	}
}
