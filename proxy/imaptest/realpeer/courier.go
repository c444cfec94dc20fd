//go:build unix

package realpeer

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// CourierCapability is what Courier lists when CourierOptions say nothing: Debian's default. Courier adds ACL,
// ACL2=UNION, ENABLE, UTF8=ACCEPT, and STARTTLS or, under TLS, AUTH=PLAIN by itself.
const CourierCapability = "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE"

// CourierOptions say how a Courier differs from Debian's default.
type CourierOptions struct {
	Users []User // at least one
	// Capability replaces CourierCapability; a command whose capability is not listed mostly still works.
	Capability string
	// Env are settings of Courier's configuration file imapd, as "IMAP_ACL": "0".
	Env map[string]string
}

// Courier starts a courier-imap for this test and returns when it greets on both of its ports. Mailboxes lie under
// "INBOX." with "." between their parts; it has no MOVE, no LITERAL+ and no SASL-IR. The test is skipped where Courier
// is missing or where we are not root (see Need).
//
// What a test should know of Courier: what is pipelined behind LOGIN is lost; a wrong password is answered after five
// seconds; changes by others are seen at NOOP, and in IDLE after up to IMAP_IDLE_TIMEOUT (here 2) seconds.
func Courier(t testing.TB, o CourierOptions) *Server {
	t.Helper()
	Need(t, PartCourier)
	root, err := courierRoot()
	if err != nil {
		t.Fatal(err)
	}
	s, certificate := newServer(t, o.Users)
	s.prefix, s.hierarch = "INBOX.", "."
	s.owner = mailOwner()
	if err := writeCourier(s, certificate); err != nil {
		t.Fatalf("configuring Courier: %v", err)
	}
	s.start = func() (*process, error) {
		cmd := exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "sh", "-c", courierScript,
			"courier", root, s.dir, strconv.Itoa(s.ports[0].number), strconv.Itoa(s.ports[1].number))
		cmd.Env = courierEnvironment(s, o)
		return startProcess(cmd)
	}
	s.launch(t)
	return s
}

// courierEnvironment is Courier's configuration: its daemons are configured by nothing else. GAM_CLIENT_ID names the
// change notifier of this server alone, for its socket has no place in the file system.
func courierEnvironment(s *Server, o CourierOptions) []string {
	capability := o.Capability
	if capability == "" {
		capability = CourierCapability
	}
	env := map[string]string{
		"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME": "localhost",
		"GAM_CLIENT_ID":   "imapgate-" + strconv.Itoa(s.ports[0].number),
		"IMAP_CAPABILITY": capability, "IMAP_CAPABILITY_TLS": capability + " AUTH=PLAIN",
		"IMAP_STARTTLS": "YES", "IMAP_TLS_REQUIRED": "0",
		"COURIERTLS": "/usr/bin/couriertls", "TLS_CERTFILE": "/etc/imapd.pem", "TLS_VERIFYPEER": "NONE",
		"IMAP_ACL": "1", "IMAP_KEYWORDS": "1", "IMAP_USELOCKS": "1", "IMAP_MAILBOX_SANITY_CHECK": "1",
		"IMAP_IDLE_TIMEOUT": "2", "IMAP_TRASHFOLDERNAME": "Trash", "MAILDIRPATH": "Maildir",
		"MAXDAEMONS": "400", "MAXPERIP": "400",
	}
	maps.Copy(env, o.Env)
	var list []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

// writeCourier makes what Courier sees as /etc and /run, with the accounts that its daemons look up.
func writeCourier(s *Server, certificate Certificate) error {
	if len(s.Users) == 0 {
		return errors.New("no user is given")
	}
	etc := filepath.Join(s.dir, "etc")
	err := errors.Join(s.makeHomes(), os.MkdirAll(filepath.Join(etc, "courier"), 0o755),
		os.MkdirAll(filepath.Join(s.dir, "run", "courier", "authdaemon"), 0o755))
	if err != nil {
		return err
	}
	ids := fmt.Sprintf("%d:%d", s.owner.uid, s.owner.gid)
	files := map[string]string{
		"nsswitch.conf":         "passwd: files\ngroup: files\n",
		"passwd":                "root:x:0:0::/:/bin/false\ncourier:x:" + ids + "::/:/bin/false\n",
		"group":                 fmt.Sprintf("root:x:0:\ncourier:x:%d:\n", s.owner.gid),
		"courier/authdaemonrc":  courierAuthentication,
		"courier/userdb":        courierAccounts(s),
		"courier/userdb.shadow": courierPasswords(s),
	}
	for name, text := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(etc, name), []byte(text), 0o644))
	}
	return errors.Join(err, writeCourierCertificate(s, certificate))
}

