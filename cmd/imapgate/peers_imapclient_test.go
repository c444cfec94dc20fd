//go:build unix

package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/imapgate/imapgate/proxy/imaptest/realpeer"
)

func everything() imap.SeqSet { return imap.SeqSet{{Start: 1, Stop: 0}} }

func selectBox(t testing.TB, c *imapclient.Client, box string) *imap.SelectData {
	t.Helper()
	data, err := c.Select(box, nil).Wait()
	if err != nil {
		t.Fatalf("SELECT %s: %v", box, err)
	}
	return data
}

// appendText appends one message. It returns an error, because it is used where the other side dies.
func appendText(c *imapclient.Client, box, text string) error {
	cmd := c.Append(box, int64(len(text)), nil)
	_, writeErr := io.WriteString(cmd, text)
	closeErr := cmd.Close()
	_, err := cmd.Wait()
	return errors.Join(err, writeErr, closeErr)
}

// mustAppend gives each message its subject.
func mustAppend(t testing.TB, c *imapclient.Client, box string, subjects ...string) {
	t.Helper()
	for _, s := range subjects {
		if err := appendText(c, box, "Subject: "+s+"\r\n\r\nbody of "+s+"\r\n"); err != nil {
			t.Fatalf("APPEND %s: %v", s, err)
		}
	}
}

// onePeer starts a server with one user and a gate in front of it.
func onePeer(t *testing.T, k realKind) (*realpeer.Server, *peerGate, realpeer.User) {
	t.Helper()
	return onePeerUnder(t, k, "")
}

func onePeerUnder(t *testing.T, k realKind, policy string) (*realpeer.Server, *peerGate, realpeer.User) {
	t.Helper()
	u := secretUser("riley.starttls")
	server := k.start(t, []realpeer.User{u})
	return server, startPeerGate(t, server.Users, backendLegs(server), policy), u
}

// Many commands at once, with literals of both kinds among them, are answered each for itself.
func TestPeersPipeline(t *testing.T) {
	t.Parallel()
	onRealKinds(t, func(t *testing.T, k realKind) {
		_, g, u := onePeer(t, k)
		c := g.at(legImplicit).login(t, u)
		mustAppend(t, c, "INBOX", "one", "two", "three")
		selectBox(t, c, "INBOX")
		var searches []*imapclient.SearchCommand
		var fetches []*imapclient.FetchCommand
		var statuses []*imapclient.StatusCommand
		words := []string{"one", "two", "three"}
		var options *imap.SearchOptions
		if c.Caps().Has(imap.CapESearch) { // so that answers carry tags: Dovecot delays the tagged ones
			options = &imap.SearchOptions{ReturnAll: true}
		}
		for i := range 60 {
			header := []imap.SearchCriteriaHeaderField{{Key: "Subject", Value: words[i%3]}}
			searches = append(searches, c.UIDSearch(&imap.SearchCriteria{Header: header}, options))
			fetches = append(fetches, c.Fetch(imap.SeqSetNum(uint32(i%3+1)), &imap.FetchOptions{UID: true, Envelope: true}))
			statuses = append(statuses, c.Status(k.prefix+"nowhere\\\"", nil))
		}
		for i := range searches {
			found, err := searches[i].Wait()
			if err != nil || !slices.Equal(found.AllUIDs(), []imap.UID{imap.UID(i%3 + 1)}) {
				t.Fatalf("search %d: %+v, %v", i, found, err)
			}
			messages, err := fetches[i].Collect()
			if err != nil || len(messages) != 1 || messages[0].Envelope.Subject != words[i%3] {
				t.Fatalf("fetch %d: %+v, %v", i, messages, err)
			}
			if _, err := statuses[i].Wait(); err == nil {
				t.Fatalf("status %d of a mailbox that is not there is OK", i)
			}
		}
	})
}

