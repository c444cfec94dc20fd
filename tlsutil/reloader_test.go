package tlsutil

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func loadPair(t *testing.T, p pair) *Pair {
	t.Helper()
	loaded, err := LoadPair(p.certFile, p.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// replace puts the files of another pair in the place of p's.
func (p *pair) replace(t *testing.T, by pair) {
	t.Helper()
	for to, from := range map[string]string{p.certFile: by.certFile, p.keyFile: by.keyFile} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, to, data)
	}
	p.cert = by.cert
}

func reloaderConfig(t *testing.T, r *Reloader) *tls.Config {
	t.Helper()
	c, err := r.Config()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// presents fails unless a client that asks for name is shown want.
func presents(t *testing.T, server *tls.Config, name string, want pair) {
	t.Helper()
	state, err := shake(t, server, clientConfig(t, Client{ServerName: name, Verification: InsecureSkip}))
	if err != nil {
		t.Fatal(err)
	}
	if !state.PeerCertificates[0].Equal(want.cert.Leaf) {
		t.Errorf("%s got another certificate", name)
	}
}

func TestReloadPresentsTheNewest(t *testing.T) {
	first, second := newPair(t, "a"), newPair(t, "b")
	r := NewReloader(0, []*Pair{loadPair(t, first), loadPair(t, second)}, nil)
	server := reloaderConfig(t, r)
	presents(t, server, "a", first)
	presents(t, server, "b", second)
	presents(t, server, "c", first)

	second.replace(t, newPair(t, "b"))
	if all := r.Reload(); len(all) != 2 || all[0].Err != nil || all[1].Err != nil || all[1].Pair.CertFile != second.certFile {
		t.Fatalf("reloads %+v", all)
	}
	presents(t, server, "a", first)
	presents(t, server, "b", second)
}

func TestBrokenFileKeepsTheOld(t *testing.T) {
	first, second := newPair(t, "a"), newPair(t, "b")
	r := NewReloader(0, []*Pair{loadPair(t, first), loadPair(t, second)}, nil)
	server := reloaderConfig(t, r)
	writeFile(t, first.certFile, []byte("half a cert"))
	if err := os.Remove(second.keyFile); err != nil {
		t.Fatal(err)
	}
	all := r.Reload()
	if len(all) != 2 || all[0].Err == nil || !strings.Contains(all[0].Err.Error(), first.certFile) {
		t.Fatalf("reloads %+v", all)
	}
	if !errors.Is(all[1].Err, os.ErrNotExist) || !errors.Is(all[1].Err, errStays) {
		t.Errorf("got %v", all[1].Err)
	}
	presents(t, server, "a", first)
	presents(t, server, "b", second)
}

// A client must not pay for the operator's new certificate by a whole handshake.
func TestResumptionSurvivesReload(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		files := newPair(t, "a")
		r := NewReloader(0, []*Pair{loadPair(t, files)}, nil)
		server := reloaderConfig(t, r)
		client := clientConfig(t, Client{ServerName: "a", Roots: files.roots})
		client.ClientSessionCache, client.MaxVersion = tls.NewLRUClientSessionCache(1), version
		if _, err := shake(t, server, client); err != nil {
			t.Fatal(err)
		}
		files.replace(t, newPair(t, "a"))
		r.Reload()
		presents(t, server, "a", files)
		state, err := shake(t, server, client)
		if err != nil || !state.DidResume {
			t.Errorf("%s: resumed %v, error %v", tls.VersionName(version), state.DidResume, err)
		}
	}
}

func TestAdopt(t *testing.T) {
	first, second := newPair(t, "a"), newPair(t, "a")
	r := NewReloader(0, []*Pair{loadPair(t, first)}, nil)
	server := reloaderConfig(t, r)
	client := loadPair(t, first)
	r.Adopt(NewReloader(tls.VersionTLS13, []*Pair{loadPair(t, second)}, []*Pair{client}))
	presents(t, server, "a", second)
	old := clientConfig(t, Client{ServerName: "a", Verification: InsecureSkip})
	old.MaxVersion = tls.VersionTLS12
	if _, err := shake(t, server, old); err == nil {
		t.Error("the adopted least version does not count")
	}
	if !slices.Contains(r.Pairs(), client) {
		t.Error("the adopted other pair is not kept new")
	}
	first.replace(t, second)
	r.Reload()
	if !client.Certificate().Leaf.Equal(second.cert.Leaf) {
		t.Error("the adopted other pair was not read anew")
	}
}

func TestReloaderWithoutCertificate(t *testing.T) {
	if _, err := NewReloader(0, nil, nil).Config(); !errors.Is(err, ErrNoCertificate) {
		t.Errorf("got %v", err)
	}
}

// A port may outlive the certificates of the configuration; its clients must not pay for it.
func TestAdoptNothing(t *testing.T) {
	files, client := newPair(t, "a"), newPair(t, "c")
	r := NewReloader(tls.VersionTLS13, []*Pair{loadPair(t, files)}, nil)
	server := reloaderConfig(t, r)
	r.Adopt(NewReloader(0, nil, []*Pair{loadPair(t, client)}))
	presents(t, server, "a", files)
	old := clientConfig(t, Client{ServerName: "a", Roots: files.roots})
	old.MaxVersion = tls.VersionTLS12
	if _, err := shake(t, server, old); err == nil {
		t.Error("the least version was forgotten")
	}
	files.replace(t, newPair(t, "a"))
	if all := r.Reload(); len(all) != 2 {
		t.Errorf("reloads %+v", all)
	}
	presents(t, server, "a", files)
}

func TestWatch(t *testing.T) {
	files, next := newPair(t, "a"), newPair(t, "a", "longer.example.org")
	r := NewReloader(0, []*Pair{loadPair(t, files)}, nil)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var got []Reload
		go r.Watch(ctx, func(one Reload) { got = append(got, one) })
		reports := func() int {
			<-time.After(PollInterval)
			synctest.Wait()
			return len(got)
		}
		if n := reports(); n != 0 {
			t.Fatalf("%d reports of files that did not change", n)
		}
		writeFile(t, files.certFile, []byte("broken"))
		if n := reports(); n != 1 || got[0].Err == nil {
			t.Fatalf("a broken file: %+v", got)
		}
		if n := reports(); n != 1 {
			t.Fatalf("the same broken file was reported again: %+v", got)
		}
		files.replace(t, next)
		if n := reports(); n != 2 || got[1].Err != nil {
			t.Fatalf("the new pair: %+v", got)
		}
		if !r.Pairs()[0].Certificate().Leaf.Equal(next.cert.Leaf) {
			t.Error("the new pair is not in use")
		}
	})
}

// Certificates are often links into a folder that is exchanged as a whole.
func TestWatchSeesExchangedLink(t *testing.T) {
	files, next := newPair(t, "a"), newPair(t, "a")
	link := files.certFile + ".link"
	relink := func(to string) {
		os.Remove(link)
		if err := os.Symlink(to, link); err != nil {
			t.Skip("no symbolic links here:", err)
		}
	}
	relink(files.certFile)
	p, err := LoadPair(link, files.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	if _, changed := p.reloadChanged(); changed {
		t.Error("changed before it was")
	}
	relink(next.certFile)
	if result, changed := p.reloadChanged(); !changed || result.Err == nil {
		t.Errorf("a new certificate with the old key: %+v %v", result, changed)
	}
}
