//go:build unix

package realpeer

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// DovecotCapability is what Dovecot 2.3 lists after login when nothing is hidden (without METADATA, QUOTA and ACL).
const DovecotCapability = "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES " +
	"THREAD=REFS THREAD=ORDEREDSUBJECT MULTIAPPEND URL-PARTIAL CATENATE UNSELECT CHILDREN NAMESPACE UIDPLUS " +
	"LIST-EXTENDED I18NLEVEL=1 CONDSTORE QRESYNC ESEARCH ESORT SEARCHRES WITHIN CONTEXT=SEARCH LIST-STATUS BINARY " +
	"MOVE SNIPPET=FUZZY PREVIEW=FUZZY PREVIEW STATUS=SIZE SAVEDATE LITERAL+ NOTIFY SPECIAL-USE"

// Without returns a capability list that lacks the given names.
func Without(list string, names ...string) string {
	var kept []string
	for _, capability := range strings.Fields(list) {
		if !containsFold(names, capability) {
			kept = append(kept, capability)
		}
	}
	return strings.Join(kept, " ")
}

func containsFold(names []string, name string) bool {
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// DovecotOptions say how a Dovecot differs from the plain one: mailboxes under no prefix with "/" between their
// parts, no plugins, all of Dovecot's capabilities.
type DovecotOptions struct {
	Users []User // at least one
	// Capability replaces the list that is announced, before and after login; AUTH=, STARTTLS and LOGINDISABLED are
	// added by Dovecot. A command whose capability is not listed still works. A list that begins with "+" adds.
	Capability string
	// Plugins are any of "acl", "quota" (one root "User quota" of 1 GB) and "metadata".
	Plugins []string
	// Config is put behind the generated configuration, so it can override any setting.
	Config string
}

// Dovecot starts a Dovecot for this test and returns when it greets on both of its ports. It works as root, with the
// mail belonging to nobody, and as any other user. The test is skipped where Dovecot is missing (see Need).
func Dovecot(t testing.TB, o DovecotOptions) *Server {
	t.Helper()
	Need(t, PartDovecot)
	program, err := dovecotProgram()
	if err != nil {
		t.Fatal(err)
	}
	s, certificate := newServer(t, o.Users)
	s.hierarch = "/"
	s.owner = mailOwner()
	config, err := writeDovecot(s, certificate, o)
	if err != nil {
		t.Fatalf("configuring Dovecot: %v", err)
	}
	s.start = func() (*process, error) { return startProcess(exec.Command(program, "-F", "-c", config)) }
	s.launch(t)
	return s
}

// mailOwner is nobody when we are root, for servers refuse to keep mail as root; else we ourselves.
func mailOwner() owner {
	if os.Geteuid() != 0 {
		return owner{os.Geteuid(), os.Getegid()}
	}
	return owner{65534, 65534}
}

func writeDovecot(s *Server, certificate Certificate, o DovecotOptions) (string, error) {
	if len(o.Users) == 0 {
		return "", errors.New("no user is given")
	}
	plugins, err := dovecotPlugins(o.Plugins)
	if err != nil {
		return "", err
	}
	accounts, err := dovecotAccounts()
	if err != nil {
		return "", err
	}
	capability := ""
	if o.Capability != "" {
		capability = "imap_capability = " + o.Capability
	}
	config := strings.NewReplacer(
		"@dir@", s.dir, "@port@", strconv.Itoa(s.ports[0].number), "@tlsport@", strconv.Itoa(s.ports[1].number),
		"@cert@", certificate.CertFile, "@key@", certificate.KeyFile, "@accounts@", accounts,
		"@uid@", strconv.Itoa(s.owner.uid), "@gid@", strconv.Itoa(s.owner.gid), "@plugins@", plugins,
		"@capability@", capability).Replace(dovecotConfig) + o.Config + "\n"
	file := filepath.Join(s.dir, "dovecot.conf")
	return file, errors.Join(s.makeHomes(), writeDovecotUsers(s), os.WriteFile(file, []byte(config), 0o644))
}

// writeDovecotUsers encodes passwords, because fields are separated by ':' and lines end the record.
func writeDovecotUsers(s *Server) error {
	var text strings.Builder
	for _, u := range s.Users {
		home, err := s.home(u.Name)
		if err != nil {
			return err
		}
		password := base64.StdEncoding.EncodeToString([]byte(u.Password))
		fmt.Fprintf(&text, "%s:{PLAIN.b64}%s:%d:%d::%s\n", u.Name, password, s.owner.uid, s.owner.gid, home)
	}
	file := filepath.Join(s.dir, "users")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		return err
	}
	return chownToDovecot(file)
}

