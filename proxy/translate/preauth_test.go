package translate

import (
	"testing"

	"github.com/emersion/go-imap/v2"
)

func TestPreauth(t *testing.T) {
	mechanisms := []string{"PLAIN", "OAUTHBEARER"}
	for name, tt := range map[string]struct {
		o    PreauthOptions
		want string
	}{
		"not secure yet": {PreauthOptions{StartTLS: true, LoginDisabled: true}, "IMAP4rev1 LITERAL+ ID SASL-IR STARTTLS LOGINDISABLED"},
		"secure":         {PreauthOptions{Mechanisms: mechanisms}, "IMAP4rev1 LITERAL+ ID SASL-IR AUTH=PLAIN AUTH=OAUTHBEARER"},
		"either":         {PreauthOptions{Mechanisms: mechanisms, StartTLS: true}, "IMAP4rev1 LITERAL+ ID SASL-IR STARTTLS AUTH=PLAIN AUTH=OAUTHBEARER"},
		"sessions known": {PreauthOptions{Mechanisms: mechanisms, Sessions: []imap.Cap{"IMAP4rev1", "LITERAL+", "ID", "IDLE", "MOVE", "QUOTA=RES-STORAGE"}},
			"IMAP4rev1 LITERAL+ ID SASL-IR AUTH=PLAIN AUTH=OAUTHBEARER IDLE MOVE QUOTA=RES-STORAGE"},
		"not before login": {PreauthOptions{Sessions: []imap.Cap{"XGWEXTENSIONS", "COMPRESS=DEFLATE", "IDLE", "LITERAL-"}}, "IMAP4rev1 LITERAL+ ID SASL-IR IDLE"},
		"removed": {PreauthOptions{Mechanisms: mechanisms, Policy: Policy{Remove: []imap.Cap{"LITERAL+", "ID", "SASL-IR", "AUTH=PLAIN", "IDLE"}},
			Sessions: []imap.Cap{"LITERAL-", "ID", "IDLE", "MOVE"}}, "IMAP4rev1 AUTH=OAUTHBEARER LITERAL- MOVE"},
		"the smaller literals": {PreauthOptions{Policy: Policy{Remove: []imap.Cap{"LITERAL+"}, Add: []imap.Cap{"LITERAL-", "XLIST"}}}, "IMAP4rev1 LITERAL- ID SASL-IR"},
		"not both literals":    {PreauthOptions{Policy: Policy{Add: []imap.Cap{"LITERAL-"}}}, "IMAP4rev1 LITERAL+ ID SASL-IR"},
		"cannot be removed": {PreauthOptions{LoginDisabled: true, Policy: Policy{Remove: []imap.Cap{"IMAP4rev1", "LOGINDISABLED", "LITERAL+", "ID", "SASL-IR"}}},
			"IMAP4rev1 LOGINDISABLED"},
	} {
		if got := Format(Preauth(tt.o)); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
	for _, c := range Preauth(PreauthOptions{StartTLS: true, LoginDisabled: true, Mechanisms: mechanisms}) {
		if row, ok := CapRow(c); !ok || row.Fate != Ours && row.Fate != BeforeLogin {
			t.Errorf("%s is offered before login as %+v", c, row)
		}
	}
}

func TestCommon(t *testing.T) {
	a, b := []imap.Cap{"A", "B", "C", "D"}, []imap.Cap{"D", "B", "E"}
	if got := Format(Common(a, b)); got != "B D" {
		t.Errorf("common are %q", got)
	}
	if got := Common(a, nil); got == nil || len(got) > 0 {
		t.Errorf("common with nothing is %q", got)
	}
}

// A mechanism that the policy adds is offered before login and not behind it.
func TestSessionHasNoMechanisms(t *testing.T) {
	policy := DefaultPolicy()
	policy.Polyfills, policy.Add = Choice{}, []imap.Cap{"AUTH=OAUTHBEARER", "STARTTLS", "XSTOP"}
	got := NewStack(Peers{Backend: ParseCaps("IMAP4rev1 AUTH=OAUTHBEARER STARTTLS XSTOP"), Policy: policy}, All()).CapText()
	if want := "IMAP4rev1 LITERAL+ ID XGWEXTENSIONS XSTOP"; got != want {
		t.Errorf("the session has %s, want %s", got, want)
	}
}
