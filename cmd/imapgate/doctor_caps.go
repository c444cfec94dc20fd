package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/proxy/translate"
)

// describeLogin looks whether anybody could log in.
func (f *finding) describeLogin(conn *backend.Conn) {
	if !has(conn.Caps, imap.CapIMAP4rev1) {
		f.faults = append(f.faults, "it does not announce IMAP4rev1; is this an IMAP server, and of this century?")
	}
	if has(conn.Caps, imap.CapLoginDisabled) && !has(conn.Caps, imap.AuthCap("PLAIN")) {
		f.faults = append(f.faults, "it takes no password: LOGINDISABLED and no AUTH=PLAIN; write tls: starttls or tls: implicit if it wants TLS first")
	}
}

// servers are words in the greetings of servers that say who they are.
var servers = []struct{ word, name string }{
	{"dovecot", "Dovecot"}, {"courier", "Courier"}, {"cyrus", "Cyrus IMAP"}, {"microsoft exchange", "Microsoft Exchange"},
	{"groupwise", "GroupWise"}, {"gimap", "Gmail"}, {"zimbra", "Zimbra"}, {"domino", "HCL Domino"}, {"imap4d", "GNU mailutils imap4d"},
	{"stalwart", "Stalwart"}, {"hmailserver", "hMailServer"}, {"mdaemon", "MDaemon"}, {"communigate", "CommuniGate"},
	{"uw-imap", "UW imapd"}, {"panda imap", "Panda imapd"}, {"protonmail", "Proton Mail Bridge"}, {"kerio", "Kerio Connect"},
}

// describeServer says which server it seems to be: by its own word where it answers ID, else by its greeting.
func (f *finding) describeServer(ctx context.Context, conn *backend.Conn, b *backend.Config, patience time.Duration) {
	if has(conn.Caps, imap.CapID) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if name, version, err := conn.AskID(ctx); err == nil && name != "" {
			f.add("server", "%s, by what it answers to ID", printable(strings.TrimSpace(name+" "+version)))
			return
		}
	}
	greeting := strings.ToLower(conn.Greeting)
	for _, s := range servers {
		if strings.Contains(greeting, s.word) {
			f.add("server", "%s, by its greeting", s.name)
			return
		}
	}
	f.add("server", "unknown: it does not say")
}

// describeCaps tells what the backend has, what it lacks, and what becomes of both.
func (f *finding) describeCaps(server translate.Server, peers translate.Peers) {
	f.add("announces", "%s", words(sortedCaps(server.Caps)))
	f.describeQuirks(peers.Quirks)
	if names := peers.Policy.Names; names.On() {
		f.add("names", "are mapped: what begins with %q there has that not for clients, and its %q is %q for them",
			names.Prefix, names.Separator, cmp.Or(names.ClientSeparator, "/"))
	}
	if !f.loggedIn && !tellsAll(server.Caps) {
		f.add("the rest", "is not known: it announces little before the login. See what it lacks, what is added and what clients "+
			"see by: imapgate doctor -backend %s -user NAME -password-file FILE", f.backend.Name)
		return
	}
	stack := translate.NewStack(peers, translate.All())
	missing := lacks(server.Caps)
	f.add("lacks", "%s", words(missing))
	f.add("added", "%s", additions(stack, server.Caps))
	offered := make(imap.CapSet)
	for _, c := range stack.Caps() {
		offered[c] = struct{}{}
	}
	missing = slices.DeleteFunc(missing, offered.Has) // APPENDLIMIT=5 is an APPENDLIMIT
	f.add("still lacks", "%s", words(missing))
	for _, n := range needs() {
		if slices.Contains(missing, n.cap) {
			f.add("", "without %s %s", n.cap, n.means)
		}
	}
	f.describeKept(server, peers, stack)
	f.add("clients see", "%s", words(stack.Caps()))
}

// tellsAll reports whether what a server announces before the login is probably all that it has: some of what
// means nothing before it is there.
func tellsAll(caps imap.CapSet) bool {
	return slices.ContainsFunc([]imap.Cap{imap.CapUIDPlus, imap.CapNamespace, imap.CapChildren, imap.CapUnselect, imap.CapMove, imap.CapQuota, imap.CapACL},
		func(c imap.Cap) bool { return has(caps, c) })
}