// What is delivered while a client idles is told at once, and what others remove.
func TestPeersIdle(t *testing.T) {
	t.Parallel()
	onRealKinds(t, func(t *testing.T, k realKind) {
		server, g, u := onePeer(t, k)
		exists, expunged := make(chan uint32, 10), make(chan uint32, 10)
		c := g.at(legStartTLS).open(t, imapclient.Options{UnilateralDataHandler: &imapclient.UnilateralDataHandler{
			Mailbox: func(data *imapclient.UnilateralDataMailbox) {
				if data.NumMessages != nil {
					exists <- *data.NumMessages
				}
			},
			Expunge: func(n uint32) { expunged <- n },
		}})
		if err := c.Login(u.Name, u.Password).Wait(); err != nil {
			t.Fatal(err)
		}
		selectBox(t, c, "INBOX")
		for round := range uint32(2) {
			idle, err := c.Idle()
			if err != nil {
				t.Fatal(err)
			}
			server.Deliver(t, u.Name, "INBOX", "Subject: behind\r\n\r\nyour back\r\n")
			awaitNumber(t, exists, round+1)
			if err := errors.Join(idle.Close(), idle.Wait()); err != nil {
				t.Fatal(err)
			}
		}
		idle, err := c.Idle()
		if err != nil {
			t.Fatal(err)
		}
		other := at(server, legNone).login(t, u)
		selectBox(t, other, "INBOX")
		deleteAll(t, other, imap.SeqSetNum(1))
		awaitNumber(t, expunged, 1)
		if err := errors.Join(idle.Close(), idle.Wait()); err != nil {
			t.Fatal(err)
		}
	})
}

func deleteAll(t testing.TB, c *imapclient.Client, set imap.NumSet) {
	t.Helper()
	flags := &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{imap.FlagDeleted}}
	if err := errors.Join(c.Store(set, flags, nil).Close(), c.Expunge().Close()); err != nil {
		t.Fatal(err)
	}
}

// awaitNumber waits until a number is told; earlier ones may be repeated before.
func awaitNumber(t testing.TB, told <-chan uint32, want uint32) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case n := <-told:
			if n == want {
				return
			}
		case <-deadline:
			t.Fatalf("%d is not told", want)
		}
	}
}

// What Dovecot has beyond IMAP4rev1 is announced and works.
func TestPeersExtensions(t *testing.T) {
	t.Parallel()
	_, g, u := onePeerUnder(t, realKinds()[0], asDirect)
	c := g.at(legImplicit).login(t, u)
	for _, want := range []imap.Cap{imap.CapCondStore, imap.CapQResync, imap.CapESearch, imap.CapSearchRes, imap.CapMove, imap.CapUIDPlus,
		imap.CapIdle, imap.CapSort, imap.CapListStatus, imap.CapBinary, imap.CapNamespace, imap.CapQuota, imap.CapMetadata,
		imap.CapLiteralPlus, "XGWEXTENSIONS"} {
		if _, ok := c.Caps()[want]; !ok {
			t.Errorf("%s is not announced", want)
		}
	}
	for _, bad := range []imap.Cap{imap.CapIMAP4rev2, "COMPRESS=DEFLATE", "CATENATE", "LOGIN-REFERRALS", "URL-PARTIAL", "SASL-IR"} {
		if _, ok := c.Caps()[bad]; ok {
			t.Errorf("%s is announced", bad)
		}
	}
	mustAppend(t, c, "INBOX", "one", "two", "three")
	data, err := c.Select("INBOX", &imap.SelectOptions{CondStore: true}).Wait()
	if err != nil || data.HighestModSeq == 0 {
		t.Fatalf("%+v, %v", data, err)
	}
	flags := &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagSeen}}
	stored, err := c.Store(imap.SeqSetNum(2), flags, &imap.StoreOptions{UnchangedSince: data.HighestModSeq}).Collect()
	if err != nil || len(stored) != 1 || stored[0].ModSeq <= data.HighestModSeq {
		t.Errorf("store: %+v, %v", stored, err)
	}
	changed, err := c.Fetch(everything(), &imap.FetchOptions{Flags: true, ChangedSince: data.HighestModSeq}).Collect()
	if err != nil || len(changed) != 1 || changed[0].SeqNum != 2 {
		t.Errorf("changed: %+v, %v", changed, err)
	}
	found, err := c.UIDSearch(&imap.SearchCriteria{}, &imap.SearchOptions{ReturnAll: true, ReturnCount: true, ReturnMin: true, ReturnMax: true}).Wait()
	if err != nil || found.Count != 3 || found.Min != 1 || found.Max != 3 || len(found.AllUIDs()) != 3 {
		t.Errorf("extended search: %+v, %v", found, err)
	}
}

// noiseLine is the length of a line of noise.
const noiseLine = 76

// noise is a long message of lines that look like literals now and then, the same for the same size.
func noise(size int64) io.Reader {
	random := rand.New(rand.NewPCG(1, 2))
	block := make([]byte, 997*noiseLine)
	for i := range block {
		block[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789{}"[random.IntN(64)]
		if i%noiseLine == noiseLine-1 {
			copy(block[i-1:], "\r\n")
		}
	}
	return io.LimitReader(io.MultiReader(strings.NewReader(noiseHead), &endless{block: block}), size)
}

const noiseHead = "Subject: noise\r\n\r\n"

// wholeLines is a size near n at which noise ends with a line; servers complete what does not.
func wholeLines(n int64) int64 { return n - n%noiseLine + int64(len(noiseHead)) }

// An endless repeats a block.
type endless struct {
	block []byte
	at    int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.block[e.at:])
	e.at = (e.at + n) % len(e.block)
	return n, nil
}