// writeCourierCertificate joins key and certificate as couriertls wants it, which reads it as the mail's owner.
func writeCourierCertificate(s *Server, certificate Certificate) error {
	key, keyErr := os.ReadFile(certificate.KeyFile)
	cert, certErr := os.ReadFile(certificate.CertFile)
	file := filepath.Join(s.dir, "etc", "imapd.pem")
	return errors.Join(keyErr, certErr, os.WriteFile(file, append(key, cert...), 0o600),
		os.Chown(file, s.owner.uid, s.owner.gid))
}

// courierAccounts is input of makedatprog: a line a user, a lone dot at the end.
func courierAccounts(s *Server) string {
	var text strings.Builder
	for i, u := range s.Users {
		fmt.Fprintf(&text, "%s\thome=/run/mail/u%d|mail=/run/mail/u%d/Maildir|uid=%d|gid=%d\n",
			u.Name, i, i, s.owner.uid, s.owner.gid)
	}
	return text.String() + ".\n"
}

// courierPasswords hashes, because '|' and tabs separate fields.
func courierPasswords(s *Server) string {
	var text strings.Builder
	for _, u := range s.Users {
		sum := sha256.Sum256([]byte(u.Password))
		fmt.Fprintf(&text, "%s\tsystempw={SHA256}%s\n", u.Name, base64.StdEncoding.EncodeToString(sum[:]))
	}
	return text.String() + ".\n"
}

const courierAuthentication = `authmodulelist="authuserdb"
authmodulelistorig="authuserdb"
daemons=5
authdaemonvar=/run/courier/authdaemon
DEBUG_LOGIN=0
DEFAULTOPTIONS=""
`

// courierScript is process 1 of the namespaces: when it ends the kernel ends the others. It ends when its standard
// input does, which is when the server is stopped or the test process is gone. gam_server is Courier's change
// notifier; if it were not started here, Courier would start one that outlives the test by half a minute. The listeners
// start last, when authdaemond has its socket, so a greeting means that logins work.
const courierScript = `set -eu
root=$1 work=$2 port=$3 tlsport=$4
for machine in "$root"/usr/lib/*-linux-*; do
	mount --bind "/usr/lib/${machine##*/}" "$machine"
done
[ ! -d /usr/lib64 ] || mount --bind /usr/lib64 "$root/usr/lib64"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount --bind "$work/etc" "$root/etc"
mount --bind "$work/run" "$root/run"
mkdir -p "$work/run/mail"
mount --bind "$work/mail" "$root/run/mail"
owner=$(stat -c %u:%g "$work/mail")

makedat() { chroot "$root" /usr/lib/courier/courier-authlib/makedatprog - "$2.tmp" "$2" <"$1"; }
makedat "$work/etc/courier/userdb" /etc/courier/userdb.dat
makedat "$work/etc/courier/userdb.shadow" /etc/courier/userdbshadow.dat

listen() {
	where=$1
	shift
	chroot "$root" /usr/sbin/couriertcpd -address=127.0.0.1 -maxprocs="$MAXDAEMONS" -maxperip="$MAXPERIP" \
		-nodnslookup -noidentlookup "$where" "$@" /usr/lib/courier/courier/imaplogin /usr/bin/imapd "$MAILDIRPATH" &
}
chroot "$root" /usr/lib/courier/courier-authlib/authdaemond &
chroot --userspec="$owner" "$root" /usr/libexec/gam_server notimeout "$GAM_CLIENT_ID" &
tries=0
while [ ! -S "$work/run/courier/authdaemon/socket" ] && [ "$tries" -lt 500 ]; do
	tries=$((tries + 1))
	sleep 0.01
done
listen "$port"
export IMAP_TLS=1
listen "$tlsport" /usr/bin/couriertls -server -tcpd -user=courier
read -r line || exit 0
`
