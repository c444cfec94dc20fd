package translate

import (
	"slices"
	"testing"

	"github.com/emersion/go-imap/v2"
)

// TestQuirkTable holds each entry to its form: a name, all texts, and a way to find it or a reason to name
// it.
func TestQuirkTable(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range AllQuirks() {
		if k.Name == "" || k.Of == "" || k.Does == "" || k.Gets == "" || k.Source == "" || seen[k.Name] {
			t.Errorf("entry %q is incomplete or twice there", k.Name)
		}
		if k.Name == "auto" || k.Name == "off" {
			t.Errorf("%q means something else in settings", k.Name)
		}
		if k.Found != nil && k.Client != nil {
			t.Errorf("%s is of a server and of a client", k.Name)
		}
		if k.Apply == nil && (k.Found != nil || k.Client != nil) {
			t.Errorf("%s is found, and nothing follows", k.Name)
		}
		seen[k.Name] = true
	}
	if names := QuirkNames(); len(names) != len(seen) || !slices.Contains(names, "exchange") {
		t.Errorf("the names are %v", names)
	}
}

func TestFindQuirks(t *testing.T) {
	auto, set := Choice{Auto: true}, func(names ...string) Choice { return Choice{Names: names} }
	zimbra := []imap.Cap{"IMAP4rev1", "QRESYNC", "RIGHTS=ektx", "XLIST"}
	for _, tt := range []struct {
		choice   Choice
		greeting string
		caps     []imap.Cap
		want     []string
	}{
		{auto, "Dovecot ready.", nil, nil},
		{auto, "", nil, nil},
		{auto, "The Microsoft Exchange IMAP4 service is ready. [QgBZADU=]", nil, []string{"exchange"}},
		{auto, "Microsoft Exchange Server 2007 IMAP4 service is ready", nil, []string{"exchange", "exchange2007"}},
		{auto, "Microsoft Exchange Server 2003 IMAP4rev1 server version 6.5.7638.1 (a) ready.", nil, []string{"exchange2003"}},
		{auto, "GroupWise IMAP4rev1 Server Ready", nil, []string{"groupwise"}},
		{auto, "ready", []imap.Cap{"XGWEXTENSIONS"}, []string{"groupwise"}},
		{auto, "Courier-IMAP ready. Copyright 1998-2018 Double Precision, Inc.", nil, []string{"courier"}},
		{auto, "ready", []imap.Cap{"XMAGICTRASH"}, []string{"courier"}},
		{auto, "localhost IMAP4rev1 2007f.404 at Mon, 1 Jan 2024 00:00:00 +0000 (UTC)", nil, []string{"uw"}},
		{auto, "localhost Panda IMAP 2020 ready", nil, []string{"uw"}},
		{auto, "ready", []imap.Cap{"XYMHIGHESTMODSEQ"}, []string{"yahoo"}},
		{auto, "mail.example.org Zimbra IMAP4rev1 server ready", nil, []string{"zimbra"}},
		{auto, "IMAP4 ready", zimbra, []string{"zimbra"}},
		{auto, "groupwise.example.org Cyrus IMAP v2.4.17 server ready", nil, nil},
		{auto, "Dovecot at mail.zimbra.example.org ready.", nil, nil},
		{auto, "Domino IMAP4 Server Release 9.0.1 ready", nil, []string{"domino"}},
		{auto, "IMAP4rev1", nil, []string{"mailutils"}},
		{auto, "Proton Mail Bridge 03.08.01 - gluon session ID 3", nil, []string{"protonmail"}},
		{Choice{}, "Courier-IMAP ready.", nil, nil},
		{set("domino"), "Courier-IMAP ready.", nil, []string{"domino"}},
		{set("outlook-express", "uw"), "Courier-IMAP ready.", nil, []string{"uw", "outlook-express"}},
	} {
		caps := imap.CapSet{}
		for _, c := range tt.caps {
			caps[c] = struct{}{}
		}
		if got := FindQuirks(tt.choice, Server{Greeting: tt.greeting, Caps: caps}).Names; !slices.Equal(got, tt.want) {
			t.Errorf("%v, %q, %v: %v, want %v", tt.choice, tt.greeting, tt.caps, got, tt.want)
		}
	}
}

func TestFindClientQuirks(t *testing.T) {
	for _, tt := range []struct {
		choice Choice
		name   string
		want   []string
	}{
		{Choice{Auto: true}, "Thunderbird 115.0", []string{"thunderbird"}},
		{Choice{Auto: true}, "Mutt", nil},
		{Choice{Auto: true}, "", nil},
		{Choice{}, "Thunderbird", nil},
	} {
		if got := FindClientQuirks(tt.choice, tt.name).Names; !slices.Equal(got, tt.want) {
			t.Errorf("%v, %q: %v, want %v", tt.choice, tt.name, got, tt.want)
		}
	}
}

// Several quirks of one session: the narrowest limit counts, and all work-arounds are there.
func TestQuirksAddUp(t *testing.T) {
	q := FindQuirks(Choice{Names: []string{"courier", "uw"}}, Server{})
	if q.Line != 1000 || q.Literal != 10_000 || !q.AskUIDNext || len(q.Rewrites) != 1 {
		t.Errorf("%+v", q)
	}
}

func TestHiddenCapabilities(t *testing.T) {
	q := FindQuirks(Choice{Names: []string{"exchange2003"}}, Server{})
	had := imap.CapSet{imap.CapNamespace: {}, imap.CapUIDPlus: {}}
	if got := q.Visible(had); len(got) != 1 || len(had) != 2 {
		t.Errorf("%v of %v", got, had)
	}
}
