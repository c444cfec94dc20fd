package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/imapgate/imapgate/proxy/translate"
)

// policy has its defaults at the top of the file only. Elsewhere only the leaves that were written count.
type policy struct {
	XGWMove            string       `yaml:"xgwmove" choices:"announce accept off"`
	Move               string       `yaml:"move" choices:"auto off"`
	MoveWithoutUIDPlus string       `yaml:"move_without_uidplus" choices:"off dance expunge-if-alone"`
	Capabilities       capabilities `yaml:"capabilities"`
	Polyfills          choice       `yaml:"polyfills"`
	Quirks             choice       `yaml:"quirks"`
	ID                 string       `yaml:"id" choices:"local merge"`
	IdlePoll           duration     `yaml:"idle_poll"`
	SpecialUse         specialUse   `yaml:"special_use"`
	MailboxMap         mailboxMap   `yaml:"mailbox_map"`
	PassCommands       []string     `yaml:"pass_commands"`
}

type capabilities struct {
	Remove []string `yaml:"remove"`
	Add    []string `yaml:"add"`
}

type mailboxMap struct {
	Prefix          string `yaml:"prefix"`
	Separator       string `yaml:"separator"`
	ClientSeparator string `yaml:"client_separator"`
}

// specialUse are names of mailboxes by what they are for (RFC 6154 section 2, RFC 8457 section 4).
type specialUse struct {
	All       string `yaml:"all"`
	Archive   string `yaml:"archive"`
	Drafts    string `yaml:"drafts"`
	Flagged   string `yaml:"flagged"`
	Important string `yaml:"important"`
	Junk      string `yaml:"junk"`
	Sent      string `yaml:"sent"`
	Trash     string `yaml:"trash"`
}

type special struct {
	key  string
	attr imap.MailboxAttr
	name string
}

func (s specialUse) all() []special {
	return []special{
		{"all", imap.MailboxAttrAll, s.All},
		{"archive", imap.MailboxAttrArchive, s.Archive},
		{"drafts", imap.MailboxAttrDrafts, s.Drafts},
		{"flagged", imap.MailboxAttrFlagged, s.Flagged},
		{"important", imap.MailboxAttrImportant, s.Important},
		{"junk", imap.MailboxAttrJunk, s.Junk},
		{"sent", imap.MailboxAttrSent, s.Sent},
		{"trash", imap.MailboxAttrTrash, s.Trash},
	}
}

func defaultPolicy() policy {
	p := translate.DefaultPolicy()
	return policy{
		XGWMove: string(p.XGWMove), Move: string(p.Move), MoveWithoutUIDPlus: string(p.MoveWithoutUIDPlus),
		Polyfills: choice{word: "auto"}, Quirks: choice{word: "auto"}, ID: string(p.ID), IdlePoll: duration(p.IdlePoll),
	}
}

// choice is auto, off, or a list of names.
type choice struct {
	word  string // empty where there are names, or nothing
	names []string
}

func (c *choice) read(text string) error {
	if text != "auto" && text != "off" {
		return errors.New(strconv.Quote(text) + " is neither auto nor off; write one of them, or a list of names, as in [" + text + "]")
	}
	c.word, c.names = text, nil
	return nil
}

func (c *choice) String() string { return c.word }

func (c *choice) choice() translate.Choice {
	return translate.Choice{Auto: c.word == "auto", Names: c.names}
}

// capNames are the names as the proxy writes them.
func capNames(list []string) []imap.Cap {
	caps := make([]imap.Cap, len(list))
	for i, name := range list {
		caps[i], _ = translate.ReadCap(name)
	}
	return caps
}

// describePolicy returns what of a policy is not the default, as a flow mapping of YAML.
func describePolicy(p translate.Policy) string {
	def := translate.DefaultPolicy()
	var parts []string
	leaf := func(key, value, preset string) {
		if value != preset {
			parts = append(parts, key+": "+value)
		}
	}
	leaf("xgwmove", string(p.XGWMove), string(def.XGWMove))
	leaf("move", string(p.Move), string(def.Move))
	leaf("move_without_uidplus", string(p.MoveWithoutUIDPlus), string(def.MoveWithoutUIDPlus))
	leaf("capabilities", flow(pair("remove", flowList(p.Remove)), pair("add", flowList(p.Add))), "{}")
	leaf("polyfills", describeChoice(p.Polyfills), describeChoice(def.Polyfills))
	leaf("quirks", describeChoice(p.Quirks), describeChoice(def.Quirks))
	leaf("id", string(p.ID), string(def.ID))
	poll, preset := duration(p.IdlePoll), duration(def.IdlePoll)
	leaf("idle_poll", poll.String(), preset.String())
	leaf("special_use", describeUses(p.SpecialUse), "{}")
	leaf("mailbox_map", flow(pair("prefix", quoted(p.Names.Prefix)), pair("separator", quoted(p.Names.Separator)),
		pair("client_separator", quoted(p.Names.ClientSeparator))), "{}")
	leaf("pass_commands", flowList(p.PassCommands), "")
	return flow(parts...)
}

// flow is a flow mapping of the pairs that are not empty.
func flow(pairs ...string) string {
	return "{" + strings.Join(slices.DeleteFunc(pairs, func(p string) bool { return p == "" }), ", ") + "}"
}

// pair is empty where there is no value.
func pair(key, value string) string {
	if value == "" {
		return ""
	}
	return key + ": " + value
}

func quoted(text string) string {
	if text == "" {
		return ""
	}
	return strconv.Quote(text)
}

// flowList is empty for an empty list.
func flowList[S ~string](list []S) string {
	if len(list) == 0 {
		return ""
	}
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = string(s)
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

func describeChoice(c translate.Choice) string {
	switch {
	case c.Auto:
		return "auto"
	case len(c.Names) == 0:
		return "off"
	}
	return flowList(c.Names)
}

func describeUses(uses map[imap.MailboxAttr]string) string {
	var pairs []string
	for _, attr := range slices.Sorted(maps.Keys(uses)) {
		pairs = append(pairs, fmt.Sprintf("%s: %q", strings.ToLower(string(attr[1:])), uses[attr]))
	}
	return flow(pairs...)
}

// Bounds of idle_poll: clients that idle are asked for at most so often, and a server may end a connection
// that is silent for 30 minutes (RFC 3501 section 5.4).
const (
	leastIdlePoll = 5 * time.Second
	mostIdlePoll  = 29 * time.Minute
)
