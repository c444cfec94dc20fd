//go:build unix

package realpeer

import (
	"net"
	"strings"
	"testing"
)

// domainUsers have names as imap4d wants them.
func domainUsers() []User {
	return []User{
		{"riley@example.org", "firetruck"},
		{"braces@example.org", `pa{5}ss {3+}`},
		{"spaces@example.net", "  two  spaces  "},
	}
}

// reading logs in and prints the first message of a mailbox.
const reading = `
import imaplib, ssl, sys
how, host, port, ca, name, password, box = sys.argv[1:8]
context = ssl.create_default_context(cafile=ca)
if how == "tls":
    i = imaplib.IMAP4_SSL(host, int(port), ssl_context=context)
else:
    i = imaplib.IMAP4(host, int(port))
if how == "starttls":
    i.starttls(context)
assert i.login(name, password)[0] == "OK"
assert i.select(box)[0] == "OK"
print(i.fetch("1", "(BODY.PEEK[TEXT])")[1][0][1].decode())
i.logout()
`

func TestMailutils(t *testing.T) {
	s := Mailutils(t, MailutilsOptions{Users: domainUsers()})
	boxes := map[string]string{"INBOX": "behind", "Work/2024": "elsewhere"}
	for _, u := range s.Users {
		for box, text := range boxes {
			s.Deliver(t, u.Name, box, "Subject: one\r\n\r\n"+text+"\r\n")
		}
	}
	read := func(how, addr string, u User, box string) Result {
		host, port, _ := net.SplitHostPort(addr)
		return RunPython(t, reading, how, host, port, s.CAFile, u.Name, u.Password, box)
	}
	for how, addr := range map[string]string{"plain": s.Addr, "starttls": s.Addr, "tls": s.TLSAddr} {
		for _, u := range s.Users {
			if r := read(how, addr, u, "INBOX"); r.Stdout != "behind\r\n\n" {
				t.Errorf("%s as %s: %+v", how, u.Name, r)
			}
		}
	}
	if r := read("tls", s.TLSAddr, User{s.Users[0].Name, "wr0ng-secret"}, "INBOX"); r.Code == 0 {
		t.Error("a wrong password was taken")
	}
	if strings.Contains(s.Log(), "wr0ng-secret") {
		t.Error("the log holds a password")
	}
	s.Restart(t)
	if r := read("plain", s.Addr, s.Users[0], "Work/2024"); r.Stdout != "elsewhere\r\n\n" {
		t.Errorf("after a restart: %+v", r)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", s.Addr); err == nil {
		c.Close()
		t.Error("the server is still there")
	}
}
