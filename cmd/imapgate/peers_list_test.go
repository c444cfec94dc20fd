//go:build unix

package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/imapgate/imapgate/proxy/imaptest/realpeer"
)

// A listWay is one way in which the same questions about the same mailboxes are asked.
type listWay struct {
	name        string
	prefix, sep string
	start       func(t *testing.T, u realpeer.User, uses string) endpoint
}

// listWays are Dovecot itself, Dovecot that says it can do nothing, and Courier, the last two behind the
// gate.
func listWays() []listWay {
	behind := func(t *testing.T, server *realpeer.Server, policy ...string) endpoint {
		return startPeerGate(t, server.Users, backendLegs(server), "policy: {"+strings.Join(policy, ", ")+"}\n").at(legImplicit)
	}
	return []listWay{
		{"dovecot", "", "/", func(t *testing.T, u realpeer.User, _ string) endpoint {
			return at(realpeer.Dovecot(t, realpeer.DovecotOptions{Users: []realpeer.User{u}}), legImplicit)
		}},
		{"dovecot that hides all", "", "/", func(t *testing.T, u realpeer.User, uses string) endpoint {
			server := realpeer.Dovecot(t, realpeer.DovecotOptions{Users: []realpeer.User{u}, Capability: "IMAP4rev1"})
			return behind(t, server, uses)
		}},
		{"courier", "INBOX.", ".", func(t *testing.T, u realpeer.User, uses string) endpoint {
			return behind(t, realpeer.Courier(t, realpeer.CourierOptions{Users: []realpeer.User{u}}), uses)
		}},
		{"courier that hides all", "INBOX.", ".", func(t *testing.T, u realpeer.User, uses string) endpoint {
			server := realpeer.Courier(t, realpeer.CourierOptions{Users: []realpeer.User{u}, Capability: "IMAP4rev1"})
			return behind(t, server, uses)
		}},
		{"courier with other names", "", "/", func(t *testing.T, u realpeer.User, uses string) endpoint {
			names := `mailbox_map: {prefix: "INBOX.", separator: ".", client_separator: "/"}`
			return behind(t, realpeer.Courier(t, realpeer.CourierOptions{Users: []realpeer.User{u}}), names, uses)
		}},
	}
}

// listed is what the clients heard on one way, in the words of all ways.
type listed struct {
	raw     map[string]string // by command
	clients []string
}

// listMailboxes makes the mailboxes of RFC 5258 section 5 example 9 and some more. P stands for the
// prefix and / for the separator.
func (w listWay) listMailboxes(c *rawClient) {
	for _, line := range []string{
		"CREATE Pfoo2", "CREATE Pfoo2/bar1", "CREATE Pfoo2/bar2", "CREATE Pbaz2", "CREATE Pbaz2/bar2", "CREATE Pbaz2/bar22",
		"CREATE Peps2", "CREATE Peps2/mamba", `CREATE "Px y"`, `CREATE "Px y/&AOk-t&AOk-"`, "CREATE Pgone", "CREATE Pgone2/below",
		"SUBSCRIBE INBOX", "SUBSCRIBE Pfoo2/bar1", "SUBSCRIBE Pfoo2/bar2", "SUBSCRIBE Pbaz2/bar2", "SUBSCRIBE Pbaz2/bar22",
		"SUBSCRIBE Peps2", "SUBSCRIBE Peps2/mamba", `SUBSCRIBE "Px y/&AOk-t&AOk-"`, "SUBSCRIBE Pgone", "DELETE Pgone",
		"SUBSCRIBE Pgone2/below", "DELETE Pgone2/below",
	} {
		c.must(w.own(line))
	}
}

var prefixMark = regexp.MustCompile(`\bP(\w|%|\*)`)

func (w listWay) own(command string) string {
	return strings.ReplaceAll(prefixMark.ReplaceAllString(command, w.prefix+"$1"), "/", w.sep)
}

var (
	attributes = regexp.MustCompile(`^(\* LIST )\(([^)]*)\)`)
	needless   = regexp.MustCompile(`"([^" ]+)"`)
)

// common puts an answer into the words of all ways. What a server may say unasked is left out.
func (w listWay) common(command, line string) string {
	line = needless.ReplaceAllString(line, "$1")
	line = strings.ReplaceAll(strings.ReplaceAll(line, w.prefix, ""), " "+w.sep+" ", " / ")
	if w.sep == "." {
		line = strings.ReplaceAll(line, ".", "/")
	}
	parts := attributes.FindStringSubmatch(line)
	if parts == nil {
		return line
	}
	var attrs []string
	for _, a := range strings.Fields(parts[2]) {
		unasked := a == `\Unmarked` || a == `\Marked` || strings.HasPrefix(a, `\Has`) &&
			(!strings.Contains(command, "CHILDREN") || strings.Contains(parts[2], `\NonExistent`))
		if !unasked {
			attrs = append(attrs, a)
		}
	}
	slices.Sort(attrs)
	return parts[1] + "(" + strings.Join(attrs, " ") + ")" + line[len(parts[0]):]
}

