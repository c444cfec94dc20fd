package translate

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/wire"
)

// quirks is the table of all, servers first. A server can have several: office365 is an exchange.
var quirks = slices.Concat(microsoftQuirks(), serverQuirks(), clientQuirks(), everybodysQuirks())

func microsoftQuirks() []*Quirk {
	return []*Quirk{
		{
			Name:   "exchange",
			Of:     "Microsoft Exchange, Office 365",
			Does:   "Answers OK to a login and `User is authenticated but not connected` to all that follows when the password was wrong or the mailbox is elsewhere; answers BAD to unquoted mailbox names, and to lines longer than 10,000 octets; sends COPYUID with empty sets.",
			Gets:   "NAMESPACE or `LIST \"\" \"\"` right behind the login, and no OK for the client when it fails; mailbox names in quotes; long UID sets in pieces; bad COPYUIDs left out.",
			Source: "imapsync FAQ.Exchange.txt; MailKit issues 555 and 919",
			Found: func(s Server) bool {
				return s.greets("Microsoft Exchange") && !s.greets("Exchange Server 2003")
			},
			Apply: func(q *Quirks) {
				exchangeQuirks(q)
				q.Probe = wire.Command("NAMESPACE")
			},
		},
		{
			Name:   "exchange2003",
			Of:     "Microsoft Exchange 2003",
			Does:   "As exchange; ends the connection on NAMESPACE, and knows no charset but US-ASCII in SEARCH.",
			Gets:   "As exchange, with `LIST \"\" \"\"` behind the login; NAMESPACE never; SEARCH without CHARSET where all is ASCII, else BADCHARSET.",
			Source: "MailKit issue 1512; Trojita's notes on servers",
			Found:  func(s Server) bool { return s.greets("Microsoft Exchange Server 2003") },
			Apply: func(q *Quirks) {
				exchangeQuirks(q)
				q.Probe, q.Hides = listRoot(), append(q.Hides, imap.CapNamespace)
				q.Rewrites = append(q.Rewrites, noCharset(), noNamespace())
			},
		},
		{
			Name:   "exchange2007",
			Of:     "Microsoft Exchange 2007",
			Does:   "As exchange; ends the connection when a mailbox name ends in a space.",
			Gets:   "As exchange; such names are refused before they get there.",
			Source: "imapsync FAQ.Exchange.txt",
			Found:  func(s Server) bool { return s.greets("Microsoft Exchange Server 2007") },
			Apply:  func(q *Quirks) { q.Rewrites = append(q.Rewrites, noTrailingSpace()) },
		},
	}
}

// exchangeQuirks are those that all versions have.
func exchangeQuirks(q *Quirks) {
	limit(&q.Line, 10_000)
	q.Rewrites = append(q.Rewrites, quoteNames("exchange", quoted), validCopyUID())
}

func listRoot() *wire.Message {
	return wire.Command("LIST", wire.String(""), wire.String(""))
}

