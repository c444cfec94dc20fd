package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Effective returns the configuration as it takes effect, in YAML: with every default filled in and with
// secrets as <secret>. Unless it holds a secret, it can be loaded again. Behind it, as comments, stands the
// policy that holds for each listener, route and backend that can meet.
func (c *Config) Effective() (string, error) {
	root := effective{c.record}.node("", reflect.ValueOf(c.keys).Elem(), reflect.Value{})
	text, err := yaml.Marshal(root)
	if err != nil {
		return "", fmt.Errorf("write the effective configuration: %w", err)
	}
	return string(text) + c.meetings(), nil
}

// meetings returns the merged policies as comments, one line for each.
func (c *Config) meetings() string {
	var b strings.Builder
	b.WriteString("\n# The policy that holds before login at a listener, and after it for a listener, a route and a backend, as far\n" +
		"# as it is not the default:\n")
	for _, m := range c.keys.meetings() {
		fmt.Fprintf(&b, "#   %s: %s\n", m, describePolicy(c.policies.merged(m.listener, m.backend, m.route)))
	}
	return b.String()
}

// String returns the names with arrows between them.
func (m meeting) String() string {
	if m.route == "" {
		return m.listener
	}
	return m.listener + " > " + m.route + " > " + m.backend
}

// secret is what stands in the place of a secret.
const secret = "<secret>"

// An effective turns values into YAML.
type effective struct{ *record }

// node returns nil for what is neither set nor worth telling. preset is the value's default; invalid where
// there is none.
func (e effective) node(path string, v, preset reflect.Value) *yaml.Node {
	if s, ok := asScalar(v); ok {
		if c, ok := s.(*choice); ok && c.word == "" && c.names != nil {
			return e.sliceNode(path, reflect.ValueOf(c.names), false)
		}
		return scalarNode(s)
	}
	empty := v.IsZero() && !e.written(path) && (!preset.IsValid() || preset.IsZero())
	switch v.Kind() {
	case reflect.Struct:
		return e.structNode(path, v)
	case reflect.Map:
		return e.mapNode(path, v)
	case reflect.Slice:
		return e.sliceNode(path, v, empty)
	case reflect.String:
		if empty {
			return nil
		}
		return word(v.String())
	}
	return plain(fmt.Sprint(v))
}

func asScalar(v reflect.Value) (scalar, bool) {
	if !v.CanAddr() {
		return nil, false
	}
	s, ok := v.Addr().Interface().(scalar)
	return s, ok
}

func scalarNode(s scalar) *yaml.Node {
	text := s.String()
	if text == "" {
		return nil
	}
	switch s.(type) {
	case *count, *size, *boundless, *positive:
		return plain(text)
	}
	return word(text)
}

// plain returns a number or a truth value.
func plain(text string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: text} }

// word returns a text, which the encoder quotes where YAML would take it for something else.
func word(text string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(text)
	return n
}

func (e effective) structNode(path string, v reflect.Value) *yaml.Node {
	preset := newElement(v.Type())
	if path != "" && v.IsZero() && !e.written(path) {
		return nil
	}
	n := &yaml.Node{Kind: yaml.MappingNode}
	for f := range v.Type().Fields() {
		key := f.Tag.Get("yaml")
		value := e.node(join(path, key), v.FieldByIndex(f.Index), preset.FieldByIndex(f.Index))
		if value != nil && f.Tag.Get("secret") != "" {
			value = word(secret)
		}
		if value != nil {
			n.Content = append(n.Content, word(key), value)
		}
	}
	return n
}

func (e effective) mapNode(path string, v reflect.Value) *yaml.Node {
	if v.Len() == 0 {
		return nil
	}
	n := &yaml.Node{Kind: yaml.MappingNode}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, key := range keys {
		element := reflect.New(v.Type().Elem()).Elem() // addressable, as what stands in a map is not
		element.Set(v.MapIndex(key))
		n.Content = append(n.Content, word(key.String()), e.node(join(path, key.String()), element, reflect.Value{}))
	}
	return n
}

func (e effective) sliceNode(path string, v reflect.Value, empty bool) *yaml.Node {
	if empty {
		return nil
	}
	n := &yaml.Node{Kind: yaml.SequenceNode}
	if v.Len() == 0 || v.Type().Elem().Kind() != reflect.Struct || reflect.PointerTo(v.Type().Elem()).Implements(reflect.TypeFor[scalar]()) {
		n.Style = yaml.FlowStyle
	}
	for i := range v.Len() {
		n.Content = append(n.Content, e.node(fmt.Sprintf("%s[%d]", path, i), v.Index(i), reflect.Value{}))
	}
	return n
}
