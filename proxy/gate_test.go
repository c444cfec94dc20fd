package proxy

import (
	"maps"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/imapgate/imapgate/proxy/imaptest"
)

// Who uses what he is not offered is counted, by the table's name of it; nobody else is.
func TestUseOfWhatWasTakenAwayIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		th := startWith(t, func(th *theatre) {
			th.opts.Registry = reg
			th.opts.Policy.Remove = capNames("CONDSTORE SORT MOVE THREAD=REFERENCES")
		})
		imaptest.Script{
			imaptest.Send("* OK [CAPABILITY IMAP4rev1] ready"),
			imaptest.Expect(`l1 LOGIN "riley" "firetruck"`),
			imaptest.Send("l1 OK [CAPABILITY IMAP4rev1 MOVE SORT CONDSTORE QRESYNC THREAD=REFERENCES COMPRESS=DEFLATE] in"),
			imaptest.Expect("p1 NOOP"),
			imaptest.Send("p1 OK done"),
			imaptest.Match(`LOGOUT$`),
		}.Start(t, th.backends)
		refused := imaptest.Match(`^x BAD `)
		th.client(t,
			imaptest.Match(`^\* OK `), imaptest.Send("a LOGIN riley firetruck"),
			imaptest.Expect("a OK [CAPABILITY IMAP4rev1 LITERAL+ ID XGWEXTENSIONS] Logged in"),
			imaptest.Send("b NOOP"), imaptest.Expect("b OK done"),
			imaptest.Send("x MOVE 1 Trash"), refused,
			imaptest.Send("x UID SORT (DATE) UTF-8 ALL"), refused,
			imaptest.Send("x SELECT INBOX (CONDSTORE)"), refused,
			imaptest.Send("x STATUS INBOX (HIGHESTMODSEQ)"), refused,
			imaptest.Send("x THREAD REFERENCES UTF-8 ALL"), refused,
			imaptest.Send("x COMPRESS DEFLATE"), refused,
			imaptest.Send("x UNAUTHENTICATE"), refused,
			imaptest.Send("x XPIG-LATIN"), refused,
			imaptest.Send("c ENABLE QRESYNC UTF8=ACCEPT UIDONLY"), imaptest.Expect("* ENABLED"), imaptest.Expect("c OK ENABLE completed"),
		)
		want := map[string]float64{"MOVE": 1, "SORT": 1, "CONDSTORE": 2, "THREAD=*": 1, "COMPRESS=DEFLATE": 1, "UNAUTHENTICATE": 1, "QRESYNC": 1, "UIDONLY": 1}
		if got := countedBy(t, reg, "imapgate_capability_filtered_total"); !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// countedBy returns the values of a counter with one label.
func countedBy(t *testing.T, reg *prometheus.Registry, name string) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				values[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	return values
}