func serverQuirks() []*Quirk {
	return []*Quirk{
		{
			Name:   "groupwise",
			Of:     "Novell GroupWise",
			Does:   "Escapes parentheses in quoted strings; tells UNSEEN when asked for news; opens for writing on EXAMINE, so that CLOSE expunges.",
			Gets:   "Valid strings; UNSEEN of NOOP left out; CLOSE of a mailbox opened by EXAMINE sent as UNSELECT.",
			Source: "GroupWise SDK, IMAP Support 1.2 and 1.5; bugs.kde.org 334456",
			Found: func(s Server) bool {
				return s.goesBy("GroupWise") || lists(s.Caps, capXGWExtensions)
			},
			Apply: func(q *Quirks) {
				q.TellsUnseen, q.WritesExamine = true, true
				q.Rewrites = append(q.Rewrites, validEscapes())
			},
		},
		{
			Name:   "courier",
			Of:     "Courier",
			Does:   "Does not tell UIDNEXT at SELECT, nor EXISTS when a message is appended to the selected mailbox; takes words of 16 KiB at most.",
			Gets:   "STATUS (UIDNEXT) before SELECT; NOOP behind APPEND to the selected mailbox, and the answer to APPEND behind that; long UID sets in pieces.",
			Source: "Dovecot imapc-storage.c and imapc-save.c; MailKit ImapEngine.cs",
			Found: func(s Server) bool {
				return s.greets("Courier-IMAP") || lists(s.Caps, "XMAGICTRASH")
			},
			Apply: func(q *Quirks) {
				limit(&q.Line, 16_000)
				q.AskUIDNext, q.SilentAppend = true, true
			},
		},
		{
			Name:   "uw",
			Of:     "University of Washington imapd, Panda",
			Does:   "Takes lines of 1000 octets, literals of 10,000 octets that are not messages, and 20 literals in one command.",
			Gets:   "Long UID sets in pieces; short literals in quotes; BAD at once for what is still too much.",
			Source: "UW imapd.c (MAXCLIENTLIT); MailKit ImapEngine.cs",
			Found: func(s Server) bool {
				return s.greets(" IMAP4rev1 200") && s.greets(" at ") || s.greets(" Panda IMAP ")
			},
			Apply: func(q *Quirks) {
				limit(&q.Line, 1000)
				limit(&q.Literal, 10_000)
				limit(&q.Literals, 20)
				q.Rewrites = append(q.Rewrites, fewLiterals(q.Literal, q.Literals))
			},
		},
		{
			Name:   "yahoo",
			Of:     "Yahoo",
			Does:   "Takes lines of 1000 octets.",
			Gets:   "Long UID sets in pieces.",
			Source: "MailKit ImapEngine.cs",
			Found:  func(s Server) bool { return lists(s.Caps, "XYMHIGHESTMODSEQ") },
			Apply:  func(q *Quirks) { limit(&q.Line, 1000) },
		},
		{
			Name:   "zimbra",
			Of:     "Zimbra",
			Does:   "Announces QRESYNC and does not tell CLOSED at SELECT, so that nobody knows which mailbox the lines behind it are of.",
			Gets:   "CLOSED from the proxy, once all before is answered.",
			Source: "Dovecot imapc, zimbra-workarounds",
			Found: func(s Server) bool {
				return s.goesBy("Zimbra") || lists(s.Caps, "XLIST") && lists(s.Caps, "RIGHTS=ektx") && lists(s.Caps, "QRESYNC")
			},
			Apply: func(q *Quirks) { q.NeverClosed = true },
		},
		{
			Name:   "domino",
			Of:     "HCL (IBM, Lotus) Domino",
			Does:   "Parts mailbox names by a backslash, which has to be escaped in quotes; puts ENVELOPE into parentheses of its own.",
			Gets:   "Names with a backslash as literals, others in quotes; ENVELOPE without the extra parentheses.",
			Source: "imapsync FAQ.Domino.txt; MailKit issue 943",
			Found:  func(s Server) bool { return s.greets("Domino IMAP4") },
			Apply: func(q *Quirks) {
				q.Rewrites = append(q.Rewrites, quoteNames("domino", literalBackslash), bareEnvelope())
			},
		},
		{
			Name:   "mailutils",
			Of:     "GNU mailutils imap4d",
			Does:   "Sends `* n EXPUNGED`, and response codes behind the first word of the text.",
			Gets:   "EXPUNGE; codes in front.",
			Source: "measured, 3.15",
			Found:  func(s Server) bool { return strings.TrimSpace(s.Greeting) == "IMAP4rev1" },
			Apply: func(q *Quirks) {
				q.Rewrites = append(q.Rewrites, expunged(), codeInFront())
			},
		},
		{
			Name:   "protonmail",
			Of:     "Proton Mail Bridge",
			Does:   "Answers BAD to LIST with selection options that it does not announce.",
			Gets:   "The same LIST without them, and what was not asked for is left out.",
			Source: "MailKit issue 674",
			Found:  func(s Server) bool { return s.greets("gluon session ID") || s.greets("Proton Mail Bridge") },
			Apply:  func(q *Quirks) { q.PlainList = true },
		},
	}
}