// chownToDovecot lets the authentication process read a file; it runs as dovecot when the server was started by root.
func chownToDovecot(file string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	account, err := user.Lookup("dovecot")
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		return err
	}
	return os.Chown(file, uid, -1)
}

// dovecotAccounts are settings by which a Dovecot that was not started by root gives up changing users and roots.
func dovecotAccounts() (string, error) {
	if os.Geteuid() == 0 {
		return "", nil
	}
	me, err := user.Current()
	if err != nil {
		return "", err
	}
	group, err := user.LookupGroupId(me.Gid)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(dovecotUnprivileged, me.Username, group.Name), nil
}

func dovecotPlugins(names []string) (string, error) {
	var everywhere, imap, settings, rest []string
	for _, name := range names {
		switch name {
		case "acl":
			everywhere, imap = append(everywhere, "acl"), append(imap, "imap_acl")
			settings = append(settings, "  acl = vfile")
		case "quota":
			everywhere, imap = append(everywhere, "quota"), append(imap, "imap_quota")
			settings = append(settings, "  quota = count:User quota", "  quota_vsizes = yes", "  quota_rule = *:storage=1G")
		case "metadata":
			rest = append(rest, "mail_attribute_dict = file:%h/attributes", "protocol imap {\n  imap_metadata = yes\n}")
		default:
			return "", fmt.Errorf("unknown plugin %q: use acl, quota or metadata", name)
		}
	}
	if len(everywhere) == 0 {
		return strings.Join(rest, "\n"), nil
	}
	return fmt.Sprintf("mail_plugins = %s\nprotocol imap {\n  mail_plugins = $mail_plugins %s\n}\nplugin {\n%s\n}\n%s",
		strings.Join(everywhere, " "), strings.Join(imap, " "), strings.Join(settings, "\n"), strings.Join(rest, "\n")), nil
}

const dovecotUnprivileged = `
default_internal_user = %[1]s
default_internal_group = %[2]s
default_login_user = %[1]s
service anvil {
  chroot =
}
service imap-login {
  chroot =
}
service stats {
  chroot =
}
`

// Failed logins are answered at once and leave no penalty for the address, which all tests share.
const dovecotConfig = `
protocols = imap
base_dir = @dir@/run
state_dir = @dir@/run
log_path = /dev/stderr
listen = 127.0.0.1
instance_name = imapgate-test
@accounts@

ssl = yes
ssl_cert = <@cert@
ssl_key = <@key@
ssl_min_protocol = TLSv1.2
disable_plaintext_auth = no
auth_mechanisms = plain login cram-md5
auth_username_chars =
auth_failure_delay = 0
passdb {
  driver = passwd-file
  args = username_format=%u @dir@/users
}
userdb {
  driver = passwd-file
  args = username_format=%u @dir@/users
}

mail_location = maildir:~/Maildir
mail_uid = @uid@
mail_gid = @gid@
first_valid_uid = 1
first_valid_gid = 1
mail_max_userip_connections = 1000
namespace inbox {
  inbox = yes
  separator = /
  prefix =
}
service imap-login {
  service_count = 0
  client_limit = 1000
  inet_listener imap {
    port = @port@
  }
  inet_listener imaps {
    port = @tlsport@
    ssl = yes
  }
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
@plugins@
protocol imap {
  @capability@
}
`
