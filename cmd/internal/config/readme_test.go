package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// readmeSection returns what stands below a heading of the README, up to the next one.
func readmeSection(t *testing.T, heading string) string {
	t.Helper()
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(readme), "\n"+heading+"\n")
	if !found {
		t.Fatalf("README.md has no section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	return section
}

// The README has a row for each key of the policy, and its default.
func TestReadmeHasThePolicyKeys(t *testing.T) {
	section, _, _ := strings.Cut(readmeSection(t, "### Policy"), "\n### ")
	known := keysOf(reflect.TypeFor[policy]())
	defaults := map[string]string{}
	e := effective{&record{}}
	preset := defaultPolicy()
	for f := range reflect.TypeFor[policy]().Fields() {
		if n := e.node("", reflect.ValueOf(&preset).Elem().FieldByIndex(f.Index), reflect.Value{}); n != nil {
			defaults[f.Tag.Get("yaml")] = n.Value
		}
	}
	told := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)[^|]*` \\| ([^|]*) \\|").FindAllStringSubmatch(section, -1) {
		key, value := row[1], strings.Trim(row[2], "`")
		told[key] = true
		if !slices.Contains(known, key) {
			t.Errorf("README.md tells of policy.%s, which is no key", key)
		}
		if want := defaults[key]; want != "" && strings.Replace(value, "60s", "1m", 1) != want {
			t.Errorf("README.md says %q by default of policy.%s, which is %q", value, key, want)
		}
	}
	for _, key := range known {
		if !told[key] {
			t.Errorf("README.md does not tell of policy.%s", key)
		}
	}
}

// The configuration of the section is one.
func TestReadmesPolicyLoads(t *testing.T) {
	_, block, _ := strings.Cut(readmeSection(t, "## Old and new speak to each other"), "```yaml\n")
	block, _, found := strings.Cut(block, "```")
	if !found {
		t.Fatal("there is no block of YAML")
	}
	c := mustLoad(t, "listeners: [{name: imaps, address: \":993\", tls: implicit}]\ntls: {certificates: [{cert: good.crt, key: good.key}]}\n"+block)
	if len(c.Notes) != 0 {
		t.Errorf("notes %q", c.Notes)
	}
	if got := describePolicy(c.Options().Policies("imaps", "old", "routes[0]")); !strings.Contains(got, "polyfills: off") || !strings.Contains(got, "mailbox_map: {") {
		t.Errorf("got %s", got)
	}
}
