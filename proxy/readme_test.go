package proxy

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/imapgate/imapgate/proxy/backend"
	"github.com/imapgate/imapgate/routing"
)

// readmeTable returns the cells of the first table below a heading of the README, without its head.
func readmeTable(t *testing.T, heading string) (rows [][]string) {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(readme), "\n"+heading+"\n")
	if !found {
		t.Fatalf("README.md has no section %q", heading)
	}
	for line := range strings.Lines(section) {
		cells, isRow := strings.CutPrefix(strings.TrimSpace(line), "| ")
		switch {
		case isRow:
			rows = append(rows, strings.Split(strings.TrimSuffix(cells, " |"), " | "))
		case len(rows) > 0 && !strings.HasPrefix(line, "|"):
			return rows[1:]
		}
	}
	if len(rows) < 2 {
		t.Fatalf("README.md has no table in section %q", heading)
	}
	return rows[1:]
}

// descParts finds name and labels in how a metric describes itself.
var descParts = regexp.MustCompile(`fqName: "imapgate_(\w+)".* constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}`)

// serverMetrics are the metrics that a server registers, as name{label,label}.
func serverMetrics(t *testing.T) map[string]bool {
	t.Helper()
	table, err := routing.NewTable(routing.Config{Backends: []routing.Backend{{Name: "b"}}, Routes: []routing.Route{{Name: "r", Backend: "b"}}})
	if err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	backends := map[string]*backend.Config{"b": {Name: "b", TLS: backend.None}}
	if _, err := NewServer(Options{Backends: backends, Table: table, Registry: reg}); err != nil {
		t.Fatal(err)
	}
	descs := make(chan *prometheus.Desc)
	go func() {
		defer close(descs)
		reg.Describe(descs)
	}()
	names := map[string]bool{}
	for d := range descs {
		m := descParts.FindStringSubmatch(d.String())
		if m == nil {
			t.Errorf("unexpected form: %s", d)
			continue
		}
		var labels []string
		for label := range strings.SplitSeq(m[2]+","+m[3], ",") {
			if name, _, _ := strings.Cut(label, "="); name != "" {
				labels = append(labels, name)
			}
		}
		names[m[1]+"{"+strings.Join(labels, ",")+"}"] = true
	}
	return names
}

// processMetric finds the metrics that the program adds to those of a server.
var processMetric = regexp.MustCompile(`Name:\s+"imapgate_(\w+)",\s+Help:\s+"[^"]*",\s+\}(?:, \[\]string(\{[^}]*\}))?`)

func processMetrics(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("../cmd/imapgate/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files of the program: %v", err)
	}
	names := map[string]bool{}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range processMetric.FindAllStringSubmatch(string(source), -1) {
			names[m[1]+strings.NewReplacer(`"`, "", " ", "").Replace(m[2])] = true
		}
	}
	return names
}

// The README names exactly the metrics that /metrics can show, with their labels.
func TestReadmeHasTheMetrics(t *testing.T) {
	want := serverMetrics(t)
	for name := range processMetrics(t) {
		want[name] = true
	}
	for _, row := range readmeTable(t, "## Metrics") {
		name := strings.Trim(row[0], "`")
		if !want[name] {
			t.Errorf("README.md names %s, and there is none", name)
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("README.md does not name %s", name)
	}
}

// defaults are the keys of limits and timeouts with their defaults as the README writes them.
func defaults() map[string]string {
	o := Options{}.withDefaults()
	all := map[string]string{}
	for block, v := range map[string]reflect.Value{"limits": reflect.ValueOf(o.Limits), "timeouts": reflect.ValueOf(o.Timeouts)} {
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if networks, ok := v.Field(i).Interface().([]netip.Prefix); ok {
				all[block+"."+key(name)] = strings.Trim(fmt.Sprint(networks), "[]")
				continue
			}
			all[block+"."+key(name)] = written(block, v.Field(i).Int())
		}
	}
	return all
}

// keys are those of fields whose names are not those of their keys.
var keys = map[string]string{"PerIP": "connections_per_ip", "PerUser": "sessions_per_user", "Exempt": "connections_exempt"}

// key is a field's name as a key of the configuration: PreauthLine is preauth_line.
func key(field string) string {
	if name, other := keys[field]; other {
		return name
	}
	words := regexp.MustCompile(`[A-Z][a-z]*`).FindAllString(field, -1)
	return strings.ToLower(strings.Join(words, "_"))
}

func written(block string, n int64) string {
	d := time.Duration(n)
	switch {
	case block == "limits" && n == 0:
		return "unlimited"
	case block == "limits" && n%1024 == 0:
		return fmt.Sprintf("%dKiB", n/1024)
	case block == "limits":
		return fmt.Sprint(n)
	case d < time.Second:
		return d.String()
	case d > time.Minute:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	}
	return fmt.Sprintf("%ds", int(d.Seconds()))
}

func TestReadmeHasTheDefaults(t *testing.T) {
	busyOnly(t)
	want := defaults()
	for _, row := range readmeTable(t, "## Timeouts and limits") {
		name := strings.Trim(row[0], "`")
		if want[name] != row[1] {
			t.Errorf("README.md says %s of %s, the default is %q", row[1], name, want[name])
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("README.md does not tell of %s", name)
	}
}

// directModules are the modules that go.mod requires for themselves.
func directModules(t *testing.T) (modules []string) {
	t.Helper()
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) \S+$`).FindAllStringSubmatch(string(mod), -1) {
		modules = append(modules, m[1])
	}
	return modules
}

func TestReadmeHasTheDependencies(t *testing.T) {
	want := directModules(t)
	for _, row := range readmeTable(t, "## Dependencies") {
		name := strings.Trim(row[0], "`")
		if !slices.Contains(want, name) {
			t.Errorf("README.md names %s, go.mod does not", name)
		}
		want = slices.DeleteFunc(want, func(m string) bool { return m == name })
	}
	for _, name := range want {
		t.Errorf("README.md does not name %s", name)
	}
}