func checksum(r io.Reader) (string, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	return fmt.Sprintf("%d octets, %x", n, h.Sum(nil)), err
}

// appendNoise appends size octets without holding them.
func appendNoise(t testing.TB, c *imapclient.Client, size int64) {
	t.Helper()
	cmd := c.Append("INBOX", size, nil)
	if _, err := io.Copy(cmd, noise(size)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

// expectNoise fetches the last message of the INBOX without holding it, and compares.
func expectNoise(t testing.TB, c *imapclient.Client, size int64) {
	t.Helper()
	selected := selectBox(t, c, "INBOX")
	cmd := c.Fetch(imap.SeqSetNum(selected.NumMessages), &imap.FetchOptions{
		BodySection: []*imap.FetchItemBodySection{{Peek: true}}})
	defer cmd.Close()
	want, _ := checksum(noise(size))
	message := cmd.Next()
	if message == nil {
		t.Fatalf("no message: %v", cmd.Close())
	}
	for item := message.Next(); item != nil; item = message.Next() {
		if body, ok := item.(imapclient.FetchItemDataBodySection); ok {
			if got, err := checksum(body.Literal); err != nil || got != want {
				t.Errorf("got %s, want %s; %v", got, want, err)
			}
			return
		}
	}
	t.Error("the message has no body")
}

// 20 MB go up and come down as they are.
func TestPeersBigMessages(t *testing.T) {
	t.Parallel()
	size := wholeLines(20_000_000)
	onRealKinds(t, func(t *testing.T, k realKind) {
		_, g, u := onePeer(t, k)
		c := g.at(legImplicit).login(t, u)
		appendNoise(t, c, size)
		expectNoise(t, c, size)
	})
}

// A client that knows MOVE gets it from a server that does not have it, with the new UIDs.
func TestPeersMoveForClient(t *testing.T) {
	t.Parallel()
	for _, f := range moveForms() {
		if f.moves == cannot {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			u := secretUser("riley.none")
			server := f.start(t, []realpeer.User{u})
			g := startPeerGate(t, server.Users, backendLegs(server), f.policy)
			c := g.at(legStartTLS).login(t, u)
			if !c.Caps().Has(imap.CapMove) {
				t.Fatal("MOVE is not offered, so the client would do without")
			}
			if err := c.Create(f.prefix+"Old Mail", nil).Wait(); err != nil {
				t.Fatal(err)
			}
			mustAppend(t, c, "INBOX", "one", "two", "three")
			selectBox(t, c, "INBOX")
			moved, err := c.Move(imap.UIDSetNum(1, 3), f.prefix+"Old Mail").Wait()
			told := f.policy == "" && (moved == nil || moved.SourceUIDs.String() != "1,3" || moved.DestUIDs.String() != "1:2")
			if err != nil || told {
				t.Errorf("%+v, %v", moved, err)
			}
			witness := at(server, legNone).raw(t, u)
			if got := witness.marks("INBOX"); !slices.Equal(got, []string{"two"}) {
				t.Errorf("the INBOX holds %q", got)
			}
			if got := witness.marks(`"` + f.prefix + `Old Mail"`); !slices.Equal(got, []string{"one", "three"}) {
				t.Errorf("the other mailbox holds %q", got)
			}
		})
	}
}

// A refused literal is refused before it is uploaded, or drained, and the session goes on.
func TestPeersRefusedUpload(t *testing.T) {
	t.Parallel()
	onRealKinds(t, func(t *testing.T, k realKind) {
		_, g, u := onePeer(t, k)
		c := g.at(legImplicit).raw(t, u)
		box := k.prefix + "nowhere"
		if answer, _ := c.command("APPEND " + box + " {1000000}"); !strings.HasPrefix(answer, "NO [TRYCREATE]") {
			t.Errorf("got %q", answer)
		}
		text := strings.Repeat("x", 100_000)
		if answer, _ := c.command(fmt.Sprintf("APPEND %s {%d+}\r\n%s", box, len(text), text)); !strings.HasPrefix(answer, "NO [TRYCREATE]") {
			t.Errorf("got %q", answer)
		}
		c.must("APPEND INBOX {15+}\r\nSubject: a\r\n\r\nb")
		if got := c.subjects("INBOX"); !slices.Equal(got, []string{"a"}) {
			t.Errorf("the INBOX holds %q", got)
		}
	})
}
