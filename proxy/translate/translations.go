package translate

import "github.com/imapgate/imapgate/proxy/wire"

// translations is the table of all, in the order in which they are asked.
var translations = []*Translation{xgwExtensions(), xgwMove(), move()}

// byCommand holds the translations of each command head.
var byCommand = func() map[string][]*Translation {
	by := make(map[string][]*Translation)
	for _, t := range translations {
		for _, head := range t.Commands {
			by[head] = append(by[head], t)
		}
	}
	return by
}()

// All returns every translation. A command belongs to the first whose Takes says yes.
func All() []*Translation { return translations }

// Answering returns the translation that answers a command in a session with these peers. It does not
// allocate.
func Answering(head string, p Peers) (*Translation, bool) {
	for _, t := range byCommand[head] {
		if t.Takes(p) {
			return t, true
		}
	}
	return nil, false
}

func bad(text string) error {
	return &Refused{Status: wire.Status{Type: "BAD", Text: text}}
}

func no(code, text string) error {
	return &Refused{Status: wire.Status{Type: "NO", Code: code, Text: text}}
}

func completed(head string) wire.Status {
	return wire.Status{Type: "OK", Text: head + " completed"}
}
