//go:build unix

package realpeer

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// MailutilsOptions say how an imap4d of GNU mailutils differs from the plain one.
type MailutilsOptions struct {
	Users []User // at least one; each name is name@domain
	// Config is put behind the generated configuration.
	Config string
}

// Mailutils starts GNU mailutils' imap4d for this test and returns when it greets on both of its ports.
// Mailboxes are Maildirs under no prefix with "/" between their parts. It has IDLE, LITERAL+, NAMESPACE and
// UNSELECT, and nothing else. The test is skipped where imap4d is missing or where we are not root (see Need).
//
// What a test should know of it: users have a domain in their names; EXPUNGE is reported as EXPUNGED; response
// codes stand behind the first word of the text; nothing is told of what other sessions do.
func Mailutils(t testing.TB, o MailutilsOptions) *Server {
	t.Helper()
	Need(t, PartMailutils, PartOpenSSL)
	program, err := mailutilsProgram()
	if err != nil {
		t.Fatal(err)
	}
	s, certificate := newServer(t, o.Users)
	s.hierarch, s.plain = "/", true
	s.owner = mailOwner()
	config, err := writeMailutils(s, certificate, o)
	if err != nil {
		t.Fatalf("configuring imap4d: %v", err)
	}
	s.start = func() (*process, error) {
		return startProcess(exec.Command(program, "--foreground", "--config-file="+config))
	}
	s.launch(t)
	return s
}

func writeMailutils(s *Server, certificate Certificate, o MailutilsOptions) (string, error) {
	if len(o.Users) == 0 {
		return "", errors.New("no user is given")
	}
	config := strings.NewReplacer("@dir@", s.dir, "@cert@", certificate.CertFile, "@key@", certificate.KeyFile,
		"@port@", strconv.Itoa(s.ports[0].number), "@tlsport@", strconv.Itoa(s.ports[1].number)).Replace(mailutilsConfig)
	file := filepath.Join(s.dir, "imap4d.conf")
	return file, errors.Join(s.makeHomes(), writeMailutilsUsers(s), os.WriteFile(file, []byte(config+o.Config), 0o600))
}

// writeMailutilsUsers writes one password file for each domain. imap4d takes the mailbox INBOX in the home.
func writeMailutilsUsers(s *Server) error {
	domains := map[string]string{}
	for _, u := range s.Users {
		name, domain, found := strings.Cut(u.Name, "@")
		if !found || strings.ContainsAny(domain, "/@") {
			return fmt.Errorf("user %q: imap4d's users here are name@domain", u.Name)
		}
		home, err := s.home(u.Name)
		if err != nil {
			return err
		}
		hash, err := hashed(u.Password)
		if err != nil {
			return err
		}
		err = s.makeMaildir(filepath.Join(home, "INBOX"))
		if err != nil {
			return err
		}
		domains[domain] += fmt.Sprintf("%s:%s:%d:%d::%s:/bin/false\n", name, hash, s.owner.uid, s.owner.gid, home)
	}
	dir := filepath.Join(s.dir, "domains")
	err := os.Mkdir(dir, 0o700)
	for domain, text := range domains {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, domain), []byte(text), 0o600))
	}
	return err
}

// hashed is a password as crypt(3) compares it; openssl reads it from its standard input.
func hashed(password string) (string, error) {
	cmd := exec.Command("openssl", "passwd", "-6", "-stdin")
	cmd.Stdin = strings.NewReader(password + "\n")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("openssl passwd: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

const mailutilsConfig = `
foreground yes;
mode daemon;
pidfile @dir@/pid;
max-children 400;
timeout 1800;
logging { syslog no; };
auth { authorization clear; authorization virtdomain; authentication clear; authentication generic; };
virtdomain { passwd-dir @dir@/domains; };
mailbox { mailbox-type maildir; };
server 127.0.0.1:@port@ {
  tls-mode ondemand;
  tls { ssl-certificate-file @cert@; ssl-key-file @key@; };
};
server 127.0.0.1:@tlsport@ {
  tls-mode connection;
  tls { ssl-certificate-file @cert@; ssl-key-file @key@; };
};
`
