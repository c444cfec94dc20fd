package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"

	"gopkg.in/yaml.v3"
)

// DefaultFile is the configuration file that is read when none is named.
const DefaultFile = "/etc/imapgate/config.yaml"

// Load reads a configuration file and everything that it names. Relative paths in it count from its own
// directory. When the content is at fault, the error is of type [Faults] and holds every fault; otherwise
// it is why the file could not be read.
func Load(name string) (*Config, error) {
	return load(name, descriptorLimit(), nil)
}

// load is Load with the number of descriptors that the process may open, 0 for any, and with the
// configuration that is to be replaced, or nil.
func load(name string, descriptors uint64, old *Config) (*Config, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w; name a file with -config, config.example.yaml is one to begin with", err)
	}
	dir, err := filepath.Abs(filepath.Dir(name))
	if err != nil {
		return nil, fmt.Errorf("find the directory of the configuration: %w", err)
	}
	r := &record{file: name, lines: map[string]int{}}
	f := decodeFile(r, data)
	l := loader{record: r, f: f, dir: dir, descriptors: descriptors, old: old}
	return l.config()
}

// decodeFile reads the keys; what could not be read keeps its default and is recorded as a fault.
func decodeFile(r *record, data []byte) *file {
	f := &file{}
	f.setDefaults()
	root, err := parse(data)
	switch {
	case err != nil:
		r.faults = append(r.faults, syntaxFault(r.file, err))
	case root != nil:
		decoder{r}.decode(place{}, root, reflect.ValueOf(f).Elem(), "")
		f.settle()
	}
	return f
}

var errDocuments = errors.New("a second document begins (---); write everything in one")

// parse returns the top of the only document, or nil when the file holds nothing.
func parse(data []byte) (*yaml.Node, error) {
	var doc, next yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if err := dec.Decode(&next); err == nil {
		return nil, errDocuments
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	if top := doc.Content[0]; top.ShortTag() != "!!null" {
		return top, nil
	}
	return nil, nil
}

// yamlError is how the YAML library words a fault of syntax.
var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

func syntaxFault(name string, err error) Fault {
	f := Fault{File: name, Text: err.Error()}
	if m := yamlError.FindStringSubmatch(err.Error()); m != nil {
		f.Line, _ = strconv.Atoi(m[1])
		f.Text = "this is not YAML: " + m[2] + "; look at the indentation and quotes in this line and the one before"
	}
	return f
}
