package mailgen

import (
	"fmt"
	"mime"
	"strings"
)

const (
	firstNames = `Alice Bruno Chiara David Erika Frank Greta Hanna Igor Jana Karel Lena Marco Nina Oskar
Petra Quentin Rosa Stefan Tereza Ulrich Vera Walter Xenia Yannick Zora Jürgen Zoë André Šárka`
	lastNames = `Weber Novak Rossi Dubois Keller Bianchi Moreau Fischer Svoboda Martin Bauer Horvat
Lambert Schulz Marino Dvorak Wagner Petit Becker Hoffmann Müller Šimek García`
	providers = `mailer.example post.example web.example bigmail.example uni.example shop.example
corp.example gov.example news.example lists.example`
)

// localDomains are the domains whose mail the store holds.
func localDomains() []string { return []string{"example.com", "example.org", "example.net"} }

// A person writes and receives mail.
type person struct {
	name, user, domain string
}

func (p person) address() string { return p.user + "@" + p.domain }

// header returns the person as a header field has it.
func (p person) header() string {
	if p.name == "" {
		return p.address()
	}
	if name := mime.QEncoding.Encode("UTF-8", p.name); name != p.name {
		return name + " <" + p.address() + ">"
	}
	return fmt.Sprintf("%q <%s>", p.name, p.address())
}

// localPeople returns the owners of the first n mailboxes; the first is alice@example.com.
func localPeople(n int) []person {
	names, domains := strings.Fields(firstNames), localDomains()
	people := make([]person, n)
	for i := range people {
		first, round := names[i%len(names)], i/len(names)
		p := person{name: first + " " + strings.Fields(lastNames)[i%23], domain: domains[i%len(domains)]}
		p.user = ascii(first)
		if round > 0 {
			p.user = fmt.Sprintf("%s%d", p.user, round+1)
		}
		people[i] = p
	}
	return people
}

// strangers returns people whose mail is elsewhere.
func strangers(rng *source) []person {
	names, surnames, domains := strings.Fields(firstNames), strings.Fields(lastNames), strings.Fields(providers)
	people := make([]person, 500)
	for i := range people {
		first, last := pick(rng, names), pick(rng, surnames)
		people[i] = person{name: first + " " + last, user: ascii(first) + "." + ascii(last), domain: pick(rng, domains)}
	}
	return people
}

// ascii returns a name as it stands in an address: in lower case, without accents.
func ascii(name string) string {
	return strings.NewReplacer("á", "a", "é", "e", "ë", "e", "í", "i", "š", "s", "ü", "u").Replace(strings.ToLower(name))
}
