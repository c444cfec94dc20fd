package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// A place is where a value stands: path names this value (listeners[0].tls), schema all of its kind
// (listeners[].tls).
type place struct{ path, schema string }

func (p place) key(name string) place {
	return place{join(p.path, name), join(p.schema, name)}
}

func (p place) name(name string) place {
	return place{join(p.path, name), join(p.schema, "*")}
}

func (p place) index(i int) place {
	return place{fmt.Sprintf("%s[%d]", p.path, i), p.schema + "[]"}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// A decoder fills a value from YAML nodes and goes on after a fault, so that all are found.
type decoder struct{ *record }

// decode fills v, which holds its default. choices are the words that a string may be; empty for any.
func (d decoder) decode(at place, n *yaml.Node, v reflect.Value, choices string) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.ShortTag() == "!!null" {
		d.add(at.path, "it has no value; write one or remove the key")
		return
	}
	if v.CanAddr() {
		if c, ok := v.Addr().Interface().(*choice); ok && n.Kind == yaml.SequenceNode {
			d.decodeSlice(at, n, reflect.ValueOf(&c.names).Elem())
			c.word = ""
			return
		}
		if s, ok := v.Addr().Interface().(scalar); ok {
			d.decodeScalar(at, n, s)
			return
		}
	}
	switch v.Kind() {
	case reflect.Struct:
		d.decodeStruct(at, n, v)
	case reflect.Map:
		d.decodeMap(at, n, v)
	case reflect.Slice:
		d.decodeSlice(at, n, v)
	default:
		d.decodeScalar(at, n, basic{v, strings.Fields(choices)})
	}
}

func (d decoder) decodeScalar(at place, n *yaml.Node, s scalar) {
	if n.Kind != yaml.ScalarNode {
		d.add(at.path, "it is a %s; write a single value", kindName(n))
		return
	}
	if err := s.read(n.Value); err != nil {
		d.add(at.path, "%s", err)
	}
}

// entries calls each for the keys of a mapping, in their order, and reports those that come twice.
func (d decoder) entries(at place, n *yaml.Node, each func(name string, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		d.add(at.path, "it is a %s; write keys with values here", kindName(n))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, line := n.Content[i].Value, n.Content[i].Line
		path := join(at.path, name)
		if first := seen[name]; first > 0 {
			d.faults = append(d.faults, Fault{d.file, line, path,
				fmt.Sprintf("the key is given twice, first in line %d; remove one", first)})
			continue
		}
		seen[name] = line
		d.lines[path] = line
		each(name, n.Content[i+1])
	}
}

func (d decoder) decodeStruct(at place, n *yaml.Node, v reflect.Value) {
	fields := fieldsOf(v.Type())
	d.entries(at, n, func(name string, value *yaml.Node) {
		p := at.key(name)
		f, ok := fields[name]
		if !ok {
			d.unknown(p, name, v.Type())
			return
		}
		d.decode(p, value, v.FieldByIndex(f.Index), f.Tag.Get("choices"))
	})
}

func (d decoder) unknown(at place, name string, t reflect.Type) {
	known := keysOf(t)
	near := nearest(name, known)
	switch {
	case isLater(at.schema):
		d.add(at.path, "the key is not available in this version; remove it")
	case near != "":
		d.add(at.path, "unknown key; did you mean %s?", near)
	default:
		d.add(at.path, "unknown key; the keys here are %s", strings.Join(known, ", "))
	}
}

func (d decoder) decodeMap(at place, n *yaml.Node, v reflect.Value) {
	v.Set(reflect.MakeMap(v.Type()))
	d.entries(at, n, func(name string, value *yaml.Node) {
		element := newElement(v.Type().Elem())
		d.decode(at.name(name), value, element, "")
		v.SetMapIndex(reflect.ValueOf(name), element)
	})
}

func (d decoder) decodeSlice(at place, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.add(at.path, "it is a %s; write a list, with a dash before each element", kindName(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, len(n.Content)))
	for i, value := range n.Content {
		p := at.index(i)
		d.lines[p.path] = value.Line
		element := newElement(v.Type().Elem())
		d.decode(p, value, element, "")
		v.Set(reflect.Append(v, element))
	}
}

// newElement makes a value with its defaults.
func newElement(t reflect.Type) reflect.Value {
	p := reflect.New(t)
	if e, ok := p.Interface().(interface{ setDefaults() }); ok {
		e.setDefaults()
	}
	return p.Elem()
}

func fieldsOf(t reflect.Type) map[string]reflect.StructField {
	fields := map[string]reflect.StructField{}
	for f := range t.Fields() {
		fields[f.Tag.Get("yaml")] = f
	}
	return fields
}

// keysOf returns the keys of a struct in their order.
func keysOf(t reflect.Type) []string {
	var keys []string
	for f := range t.Fields() {
		keys = append(keys, f.Tag.Get("yaml"))
	}
	return keys
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "mapping"
	case yaml.SequenceNode:
		return "list"
	default:
		return "single value"
	}
}

// basic is a scalar of Go's own types.
type basic struct {
	v       reflect.Value
	choices []string
}

func (b basic) read(text string) error {
	switch b.v.Kind() {
	case reflect.Bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("%q is neither true nor false; write one of them", text)
		}
		b.v.SetBool(text == "true")
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is no whole number; write one, as in 1000", text)
		}
		b.v.SetInt(int64(n))
	default:
		return b.readString(text)
	}
	return nil
}

func (b basic) String() string { return fmt.Sprint(b.v) }

func (b basic) readString(text string) error {
	known := b.choices
	for _, c := range known {
		if c == text {
			known = nil
		}
	}
	if len(known) > 0 {
		return fmt.Errorf("%q is not known; write one of %s", text, strings.Join(known, ", "))
	}
	b.v.SetString(text)
	return nil
}
