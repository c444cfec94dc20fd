//go:build unix

package realpeer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"crypto/rand"
)

// Mailbox is the Maildir folder that holds the user's mailbox, which need not exist. The name is as IMAP writes it:
// "INBOX", "Work/2024" (Dovecot), "INBOX.Work.2024" (Courier), modified UTF-7.
func (s *Server) Mailbox(t testing.TB, user, mailbox string) string {
	t.Helper()
	dir, err := s.mailboxFolder(user, mailbox)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// mailboxFolder knows the layout Maildir++ that Dovecot and Courier use, ".Work.2024" beside "cur" of the INBOX, and
// the plain one of imap4d.
func (s *Server) mailboxFolder(user, mailbox string) (string, error) {
	home, err := s.home(user)
	if err != nil {
		return "", err
	}
	if s.plain {
		return filepath.Join(home, mailbox), nil
	}
	maildir := filepath.Join(home, "Maildir")
	if strings.EqualFold(mailbox, "INBOX") {
		return maildir, nil
	}
	name, ok := strings.CutPrefix(mailbox, s.prefix)
	if !ok || name == "" {
		return "", fmt.Errorf("mailbox %q: names on this server begin with %q", mailbox, s.prefix)
	}
	return filepath.Join(maildir, "."+strings.ReplaceAll(name, s.hierarch, ".")), nil
}

// Deliver puts a message into the user's mailbox behind the server's back, as a delivery agent does; the mailbox is
// made when it does not exist. Line ends may be LF or CRLF. The file has its name at once and whole, or not at all.
func (s *Server) Deliver(t testing.TB, user, mailbox, message string) {
	t.Helper()
	if err := s.deliver(user, mailbox, message); err != nil {
		t.Fatalf("delivering to %q of %q: %v", mailbox, user, err)
	}
}

func (s *Server) deliver(user, mailbox, message string) error {
	dir, err := s.mailboxFolder(user, mailbox)
	if err != nil {
		return err
	}
	if err := s.makeMailbox(dir); err != nil {
		return err
	}
	name := rand.Text() + ".imapgate"
	tmp := filepath.Join(dir, "tmp", name)
	text := strings.ReplaceAll(message, "\r\n", "\n")
	err = errors.Join(os.WriteFile(tmp, []byte(text), 0o600), os.Chown(tmp, s.owner.uid, s.owner.gid))
	if err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(dir, "new", name))
}

// makeMailbox also writes the mark by which Courier knows a folder from a Maildir.
func (s *Server) makeMailbox(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "new")); err == nil {
		return nil
	}
	if err := s.makeMaildir(dir); err != nil {
		return err
	}
	mark := filepath.Join(dir, "maildirfolder")
	return errors.Join(os.WriteFile(mark, nil, 0o600), os.Chown(mark, s.owner.uid, s.owner.gid))
}