// additions tells what is added, and by which translation: that is its name in the policy polyfills.
func additions(stack *translate.Stack, real imap.CapSet) string {
	var parts []string
	for _, c := range stack.Caps() {
		if row, _ := translate.CapRow(c); row.Fate == translate.Ours && !has(real, c) {
			parts = append(parts, string(c))
		}
	}
	for _, a := range stack.Additions() {
		parts = append(parts, fmt.Sprintf("%s (%s)", words(a.Caps), a.By.Name))
	}
	if parts == nil {
		return "-"
	}
	return strings.Join(parts, ", ")
}

func (f *finding) describeQuirks(q translate.Quirks) {
	if len(q.Names) == 0 {
		f.add("quirks", "-")
	}
	for _, quirk := range translate.AllQuirks() {
		if slices.Contains(q.Names, quirk.Name) {
			f.add("quirks", "%s, of %s. %s", quirk.Name, quirk.Of, quirk.Gets)
		}
	}
}

// describeKept tells what of the backend's clients are not offered, and why.
func (f *finding) describeKept(server translate.Server, peers translate.Peers, stack *translate.Stack) {
	why := map[string][]imap.Cap{}
	var reasons []string
	for _, c := range sortedCaps(server.Caps) {
		reason := kept(c, peers, stack)
		if reason == "" {
			continue
		}
		if why[reason] == nil {
			reasons = append(reasons, reason)
		}
		why[reason] = append(why[reason], c)
	}
	if reasons == nil {
		f.add("kept back", "-")
	}
	for _, reason := range reasons {
		f.add("kept back", "%s: %s", words(why[reason]), reason)
	}
}

// kept returns why a capability of the backend is not offered; "" where it is, or means nothing after the
// login.
func kept(c imap.Cap, peers translate.Peers, stack *translate.Stack) string {
	row, known := translate.CapRow(c)
	switch {
	case slices.Contains(stack.Caps(), c) || row.Fate == translate.BeforeLogin:
		return ""
	case peers.Policy.Removes(c):
		return "the policy removes it"
	case slices.Contains(peers.Quirks.Hides, c):
		return "it does not work there"
	case !known:
		return "imapgate does not know it"
	case row.Fate == translate.Passed:
		return "not together with what is offered"
	}
	return row.Reason
}

// A need is something that clients do better with; means says what they do without it, where that matters.
type need struct {
	cap   imap.Cap
	means string
}

func needs() []need {
	return []need{
		{imap.CapUIDPlus, "moved messages may stay behind, marked as deleted, and clients search for what they have stored"},
		{imap.CapMove, "clients copy and delete, in steps that can be interrupted"},
		{imap.CapIdle, "clients have to ask for new mail"},
		{imap.CapNamespace, "clients guess where mailboxes can be made"},
		{imap.CapSpecialUse, "clients guess which mailboxes are for sent mail, drafts and trash; policy special_use says it"},
		{imap.CapCondStore, "clients fetch all flags to see what has changed"},
	}
}

// lacks returns what of the usual a server does not have: what modern clients look for.
func lacks(caps imap.CapSet) (list []imap.Cap) {
	for _, c := range [...]imap.Cap{
		imap.CapUIDPlus, imap.CapMove, imap.CapIdle, imap.CapNamespace, imap.CapChildren, imap.CapUnselect, imap.CapEnable,
		imap.CapCondStore, imap.CapQResync, imap.CapESearch, imap.CapSearchRes, "WITHIN", imap.CapSort, imap.CapListExtended, imap.CapListStatus,
		imap.CapSpecialUse, imap.CapBinary, imap.CapLiteralPlus, imap.CapID, imap.CapUTF8Accept, imap.CapAppendLimit, "COMPRESS=DEFLATE", imap.CapQuota,
	} {
		if !caps.Has(c) {
			list = append(list, c)
		}
	}
	return list
}

// has reports whether c itself is announced; imap.CapSet.Has also says yes to what IMAP4rev2 contains.
func has(caps imap.CapSet, c imap.Cap) bool {
	_, ok := caps[c]
	return ok
}

func sortedCaps(caps imap.CapSet) (list []imap.Cap) {
	for c := range caps {
		list = append(list, c)
	}
	slices.Sort(list)
	return list
}

// words joins names with spaces; a server's names are shown as they are, but for control characters.
func words[S ~string](names []S) string {
	if len(names) == 0 {
		return "-"
	}
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = strings.Trim(fmt.Sprintf("%q", string(name)), `"`)
	}
	return strings.Join(parts, " ")
}
