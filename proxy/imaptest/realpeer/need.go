//go:build unix

package realpeer

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A Part is one real peer that may be missing on a machine.
type Part string

// The parts that this package can start or run.
const (
	PartDovecot   Part = "dovecot"
	PartCourier   Part = "courier"
	PartMailutils Part = "mailutils"
	PartPython    Part = "python3"
	PartCurl      Part = "curl"
	PartMbsync    Part = "mbsync"
	PartOpenSSL   Part = "openssl"

	PartIMAPFlow Part = "imapflow"
)

// requireVariable makes a missing part a failure when it is "1".
const requireVariable = "IMAPGATE_REQUIRE_PEERS"

// Need skips the test when one of the parts is missing on this machine and says how to install it. With
// IMAPGATE_REQUIRE_PEERS=1 in the environment it fails the test instead. The functions that start servers and
// clients call it themselves; a test calls it when it wants to stop before doing expensive work.
func Need(t testing.TB, parts ...Part) {
	t.Helper()
	for _, part := range parts {
		err := missing(part)
		if err == nil {
			continue
		}
		if os.Getenv(requireVariable) == "1" {
			t.Fatalf("%s=1, but %s cannot be used: %v; run `make peers`", requireVariable, part, err)
		}
		t.Skipf("LEFT OUT: tests with %s: %v; run `make peers` to install it", part, err)
	}
}

func missing(part Part) error {
	switch part {
	case PartDovecot:
		_, err := dovecotProgram()
		return err
	case PartCourier:
		_, err := courierRoot()
		return err
	case PartMailutils:
		_, err := mailutilsProgram()
		return err
	case PartIMAPFlow:
		_, err := imapflowFolder()
		return err
	default:
		_, err := exec.LookPath(string(part))
		return err
	}
}

// dovecotProgram also looks where a user's PATH does not lead.
func dovecotProgram() (string, error) {
	if _, err := os.Stat("/usr/lib/dovecot/imap"); err != nil {
		return "", fmt.Errorf("dovecot-imapd is not installed: %w", err)
	}
	if path, err := exec.LookPath("dovecot"); err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/dovecot")
}

// mailutilsProgram also looks where a user's PATH does not lead. imap4d changes its user id at each login, so it runs
// for root only.
func mailutilsProgram() (string, error) {
	if os.Geteuid() != 0 {
		return "", errors.New("imap4d needs root, for its users' ids")
	}
	if path, err := exec.LookPath("imap4d"); err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/imap4d")
}

// courierRoot returns the folder into which Courier was unpacked. Courier changes its user id at each login, so it
// runs for root only.
func courierRoot() (string, error) {
	peers, err := peersFolder()
	if err != nil {
		return "", err
	}
	root := filepath.Join(peers, "courier")
	if _, err := os.Stat(filepath.Join(root, "version")); err != nil {
		return "", fmt.Errorf("courier-imap is not unpacked: %w", err)
	}
	if os.Geteuid() != 0 {
		return "", errors.New("courier needs root, for its mount namespace and for its users' ids")
	}
	if out, err := exec.Command("unshare", "--mount", "--pid", "--fork", "true").CombinedOutput(); err != nil {
		return "", fmt.Errorf("no mount namespace can be made here: %w: %s", err, out)
	}
	return root, nil
}

// imapflowFolder returns the folder in whose node_modules imapflow is.
func imapflowFolder() (string, error) {
	if _, err := exec.LookPath("node"); err != nil {
		return "", err
	}
	peers, err := peersFolder()
	if err != nil {
		return "", err
	}
	root := filepath.Join(peers, "imapflow")
	if _, err := os.Stat(filepath.Join(root, "node_modules", "imapflow", "package.json")); err != nil {
		return "", fmt.Errorf("imapflow is not installed: %w", err)
	}
	return root, nil
}

// peersFolder is where `make peers` puts what is not installed as a package.
func peersFolder() (string, error) {
	if peers := os.Getenv("IMAPGATE_PEERS"); peers != "" {
		return peers, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("neither IMAPGATE_PEERS nor a home folder is set: %w", err)
	}
	return filepath.Join(home, ".cache", "imapgate-peers"), nil
}
