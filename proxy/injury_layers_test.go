package proxy

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/imaptest"
	"github.com/imapgate/imapgate/proxy/translate"
)

// layersConversation has commands in which several translations work for one another.
var layersConversation = []rigTurn{
	{"", "* OK"},
	{"a0 LOGIN riley abc\r\n", "a0 "},
	{"a1 ENABLE IMAP4rev2\r\n", "a1 "},
	{"a2 LIST \"\" * RETURN (STATUS (MESSAGES SIZE))\r\n", "a2 "},
	{"a3 SELECT INBOX\r\n", "a3 "},
	{"a4 SEARCH RETURN (SAVE COUNT) UNDELETED\r\n", "a4 "},
	{"a5 FETCH $ (UID BINARY.PEEK[2] BINARY.SIZE[2])\r\n", "a5 "},
	{"a6 STATUS INBOX (MESSAGES SIZE DELETED)\r\na7 UID MOVE $ {3+}\r\nOld\r\n", "a7 "},
	{"a8 FETCH $ FLAGS\r\n", "a8 "},
	{"a9 LOGOUT\r\n", "a9 "},
}

var layersTags = append([]string{"a0"}, rigTags...)

// layersProgress is what a client hears while the backend stalls.
var layersProgress = regexp.MustCompile(`\* OK \[INPROGRESS \("a\d" \S+ \S+\)\] Still at work\r\n`)

// layersBodies are messages: the first moves, the second has a mark of the user's.
var layersBodies = [2]string{"KiBCWUUgezN9DQo=\r\n", "dHdv\r\n"}

func layersInjured(t *testing.T, hurtClient, hurtBackend imaptest.Injury) (stream []byte, r *rig) {
	store := imaptest.NewStore()
	store.Add("INBOX", layersBodies[0])
	store.Add("INBOX", layersBodies[1], `\Deleted`)
	store.Create("Old")
	r = rigStart(t, rigSetup{hurtClient: hurtClient, hurtBackend: hurtBackend, options: func(o *Options) {
		o.Policy.Polyfills = translate.Choice{Auto: true}
		o.Policy.Add = []imap.Cap{imap.CapIMAP4rev2}
	}})
	(&imaptest.Backend{Store: store, Caps: "IMAP4rev1 UIDPLUS"}).Start(t, r.back)
	stream = r.client().converse(layersConversation)
	r.ended()
	for i, body := range layersBodies {
		here, there := 0, 0
		for _, m := range store.Messages("INBOX") {
			if m.Body == body {
				here++
				if i == 1 && !m.Has(`\Deleted`) {
					t.Error("a mark of the user's is gone")
				}
			}
		}
		for _, m := range store.Messages("Old") {
			if m.Body == body {
				there++
			}
		}
		if here+there == 0 || here > 1 || there > 1 || i == 1 && (here != 1 || there != 0) {
			t.Errorf("message %d is %d times in the source and %d times in the target", i, here, there)
		}
	}
	return stream, r
}

// TestInjuryLayers is TestInjury for commands that take others below them.
func TestInjuryLayers(t *testing.T) {
	var ref rigReference
	synctest.Test(t, func(t *testing.T) {
		var r *rig
		ref.stream, r = layersInjured(t, imaptest.Injury{}, imaptest.Injury{})
		ref.heard, ref.read, ref.sent = r.heard(), r.carried("backend"), r.carried("client")
		s := rigParse(t, ref.stream)
		s.answered(t, false, layersTags...)
		ref.ends = s.ends
		rigHeard(t, ref.heard)
	})
	for _, part := range []string{"SIZE 24", "BINARY[2] {11}\r\n* BYE {3}\r\n BINARY.SIZE[2] 11)", "COPYUID", "DELETED 1"} {
		if !strings.Contains(string(ref.stream), part) {
			t.Fatalf("the client did not get %q:\n%s", part, ref.stream)
		}
	}
	for _, stream := range rigStreams {
		for _, harm := range rigHarms {
			t.Run(stream.name+"/"+harm.name, func(t *testing.T) {
				t.Parallel()
				octets := len(stream.octets(&ref))
				if harm.kind == imaptest.Drip {
					octets = 0
				}
				for at := 0; at <= octets; at++ {
					hurt := imaptest.Injury{Side: stream.side, At: int64(at), Kind: harm.kind}
					synctest.Test(t, func(t *testing.T) { ref.hurtLayers(t, hurt, stream.client) })
					if t.Failed() {
						t.Fatalf("at octet %d", at)
					}
				}
			})
		}
	}
}

func (ref *rigReference) hurtLayers(t *testing.T, hurt imaptest.Injury, client bool) {
	hurtClient, hurtBackend := hurt, imaptest.Injury{}
	if !client {
		hurtClient, hurtBackend = hurtBackend, hurtClient
	}
	stream, r := layersInjured(t, hurtClient, hurtBackend)
	if hurt.Kind == imaptest.Split || hurt.Kind == imaptest.Drip {
		if heard := r.heard(); !bytes.Equal(stream, ref.stream) || !bytes.Equal(heard, ref.heard) {
			t.Fatalf("the client got\n%s\nnot\n%s\nthe backend\n%s\nnot\n%s", stream, ref.stream, heard, ref.heard)
		}
		return
	}
	rigParse(t, stream).answered(t, true, layersTags...)
	ref.check(t, layersProgress.ReplaceAll(stream, nil))
	rigHeard(t, r.heard())
}