func clientQuirks() []*Quirk {
	return []*Quirk{
		{
			Name:   "thunderbird",
			Of:     "Mozilla Thunderbird",
			Does:   "Takes an untagged response that it does not know for a syntax error.",
			Gets:   "Only responses that an RFC defines.",
			Source: "nsImapServerResponseParser.cpp",
			Client: func(name string) bool { return strings.Contains(strings.ToLower(name), "thunderbird") },
			Apply:  func(q *Quirks) { q.KnownData = true },
		},
		{
			Name:   "outlook-express",
			Of:     "Microsoft Outlook Express 5 and 6",
			Does:   "Loses messages when EXISTS comes at another time than in answer to NOOP or CHECK. It does not say who it is.",
			Gets:   "EXISTS and RECENT with the answer to NOOP, CHECK or IDLE, or when it speaks of a new message itself.",
			Source: "Dovecot imap_client_workarounds, delay-newmail; Courier BUGS.html",
			Apply:  func(q *Quirks) { q.DelayNewMail = true },
		},
	}
}

// everybodysQuirks are worked around in every session. They have names so that one can look them up.
func everybodysQuirks() []*Quirk {
	return []*Quirk{
		{
			Name:   "exchange-lines",
			Of:     "Microsoft Exchange",
			Does:   "Sends octets of NUL in front of a line, and a bare `Server Unavailable. 15`.",
			Gets:   "The NULs are dropped, at most 1024; the bare line is a BYE.",
			Source: "imapflow imap-parser.js",
		},
		{
			Name:   "courier2004",
			Of:     "Courier of 2004",
			Does:   "Sends `* 0 FETCH`.",
			Gets:   "Responses about messages without a number, or with 0, are dropped.",
			Source: "MailKit issue 428",
		},
		{
			Name:   "homepl",
			Of:     "home.pl, and others",
			Does:   "Sends `* [COPYUID ...` without OK; announces `LITERAL +` with a space.",
			Gets:   "OK is put in; LITERAL with a space is not LITERAL+.",
			Source: "MailKit issue 1654",
		},
		{
			Name:   "gromox",
			Of:     "grommunio gromox before 2022-11",
			Does:   "Answers IDLE with `<tag> + idling`.",
			Gets:   "It is a `+` where the tag is that of the IDLE, else the session ends.",
			Source: "grommunio/gromox issue 27",
		},
		{
			Name:   "yandex",
			Of:     "Yandex",
			Does:   "Says BYE for ever.",
			Gets:   "The first one ends the session; what follows is read for 2 s at most.",
			Source: "MailKit issue 938",
		},
		{
			Name:   "yahoo-limit",
			Of:     "Yahoo",
			Does:   "Refuses a login with BYE first and `NO [LIMIT]` then.",
			Gets:   "The tagged answer counts.",
			Source: "MailKit ImapEngine.cs",
		},
		{
			Name:   "early-login",
			Of:     "Courier, Cyrus",
			Does:   "Loses what is sent behind LOGIN or AUTHENTICATE.",
			Gets:   "Nothing is sent behind a login before it is answered.",
			Source: "measured, Courier 5.0.13 and Cyrus 3.6.1",
		},
		{
			Name:   "cyrus-enabled",
			Of:     "Cyrus, iCloud",
			Does:   "Answers ENABLE without ENABLED.",
			Gets:   "Nothing counts as enabled.",
			Source: "Trojita's notes on servers; MailKit issue 1871",
		},
		{
			Name:   "php-imap",
			Of:     "clients in PHP",
			Does:   "Send DONE when IDLE has ended already.",
			Gets:   "One DONE behind an IDLE is swallowed.",
			Source: "Webklex/php-imap issue 331",
		},
		{
			Name:   "stale-capabilities",
			Of:     "Thunderbird, and many more",
			Does:   "Ask again for capabilities, or keep those from before the login, when the login does not tell any.",
			Gets:   "Every login is answered with the session's capabilities.",
			Source: "nsImapProtocol.cpp; Dovecot's documentation of proxying",
		},
		{
			Name:   "size-0",
			Of:     "Mozilla Thunderbird",
			Does:   "Deletes a message whose RFC822.SIZE is 0.",
			Gets:   "A size is never made up: what cannot be decoded is NO.",
			Source: "nsImapProtocol.cpp",
		},
	}
}
