package deploy

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A metric is one row of the README's table.
type metric struct {
	kind   string
	labels []string
	row    string
}

var metricRow = regexp.MustCompile("(?m)^\\| `(\\w+)(?:\\{([\\w,]+)\\})?` \\| (counter|gauge|histogram) \\|.*$")

func documentedMetrics(t *testing.T) map[string]metric {
	t.Helper()
	_, section, found := strings.Cut(read(t, "../README.md"), "\n## Metrics\n")
	if !found {
		t.Fatal("README.md has no section Metrics")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	metrics := map[string]metric{}
	for _, m := range metricRow.FindAllStringSubmatch(section, -1) {
		metrics["imapgate_"+m[1]] = metric{m[3], strings.Split(m[2], ","), m[0]}
	}
	if len(metrics) < 10 {
		t.Fatalf("README.md has a table of %d metrics, which cannot be all", len(metrics))
	}
	return metrics
}

var (
	selector = regexp.MustCompile(`(imapgate_\w+)(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"`)
	ofScrape = []string{"instance", "job", "le"}
)

// faultsOf says what an expression asks for that the README does not promise.
func faultsOf(expr string, metrics map[string]metric) (faults []string) {
	for _, use := range selector.FindAllStringSubmatch(expr, -1) {
		name := use[1]
		known, ok := metrics[name]
		for _, suffix := range []string{"_bucket", "_count", "_sum"} {
			if base, cut := strings.CutSuffix(name, suffix); cut && metrics[base].kind == "histogram" {
				known, ok = metrics[base], true
			}
		}
		if !ok {
			faults = append(faults, "there is no metric "+name)
			continue
		}
		for _, m := range matcher.FindAllStringSubmatch(use[2], -1) {
			label, values := m[1], m[2]
			if slices.Contains(ofScrape, label) {
				continue
			}
			if !slices.Contains(known.labels, label) {
				faults = append(faults, name+" has no label "+label)
			}
			for value := range strings.SplitSeq(values, "|") {
				if !strings.HasPrefix(value, "$") && !strings.Contains(known.row, "`"+value+"`") {
					faults = append(faults, name+" is not documented to have "+label+"="+value)
				}
			}
		}
	}
	return faults
}

func TestFaultsAreFound(t *testing.T) {
	metrics := documentedMetrics(t)
	for expr, want := range map[string]string{
		`rate(imapgate_logins_total{result="ok",instance=~"$instance"}[5m])`: "",
		`imapgate_login_duration_seconds_bucket`:                             "",
		`imapgate_logins_total_bucket`:                                       "there is no metric imapgate_logins_total_bucket",
		`imapgate_lgins_total`:                                               "there is no metric imapgate_lgins_total",
		`imapgate_logins_total{user="x"}`:                                    "imapgate_logins_total has no label user",
		`imapgate_logins_total{result=~"ok|fine"}`:                           "is not documented to have result=fine",
	} {
		got := strings.Join(faultsOf(expr, metrics), "; ")
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
}

func TestAlertsUseDocumentedMetrics(t *testing.T) {
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr         string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "prometheus/alerts.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	metrics, tests, count := documentedMetrics(t), read(t, "prometheus/alerts_test.yaml"), 0
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			count++
			for _, fault := range faultsOf(rule.Expr, metrics) {
				t.Errorf("%s: %s", rule.Alert, fault)
			}
			if rule.Labels["severity"] == "" || rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
				t.Errorf("%s: severity, summary and description are needed", rule.Alert)
			}
			if !strings.Contains(tests, "alertname: "+rule.Alert) {
				t.Errorf("%s: alerts_test.yaml has no test for it", rule.Alert)
			}
		}
	}
	if count == 0 {
		t.Error("there are no alerts")
	}
}

func TestDashboardUsesDocumentedMetrics(t *testing.T) {
	var board struct {
		UID    string
		Panels []struct {
			ID            int
			Title, Type   string
			GridPos       struct{ X, W int }
			Targets       []struct{ Expr string }
			PluginVersion string
		}
		Templating struct{ List []struct{ Query string } }
	}
	text := read(t, "grafana/imapgate.json")
	if err := json.Unmarshal([]byte(text), &board); err != nil {
		t.Fatal(err)
	}
	metrics, seen := documentedMetrics(t), map[int]bool{}
	for _, panel := range board.Panels {
		if seen[panel.ID] {
			t.Errorf("%s: its id %d is not its own", panel.Title, panel.ID)
		}
		seen[panel.ID] = true
		if panel.Type != "row" && len(panel.Targets) == 0 || panel.GridPos.X+panel.GridPos.W > 24 {
			t.Errorf("%s: it shows nothing, or stands beyond the right edge", panel.Title)
		}
		for _, target := range panel.Targets {
			for _, fault := range faultsOf(target.Expr, metrics) {
				t.Errorf("%s: %s", panel.Title, fault)
			}
		}
	}
	for _, variable := range board.Templating.List {
		for _, fault := range faultsOf(variable.Query, metrics) {
			t.Errorf("a variable: %s", fault)
		}
	}
	for name := range metrics {
		if !strings.Contains(text, name) {
			t.Errorf("%s is on no panel", name)
		}
	}
}

func TestDebianVersion(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("there is no bash")
	}
	for description, want := range map[string]string{
		"v1.2.0":                   "1.2.0",
		"v1.2.0-rc1":               "1.2.0~rc1",
		"v1.2.0-3-gabc1234":        "1.2.0+3.gabc1234",
		"v1.2.0-rc1-3-gabc1234":    "1.2.0~rc1+3.gabc1234",
		"v1.2.0-12-gabc1234-dirty": "1.2.0+12.gabc1234+dirty",
		"80a0d84":                  "0~20261123.80a0d84",
		"80a0d84-dirty":            "0~20261123.80a0d84+dirty",
		"devel":                    "0~20261123.devel",
	} {
		out, err := exec.Command("bash", "debian/version", description, "20261123").CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("version %s: %q %v, want %q", description, got, err, want)
		}
	}
	if out, err := exec.Command("bash", "debian/version", "v1.2/3").CombinedOutput(); err == nil {
		t.Errorf("v1.2/3 made the version %s", out)
	}
}
