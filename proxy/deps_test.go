package proxy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const modulePath = "github.com/imapgate/imapgate"

// importRules is the table of the module's packages and of what each may import of ours and from
// outside, the standard library always included. "x/..." is x and all below it; "-" is nothing. A
// package that is not in the table fails the test: whoever adds one says here what it may import.
//
// Tests may import what they like. No code that is shipped imports proxy/imaptest.
const importRules = `
# package                   ours                                             outside
cmd/imapgate                cmd/internal/... proxy/... routing/... tlsutil   all
cmd/imapload                tlsutil                                          -
cmd/internal/config         proxy/... routing/... tlsutil                    gopkg.in/yaml.v3,github.com/emersion/go-imap/v2
proxy                       proxy/wire proxy/translate proxy/backend proxy/auth routing   no-yaml
proxy/wire                  -                                                -
proxy/translate             proxy/wire                                       no-yaml
proxy/backend               proxy/wire proxy/auth                            no-yaml
proxy/auth                  -                                                no-yaml
proxy/imaptest              proxy/wire                                       no-yaml
proxy/imaptest/realpeer     proxy/imaptest proxy/wire                        no-yaml
routing                     -                                                -
routing/lookup/usersfile    routing                                          -
tlsutil                     -                                                -
deploy                      -                                                -
`

// A rule is one line of the table; outside is one word: "-", "all", "no-yaml", or modules with commas.
type rule struct {
	ours    []string
	outside string
}

func parseRules(t *testing.T, text string) map[string]rule {
	t.Helper()
	rules := make(map[string]rule)
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		if len(f) < 3 {
			t.Fatalf("a line of the table has too few columns: %q", line)
		}
		if _, twice := rules[f[0]]; twice {
			t.Fatalf("the table has two lines for %s", f[0])
		}
		rules[f[0]] = rule{ours: f[1 : len(f)-1], outside: f[len(f)-1]}
	}
	return rules
}

// under reports whether a path is named by a pattern of the table.
func under(pattern, name string) bool {
	base, tree := strings.CutSuffix(pattern, "/...")
	return name == base || tree && strings.HasPrefix(name, base+"/")
}

// forbids says why a package may not import another, or "".
func (r rule) forbids(imported string) string {
	if ours, ok := strings.CutPrefix(imported, modulePath+"/"); ok {
		named := slices.ContainsFunc(r.ours, func(pattern string) bool { return under(pattern, ours) })
		if slices.Contains(r.ours, "proxy/...") && under("proxy/imaptest/...", ours) {
			return "only tests import it"
		}
		if !named {
			return "of ours only " + strings.Join(r.ours, " ")
		}
		return ""
	}
	first, _, _ := strings.Cut(imported, "/")
	switch {
	case imported == "C":
		return "cgo is not used"
	case !strings.Contains(first, "."): // the standard library
		return ""
	case r.outside == "-":
		return "the standard library only"
	case r.outside == "no-yaml" && strings.Contains(imported, "yaml"):
		return "only cmd knows YAML"
	case r.outside == "all", r.outside == "no-yaml":
		return ""
	}
	for module := range strings.SplitSeq(r.outside, ",") {
		if under(module+"/...", imported) {
			return ""
		}
	}
	return "from outside only " + r.outside
}

// A listed is what go list says of a package.
type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

// complaints are all the ways in which packages break the rules.
func complaints(rules map[string]rule, packages []listed) (all []string) {
	for _, p := range packages {
		name := strings.TrimPrefix(p.ImportPath, modulePath+"/")
		r, ok := rules[name]
		if !ok {
			all = append(all, name+" is not in the table")
			continue
		}
		for _, imported := range p.Imports {
			if why := r.forbids(imported); why != "" {
				all = append(all, name+" imports "+imported+": "+why)
			}
		}
		all = append(all, distant(name, p.Deps)...)
	}
	return all
}

// distant finds what must not be below proxy at any distance: proxy is given values and functions.
func distant(name string, deps []string) (all []string) {
	if !under("proxy/...", name) {
		return nil
	}
	for _, d := range deps {
		if under(modulePath+"/tlsutil/...", d) || under(modulePath+"/cmd/...", d) || under("gopkg.in/yaml.v3/...", d) {
			all = append(all, name+" depends on "+d+": proxy is given values and functions")
		}
	}
	return all
}

func goList(t *testing.T) (packages []listed) {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", "./...")
	cmd.Dir = ".."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// touch looks at every Go file of the module. The go command remembers which files a test looked at:
// without this it would repeat the result of an earlier run although imports have changed.
func touch(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".go" {
			return err
		}
		_, err = os.Stat(name)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

func TestImportRules(t *testing.T) {
	touch(t)
	packages := goList(t)
	if len(packages) < 5 {
		t.Fatalf("go list names only %d packages", len(packages))
	}
	for _, c := range complaints(parseRules(t, importRules), packages) {
		t.Error(c)
	}
}

// TestImportRulesRefuse shows that the test above can fail.
func TestImportRulesRefuse(t *testing.T) {
	rules := parseRules(t, importRules)
	const ours = modulePath + "/"
	for _, tt := range []struct {
		name, imported, want string
	}{
		{"proxy", "crypto/tls", ""},
		{"proxy", ours + "proxy/wire", ""},
		{"proxy", "github.com/prometheus/client_golang/prometheus", ""},
		{"cmd/imapgate", ours + "proxy/wire", ""},
		{"cmd/imapgate", ours + "cmd/internal/config", ""},
		{"cmd/internal/config", "gopkg.in/yaml.v3", ""},
		{"proxy/imaptest/realpeer", ours + "proxy/imaptest", ""},
		{"proxy", ours + "tlsutil", "of ours only"},
		{"proxy", ours + "cmd/internal/config", "of ours only"},
		{"proxy", ours + "proxy/imaptest", "of ours only"},
		{"proxy", "gopkg.in/yaml.v3", "only cmd knows YAML"},
		{"proxy/wire", "github.com/emersion/go-imap/v2", "the standard library only"},
		{"proxy/wire", ours + "proxy/translate", "of ours only"},
		{"proxy/wire", "C", "cgo is not used"},
		{"proxy/backend", ours + "routing", "of ours only"},
		{"routing", "github.com/emersion/go-sasl", "the standard library only"},
		{"routing", ours + "proxy", "of ours only"},
		{"cmd/imapgate", ours + "proxy/imaptest/realpeer", "only tests import it"},
		{"cmd/internal/config", ours + "cmd/imapgate", "of ours only"},
		{"cmd/internal/config", "github.com/prometheus/client_golang/prometheus", "from outside only"},
		{"proxy/unheard", "fmt", "is not in the table"},
	} {
		got := strings.Join(complaints(rules, []listed{{ImportPath: ours + tt.name, Imports: []string{tt.imported}}}), "\n")
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s imports %s: complaint %q, want %q", tt.name, tt.imported, got, tt.want)
		}
	}
	for _, d := range []string{ours + "tlsutil", ours + "cmd/internal/config", "gopkg.in/yaml.v3"} {
		if got := complaints(rules, []listed{{ImportPath: ours + "proxy", Deps: []string{d}}}); len(got) != 1 {
			t.Errorf("proxy depends on %s: complaints %q", d, got)
		}
	}
}
