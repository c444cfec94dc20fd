package config

import (
	"strings"
	"testing"
)

func TestDefaultConnectionsFitTheDescriptors(t *testing.T) {
	c, err := loadText(t, minimal, 1024)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Options().Limits.Connections; got != (1024-192)/2 {
		t.Errorf("got %d", got)
	}
	if len(c.Notes) != 1 || !strings.Contains(c.Notes[0], "lowered from 20000 to 416") {
		t.Errorf("notes %q", c.Notes)
	}
}

func TestWrittenConnectionsMustFitTheDescriptors(t *testing.T) {
	text := minimal + "limits: {connections: 417}\n"
	_, err := loadText(t, text, 1024)
	want := "limits.connections: 417 clients need 1026 open files and this process may open 1024; " +
		"raise that (ulimit -n, LimitNOFILE= in systemd) or write at most 416"
	if err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %v", err)
	}
	if _, err := loadText(t, text, 1026); err != nil {
		t.Errorf("417 clients fit into 1026 descriptors: %v", err)
	}
	if _, err := loadText(t, minimal, 100); err == nil || !strings.Contains(err.Error(), "too few for any client") {
		t.Errorf("got %v", err)
	}
}

// Backend connections that wait for the next login are open files besides those of clients.
func TestConnectionsThatWaitNeedDescriptors(t *testing.T) {
	text := strings.Replace(minimal, "{one: {", "{one: {ready: 20, reuse: {idle: 60s, connections: 280}, ", 1)
	if text == minimal {
		t.Fatal("the configuration has changed")
	}
	c, err := loadText(t, text, 1024)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Options().Limits.Connections; got != (1024-192-300)/2 {
		t.Errorf("got %d", got)
	}
	if _, err := loadText(t, text, 492); err == nil || !strings.Contains(err.Error(), "too few for any client") {
		t.Errorf("got %v", err)
	}
	text += "limits: {connections: 267}\n"
	if _, err := loadText(t, text, 1024); err == nil || !strings.Contains(err.Error(), "267 clients need 1026 open files") {
		t.Errorf("got %v", err)
	}
	if _, err := loadText(t, text, 1026); err != nil {
		t.Error(err)
	}
}