// ask sends raw commands. INBOX is a mailbox like others on some servers and above all others on some,
// so it is left out.
func (w listWay) ask(c *rawClient, commands []string) map[string]string {
	heard := make(map[string]string)
	for _, command := range commands {
		answer, untagged := c.command(w.own(command))
		var lines []string
		for _, line := range untagged {
			if line = w.common(command, line); !strings.HasSuffix(line, " INBOX") {
				lines = append(lines, line)
			}
		}
		slices.Sort(lines)
		heard[command] = strings.Join(append(lines, strings.Fields(answer)[0]), "\n")
	}
	return heard
}

// listByClient asks by go-imap's client.
func (w listWay) listByClient(t *testing.T, c *imapclient.Client) (lines []string) {
	status := &imap.StatusOptions{NumMessages: true, NumUnseen: true}
	for _, o := range []imap.ListOptions{
		{SelectSubscribed: true, SelectRecursiveMatch: true},
		{ReturnSubscribed: true, ReturnChildren: true, ReturnStatus: status},
		{SelectSubscribed: true, ReturnStatus: status},
	} {
		boxes, err := c.List("", w.own("P*2"), &o).Collect()
		if err != nil {
			t.Errorf("%s: %+v: %v", w.name, o, err)
		}
		for _, box := range boxes {
			var attrs []string
			for _, a := range box.Attrs {
				if !strings.HasPrefix(string(a), `\Has`) || o.ReturnChildren {
					attrs = append(attrs, string(a))
				}
			}
			slices.Sort(attrs)
			name := strings.ReplaceAll(strings.TrimPrefix(box.Mailbox, w.prefix), w.sep, "/")
			line := fmt.Sprintf("%+v %s %v", o.SelectSubscribed, name, attrs)
			if box.Status != nil {
				line += fmt.Sprintf(" %d %d", *box.Status.NumMessages, *box.Status.NumUnseen)
			}
			if box.ChildInfo != nil {
				line += fmt.Sprintf(" %+v", *box.ChildInfo)
			}
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return lines
}

const listScript = `
import imaplib, ssl, sys
port, ca, user, password, reference = sys.argv[1:6]
c = imaplib.IMAP4_SSL("localhost", int(port), ssl_context=ssl.create_default_context(cafile=ca))
c.login(user, password)
def out(what, answer):
    print(what, answer[0], *sorted(line.decode() if isinstance(line, bytes) else str(line) for line in answer[1]), sep="\n")
out("list", c.list(reference or '""', '"%2"'))
imaplib.Commands["XLIST"] = ("AUTH", "SELECTED")
c._simple_command("LIST", "(SUBSCRIBED)", reference or '""', '"%2"', "RETURN (CHILDREN STATUS (MESSAGES))")
out("extended", ("", c.response("LIST")[1] or []))
out("status", ("", c.response("STATUS")[1] or []))
c.logout()
`

// flowScript lists with all that imapflow can ask for. Who is subscribed it learns by LSUB, where Courier
// says other things than Dovecot.
const flowScript = `
const {ImapFlow} = require("imapflow");
const [port, ca, user, pass, prefix, sep] = args;
const client = new ImapFlow({host: "localhost", port: Number(port), secure: true, logger: false, auth: {user, pass},
  tls: {ca: require("fs").readFileSync(ca)}});
(async () => {
  await client.connect();
  for (const box of await client.list({statusQuery: {messages: true, unseen: true}})) {
    const name = box.path.startsWith(prefix) ? box.path.slice(prefix.length) : box.path;
    if (name === "INBOX") continue;
    const status = box.status ? box.status.messages + " " + box.status.unseen : "no status";
    console.log(name.split(sep).join("/"), box.listed, status);
  }
  await client.logout();
})().catch(err => { console.log("failed: " + err); process.exit(1); });
`

// listByFlow asks by imapflow.
func (w listWay) listByFlow(t *testing.T, e endpoint, u realpeer.User) []string {
	r := realpeer.RunNode(t, flowScript, e.port(), e.ca, u.Name, u.Password, w.prefix, w.sep)
	if err := failure(r); err != nil {
		t.Errorf("%s: %v", w.name, err)
	}
	lines := strings.Split(strings.TrimSpace(r.Stdout), "\n")
	slices.Sort(lines)
	return lines
}

// run is everything on one way.
func (w listWay) run(t *testing.T, commands []string) listed {
	u := secretUser("lena.starttls")
	e := w.start(t, u, "quirks: auto")
	c := e.raw(t, u)
	w.listMailboxes(c)
	l := listed{raw: w.ask(c, commands), clients: w.listByClient(t, e.login(t, u))}
	py := realpeer.Python(t, listScript, e.port(), e.ca, u.Name, u.Password, w.prefix)
	for line := range strings.Lines(py) {
		line = w.common("CHILDREN", "* LIST "+strings.TrimSpace(line))
		l.clients = append(l.clients, line)
	}
	l.clients = append(l.clients, w.listByFlow(t, e, u)...)
	return l
}

// What clients hear of mailboxes from servers that only know LIST and LSUB, they hear as from Dovecot
// itself.
func TestPeersList(t *testing.T) {
	t.Parallel()
	realpeer.Need(t, realpeer.PartPython, realpeer.PartIMAPFlow, realpeer.PartDovecot, realpeer.PartCourier)
	commands := []string{
		`LIST "" P*`, `LIST "" P%`, `LIST "Pfoo2/" %`, `LIST "" ("")`, `LIST (SUBSCRIBED) "" ""`,
		`LIST (SUBSCRIBED) "" P*`, `LIST (SUBSCRIBED) "" P%`, `LIST (SUBSCRIBED REMOTE) "" Pfoo2/%`,
		`LIST "" P% RETURN (SUBSCRIBED CHILDREN)`, `LIST "" P* RETURN (SUBSCRIBED)`, `LIST "" (Pfoo2 Pfoo2/% Pfoo2/*) RETURN (CHILDREN)`,
		`LIST (SUBSCRIBED RECURSIVEMATCH) "" P%`, `LIST (RECURSIVEMATCH SUBSCRIBED) "" P*2`, `LIST (SUBSCRIBED RECURSIVEMATCH) "" P*`,
		`LIST (SUBSCRIBED RECURSIVEMATCH) "" Pfoo2`, `LIST (SUBSCRIBED RECURSIVEMATCH) "" Pgone2`,
		`LIST "" P%2 RETURN (STATUS (MESSAGES UNSEEN))`, `LIST (SUBSCRIBED) "" P*2* RETURN (CHILDREN STATUS (MESSAGES))`,
		`LIST (RECURSIVEMATCH) "" P%`, `LIST (FUNNY) "" P%`, `LIST "" P% RETURN (FUNNY)`,
	}
	direct := listWays()[0].run(t, commands)
	for _, w := range listWays()[1:] {
		t.Run(w.name, func(t *testing.T) {
			got := w.run(t, commands)
			for _, command := range commands {
				if got.raw[command] != direct.raw[command] {
					t.Errorf("%s\n%s\ninstead of\n%s", command, got.raw[command], direct.raw[command])
				}
			}
			if !slices.Equal(got.clients, direct.clients) {
				t.Errorf("clients heard\n%s\ninstead of\n%s", strings.Join(got.clients, "\n"), strings.Join(direct.clients, "\n"))
			}
		})
	}
}

// What Dovecot does not have by itself: a name for special use by the policy, XLIST, and the old forms.
func TestPeersListOld(t *testing.T) {
	t.Parallel()
	for _, w := range listWays()[1:] {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			u := secretUser("lena.starttls")
			c := w.start(t, u, fmt.Sprintf("special_use: {sent: %q}", w.own("Px y"))).raw(t, u)
			w.listMailboxes(c)
			delim := w.sep
			for command, want := range map[string]string{
				`LIST (SPECIAL-USE) "" P*`:   `* LIST (\HasChildren \Sent) / "x y"` + "\nOK",
				`XLIST "" "Px y"`:            `* XLIST (\HasChildren \Sent) / "x y"` + "\nOK",
				`RLSUB "" Pfoo2/%`:           `* LSUB (\HasNoChildren) / foo2/bar1` + "\n" + `* LSUB (\HasNoChildren) / foo2/bar2` + "\nOK",
				`FIND ALL.MAILBOXES "Px y*"`: "* MAILBOX x y\n* MAILBOX x y/&AOk-t&AOk-\nOK",
				`CREATE Pnew (USE (\Sent))`:  "NO",
				`FIND MAILBOXES Peps2`:       "* MAILBOX eps2\nOK",
			} {
				if got := w.ask(c, []string{command})[command]; strings.ReplaceAll(got, `\HasNoChildren`, "") != strings.ReplaceAll(want, `\HasNoChildren`, "") &&
					strings.ReplaceAll(got, `\HasChildren `, "") != strings.ReplaceAll(want, `\HasChildren `, "") {
					t.Errorf("%s\n%s\ninstead of\n%s", command, got, want)
				}
			}
			want := fmt.Sprintf(`* NAMESPACE ((%q %q)) NIL`, w.prefix, delim)
			if got := c.must("NAMESPACE"); len(got) != 1 || !strings.HasPrefix(got[0], want) {
				t.Errorf("%q, want %s", got, want)
			}
		})
	}
}
